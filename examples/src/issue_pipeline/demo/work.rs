//! The issues of the demo, and what its agent does about each.

/// One issue with the work it asks for.
#[derive(Debug)]
pub(super) struct Work {
    /// Its title, by which the agent knows it.
    pub(super) title: &'static str,
    /// Its description.
    pub(super) body: &'static str,
    /// How triage understands it.
    pub(super) understood: &'static str,
    /// What the agent says when it is done.
    pub(super) done: &'static str,
    /// What the local check expects to touch.
    pub(super) files: &'static [&'static str],
    /// Whether it changes the database.
    pub(super) database: bool,
    /// What nobody has decided yet.
    pub(super) undecided: &'static [&'static str],
    /// The work.
    pub(super) edits: &'static [Edit],
    /// What the first attempt does instead, which no test passes.
    pub(super) first_attempt: Option<&'static [Edit]>,
}

/// One change of a file.
#[derive(Debug)]
pub(super) enum Edit {
    /// Replaces a text that stands in the file exactly once.
    Replace(&'static str, &'static str, &'static str),
    /// Adds text at the end.
    Append(&'static str, &'static str),
    /// Makes a file.
    Create(&'static str, &'static str),
}

const ORDERS: &str = "app/controllers/orders_controller.sh";
const CUSTOMERS: &str = "app/controllers/customers_controller.sh";
const PRODUCTS: &str = "app/controllers/products_controller.sh";
const STYLE: &str = "public/css/shared.css";
const MIGRATION: &str = "db/migrations/002_add_note_to_orders.sql";

pub(super) const TOTAL: &str = "Show the total under the order list";
pub(super) const NEWEST: &str = "List the newest order first";
pub(super) const GREETING: &str = "Greet the customer by name";
pub(super) const SEARCH: &str = "Find products whatever the letter case";
pub(super) const COLOUR: &str = "Darken the colour of links";
pub(super) const NOTE: &str = "Keep a note with each order";
pub(super) const CHECKOUT: &str = "Make the checkout nicer";

/// What a person asks for while the greeting is in review; the agent's work follows it.
pub(super) const GREETING_WISH: &str = "Please write \"Welcome back\" instead of \"Hello\".";

/// The issues in the order they are filed.
pub(super) const ALL: &[Work] = &[
    Work {
        title: TOTAL,
        body: "The team adds the prices up by hand every evening. A last line with the total would do.",
        understood: "The order list gets a last row with the sum of all prices.",
        done: "The order list ends with a total.",
        files: &[ORDERS, "tests/orders/total_test.sh"],
        database: false,
        undecided: &[],
        edits: &[
            Edit::Replace(ORDERS, "rows() {\n", "rows() {\n  total=0\n"),
            Edit::Replace(
                ORDERS,
                "\"$(money \"$cents\")\"\n",
                "\"$(money \"$cents\")\"\n    total=$((total + cents))\n",
            ),
            Edit::Replace(
                ORDERS,
                "}\n\npage orders",
                "  printf '      <tr><td></td><td>Total</td><td>%s</td></tr>\\n' \"$(money \"$total\")\"\n}\n\npage orders",
            ),
            Edit::Create(
                "tests/orders/total_test.sh",
                ". tests/expect.sh\nout=$(sh app/controllers/orders_controller.sh) || exit 1\nexpect \"<td>Total</td><td>25.45</td>\"\n",
            ),
        ],
        first_attempt: None,
    },
    Work {
        title: NEWEST,
        body: "The newest order has the highest number. It should stand at the top of the list.",
        understood: "The rows of the order list are sorted by number, highest first.",
        done: "The order list begins with the newest order.",
        files: &[ORDERS, "tests/orders/newest_test.sh"],
        database: false,
        undecided: &[],
        edits: &[
            Edit::Replace(
                ORDERS,
                "  done < db/seeds/orders.csv\n",
                "  done <<END\n$(sort -r db/seeds/orders.csv)\nEND\n",
            ),
            Edit::Create(
                "tests/orders/newest_test.sh",
                "first=$(sh app/controllers/orders_controller.sh | grep '<td>10' | head -n 1)\n\
                 case $first in\n  *1003*) ;;\n  *) echo \"first: $first\"; exit 1 ;;\nesac\n",
            ),
        ],
        first_attempt: None,
    },
    Work {
        title: GREETING,
        body: "The customer's page should begin with a greeting: Hello, and the name.",
        understood: "The page of a customer begins with a greeting that names them.",
        done: "The customer's page greets by name.",
        files: &[CUSTOMERS, "tests/customers/greeting_test.sh"],
        database: false,
        undecided: &[],
        edits: &[
            Edit::Replace(
                CUSTOMERS,
                "rows() {\n",
                "rows() {\n  printf '    <p>GREETING, %s!</p>\\n' \"$name\"\n",
            ),
            Edit::Create(
                "tests/customers/greeting_test.sh",
                ". tests/expect.sh\nout=$(sh app/controllers/customers_controller.sh Aiko) || exit 1\nexpect \"<p>GREETING, Aiko!</p>\"\n",
            ),
        ],
        first_attempt: None,
    },
    Work {
        title: SEARCH,
        body: "Who types LAMP finds nothing, although there are lamps.",
        understood: "The product search ignores the letter case.",
        done: "The search no longer looks at the letter case.",
        files: &[PRODUCTS, "tests/products/case_test.sh"],
        database: false,
        undecided: &[],
        edits: &[
            Edit::Replace(PRODUCTS, "grep -F -- ", "grep -i -F -- "),
            Edit::Create(
                "tests/products/case_test.sh",
                ". tests/expect.sh\nout=$(sh app/controllers/products_controller.sh LAMP) || exit 1\nexpect \"Desk lamp\"\nexpect \"Lampshade\"\n",
            ),
        ],
        // Whole lines only: the search finds nothing any more.
        first_attempt: Some(&[Edit::Replace(PRODUCTS, "grep -F -- ", "grep -i -x -F -- ")]),
    },
    Work {
        title: COLOUR,
        body: "Links are hard to read. They should be dark blue (#035) everywhere.",
        understood: "The colour of links in the shared style becomes #035.",
        done: "Links are dark blue.",
        files: &[STYLE],
        database: false,
        undecided: &[],
        edits: &[Edit::Replace(
            STYLE,
            "a { color: #9ab; }",
            "a { color: #035; }",
        )],
        first_attempt: None,
    },
    Work {
        title: NOTE,
        body: "Customers add wishes to their orders. The table of orders needs a column for them.",
        understood: "A migration adds a text column `note` to the table of orders.",
        done: "A migration adds the column, and the document names it.",
        files: &[MIGRATION, "docs/api-types.md"],
        database: true,
        undecided: &[],
        edits: &[
            Edit::Create(
                MIGRATION,
                "ALTER TABLE orders ADD COLUMN note TEXT NOT NULL DEFAULT '';\n",
            ),
            Edit::Append(
                "docs/api-types.md",
                "\nThe table `orders` also has `note`, the customer's wish.\n",
            ),
        ],
        first_attempt: None,
    },
    Work {
        title: CHECKOUT,
        body: "It feels dated.",
        understood: "The checkout should look different; nothing says how.",
        done: "",
        files: &[],
        database: false,
        undecided: &["What the checkout should look like."],
        edits: &[],
        first_attempt: None,
    },
];

/// Returns the work whose title stands in this text.
pub(super) fn named_in(text: &str) -> Option<&'static Work> {
    ALL.iter().find(|work| text.contains(work.title))
}
