//! What an OK lifts.

use std::collections::BTreeSet;

use crate::patch::Escaped;

use super::hold::Hold;
use super::hold::HoldClass;
use super::hold::HoldId;
use super::hold::HoldReason;

/// The classes and ids that one OK names.
///
/// # Examples
/// ```
/// use pipeline_core::protected::{Lifts, ProtectedRules};
///
/// let rules = ProtectedRules::builtin();
/// let holds = rules.command("git push --force origin main");
/// assert_eq!(Lifts::none().remaining(&holds).len(), 1);
///
/// let lifts = Lifts::none().protected(&holds[0].id.to_string())?;
/// assert!(lifts.remaining(&holds).is_empty());
/// # Ok::<(), pipeline_core::protected::InvalidLift>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifts {
    classes: BTreeSet<HoldClass>,
    ids: BTreeSet<String>,
}

impl Lifts {
    /// Lifts nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds the classes of an `--allow` list, separated by commas.
    ///
    /// # Errors
    /// Answers with [`InvalidLift`] for a name that can be no class.
    pub fn allow(mut self, list: &str) -> Result<Self, InvalidLift> {
        for name in list.split(',').map(str::trim) {
            let class = name.parse().map_err(|_| InvalidLift::Class {
                name: name.to_owned(),
            })?;
            self.classes.insert(class);
        }
        Ok(self)
    }

    /// Adds one id of a protected operation: at least the digits that are shown.
    ///
    /// # Errors
    /// Answers with [`InvalidLift`] for a text that can be no id.
    pub fn protected(mut self, id: &str) -> Result<Self, InvalidLift> {
        let digits = id
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if !digits || !(HoldId::SHOWN..=64).contains(&id.len()) {
            return Err(InvalidLift::Id { id: id.to_owned() });
        }
        self.ids.insert(id.to_owned());
        Ok(self)
    }

    /// Returns the holds that stay.
    ///
    /// A protected operation is lifted only by an id that means it alone: if the digits fit two different
    /// holds, neither is lifted, and more digits ([`HoldId::full`]) have to be given.
    #[must_use]
    pub fn remaining<'h>(&self, holds: &'h [Hold]) -> Vec<&'h Hold> {
        let mut remaining: Vec<&Hold> = Vec::new();
        for hold in holds {
            let lifted = match &hold.reason {
                HoldReason::Class(class) => self.classes.contains(class),
                HoldReason::Protected(_) => self.ids.iter().any(|id| means_only(id, hold, holds)),
            };
            if !lifted {
                remaining.push(hold);
            }
        }
        remaining
    }

    /// Returns the ids and classes that fit none of the holds, so that a mistyped one is not taken in silence.
    #[must_use]
    pub fn unused(&self, holds: &[Hold]) -> Vec<String> {
        let has_class = |class: &&HoldClass| {
            holds
                .iter()
                .any(|hold| hold.reason == HoldReason::Class((*class).clone()))
        };
        let classes = self
            .classes
            .iter()
            .filter(|class| !has_class(class))
            .map(HoldClass::to_string);
        let has_id = |id: &&String| {
            holds
                .iter()
                .any(|hold| hold.id.full().starts_with(id.as_str()))
        };
        let ids = self.ids.iter().filter(|id| !has_id(id)).cloned();
        classes.chain(ids).collect()
    }
}

fn means_only(id: &str, hold: &Hold, holds: &[Hold]) -> bool {
    let fits = |hold: &Hold| hold.id.full().starts_with(id);
    fits(hold) && !holds.iter().any(|other| other.id != hold.id && fits(other))
}

/// The answer to what an OK cannot lift.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLift {
    /// No class has such a name.
    #[error("`{}` is no class of protected paths; `review` prints the classes of this candidate", Escaped::new(name.as_bytes()).at_most(60))]
    Class {
        /// What was given.
        name: String,
    },
    /// No protected operation has such an id.
    #[error("`{}` is no id of a protected operation; `review` prints the ids of this candidate", Escaped::new(id.as_bytes()).at_most(80))]
    Id {
        /// What was given.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use super::Lifts;
    use crate::protected::Evidence;
    use crate::protected::Hold;
    use crate::protected::HoldClass;
    use crate::protected::HoldReason;
    use crate::protected::ProtectedKind;

    fn operation(kind: ProtectedKind, text: &str) -> Hold {
        let evidence = Evidence::Command {
            text: text.to_owned(),
        };
        Hold::new(HoldReason::Protected(kind), "r", evidence)
    }

    fn path(class: HoldClass, path: &str) -> Hold {
        Hold::new(
            HoldReason::Class(class),
            "r",
            Evidence::Path { path: path.into() },
        )
    }

    #[test]
    fn a_class_lifts_its_paths_and_nothing_else() {
        let holds = [
            path(HoldClass::Lockfile, "Cargo.lock"),
            path(HoldClass::Migration, "db/1.sql"),
            operation(ProtectedKind::DbChange, "psql"),
        ];
        let lifts = Lifts::none().allow("lockfile").unwrap();
        assert_eq!(lifts.remaining(&holds), [&holds[1], &holds[2]]);
        let lifts = lifts.allow("migration, ci").unwrap();
        assert_eq!(lifts.remaining(&holds), [&holds[2]]);
        assert_eq!(lifts.unused(&holds), ["ci"]);
    }

    #[test]
    fn an_id_lifts_one_operation() {
        let holds = [
            operation(ProtectedKind::DbChange, "a"),
            operation(ProtectedKind::DbChange, "b"),
        ];
        let lifts = Lifts::none().protected(&holds[0].id.to_string()).unwrap();
        assert_eq!(lifts.remaining(&holds), [&holds[1]]);
        let lifts = Lifts::none().protected(&holds[1].id.full()).unwrap();
        assert_eq!(lifts.remaining(&holds), [&holds[0]]);
    }

    #[test]
    fn no_kind_is_lifted_by_a_class_and_no_short_id_is_taken() {
        assert!(Lifts::none().allow("db-change").is_err());
        assert!(Lifts::none().allow("").is_err());
        assert!(Lifts::none().protected("").is_err());
        assert!(Lifts::none().protected("abcdef123").is_err());
        assert!(Lifts::none().protected("ABCDEF1234").is_err());
    }

    #[test]
    fn ids_do_not_depend_on_line_numbers_but_on_all_else() {
        let line = |path: &str, line, text: &str, kind| {
            let evidence = Evidence::Line {
                path: path.into(),
                line,
                text: text.to_owned(),
            };
            Hold::new(HoldReason::Protected(kind), "r", evidence).id
        };
        let id = line("a", 1, "x", ProtectedKind::DbChange);
        assert_eq!(id, line("a", 9, "x", ProtectedKind::DbChange));
        assert_ne!(id, line("b", 1, "x", ProtectedKind::DbChange));
        assert_ne!(id, line("a", 1, "y", ProtectedKind::DbChange));
        assert_ne!(id, line("a", 1, "x", ProtectedKind::ExistingData));
        // The parts are separated: moving a byte from one to the next is another hold.
        assert_ne!(
            line("ab", 1, "c", ProtectedKind::DbChange),
            line("a", 1, "bc", ProtectedKind::DbChange)
        );
    }
}
