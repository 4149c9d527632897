//! The repository of the demo: a small shop in plain `sh`, with tests that run on every machine.

use std::io;
use std::path::Path;

/// The files, by their path.
pub(super) const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("shop/README.md")),
    (
        "app/controllers/customers_controller.sh",
        include_str!("shop/app/controllers/customers_controller.sh"),
    ),
    (
        "app/controllers/orders_controller.sh",
        include_str!("shop/app/controllers/orders_controller.sh"),
    ),
    (
        "app/controllers/products_controller.sh",
        include_str!("shop/app/controllers/products_controller.sh"),
    ),
    ("app/lib/page.sh", include_str!("shop/app/lib/page.sh")),
    (
        "app/views/customers/index.html",
        include_str!("shop/app/views/customers/index.html"),
    ),
    (
        "app/views/orders/index.html",
        include_str!("shop/app/views/orders/index.html"),
    ),
    (
        "app/views/products/index.html",
        include_str!("shop/app/views/products/index.html"),
    ),
    (
        "db/migrations/001_create_orders.sql",
        include_str!("shop/db/migrations/001_create_orders.sql"),
    ),
    (
        "db/seeds/customers.csv",
        include_str!("shop/db/seeds/customers.csv"),
    ),
    (
        "db/seeds/orders.csv",
        include_str!("shop/db/seeds/orders.csv"),
    ),
    (
        "db/seeds/products.csv",
        include_str!("shop/db/seeds/products.csv"),
    ),
    ("docs/api-types.md", include_str!("shop/docs/api-types.md")),
    (
        "public/css/shared.css",
        include_str!("shop/public/css/shared.css"),
    ),
    (
        "tests/customers/page_test.sh",
        include_str!("shop/tests/customers/page_test.sh"),
    ),
    ("tests/expect.sh", include_str!("shop/tests/expect.sh")),
    (
        "tests/layout/style_test.sh",
        include_str!("shop/tests/layout/style_test.sh"),
    ),
    (
        "tests/orders/list_test.sh",
        include_str!("shop/tests/orders/list_test.sh"),
    ),
    (
        "tests/products/search_test.sh",
        include_str!("shop/tests/products/search_test.sh"),
    ),
    ("tests/run.sh", include_str!("shop/tests/run.sh")),
];

/// Writes the files.
pub(super) fn write(root: &Path) -> io::Result<()> {
    for (path, text) in FILES {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}
