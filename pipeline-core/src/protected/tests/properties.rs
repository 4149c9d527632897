//! What holds for every input.

use proptest::prelude::*;

use super::super::Lifts;
use super::super::ProhibitedRules;
use super::adding;
use super::held;
use super::rules;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_command_is_read(line in "\\PC{0,60}") {
        let holds = rules().command(&line);
        for hold in &holds {
            prop_assert!(!hold.to_string().chars().any(char::is_control));
        }
        prop_assert_eq!(rules().command(&line), holds);
    }

    #[test]
    fn any_file_is_read(
        path in prop_oneof![Just("a.sh"), Just("a.sql"), Just("db/migrate/a.rb"), Just("src/a.py"), Just("Dockerfile")],
        text in "(DROP TABLE a|DELETE FROM |UPDATE a SET |WHERE |git push |--force|rm -rf |storage/|[\"'`;|&$(){}\\\\]|/\\*|\\*/|#|--| |\n|\u{fc}|[a-z]){1,40}",
    ) {
        if text.lines().count() > 0 {
            for hold in held(rules(), &adding(path, &text)) {
                prop_assert!(!hold.to_string().chars().any(char::is_control));
                let all = Lifts::none().protected(&hold.id.full()).unwrap();
                let lifts = match &hold.reason {
                    super::super::HoldReason::Class(class) => all.allow(class.name()).unwrap(),
                    super::super::HoldReason::Protected(_) => all,
                };
                prop_assert!(lifts.remaining(std::slice::from_ref(&hold)).is_empty());
                prop_assert_eq!(Lifts::none().remaining(std::slice::from_ref(&hold)).len(), 1);
            }
        }
    }

    /// A statement on a line of its own is found whatever stands above and below it.
    #[test]
    fn a_drop_is_found_among_anything(
        above in proptest::collection::vec("[a-z ='();,]{0,20}", 0..5),
        below in proptest::collection::vec("[a-z ='();,]{0,20}", 0..5),
    ) {
        let text = [above.join("\n"), "DROP TABLE users;".to_owned(), below.join("\n")].join("\n");
        for path in ["a.sql", "src/a.py"] {
            let holds = held(rules(), &adding(path, &text));
            prop_assert!(holds.iter().any(|hold| hold.rule == "drop-data"), "{}\n{:?}", text, holds);
        }
    }

    /// What is held in a command stays held behind any harmless command before and after it.
    #[test]
    fn a_command_is_found_among_others(before in "[a-z]{1,8}( [a-z./-]{1,8}){0,3}", after in "[a-z]{1,8}( [a-z./-]{1,8}){0,3}") {
        let keywords = ["for", "case", "select", "function", "in", "cat", "sh", "if"];
        prop_assume!(!keywords.iter().any(|word| before.starts_with(word)));
        for glue in ["; ", " && ", " || ", "\n", " | ", " & "] {
            let line = format!("{before}{glue}git push --force{glue}{after}");
            prop_assert!(rules().command(&line).iter().any(|hold| hold.rule == "git-push-force"), "{}", line);
        }
    }
}

#[test]
fn reading_is_the_same_every_time() {
    let (one, other) = (ProhibitedRules::builtin(), ProhibitedRules::builtin());
    for line in ["npm test; curl x; rm y", "sudo sh -c 'psql; make'"] {
        assert_eq!(one.command(line), other.command(line));
    }
}
