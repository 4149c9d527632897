//! A progress bar on terminals.

use std::time::Duration;

use pipeline_core::plan::PlanWatch;

use crate::terminal::Progress;

const WIDTH: usize = 20;
const NAME: &str = "plan";

/// Draws how far it is.
#[derive(Debug)]
pub(super) struct Bar(pub(super) Progress);

impl PlanWatch for Bar {
    fn step(&self, done: usize, of: usize, what: &str) {
        if done <= 1 {
            self.0.begin(NAME);
        }
        self.0
            .note(NAME, &format!("{} {done}/{of} {what}", bar(done, of)));
        if done == of {
            self.0.end(NAME);
        }
    }

    fn waits(&self, how_long: Duration) {
        self.0.note(
            NAME,
            &format!("the tracker asks to wait {} s", how_long.as_secs()),
        );
    }
}

fn bar(done: usize, of: usize) -> String {
    let full = (done * WIDTH).checked_div(of).unwrap_or(WIDTH).min(WIDTH);
    format!("[{}{}]", "#".repeat(full), "-".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_from_left_to_right() {
        assert_eq!(bar(0, 4), "[--------------------]");
        assert_eq!(bar(1, 4), "[#####---------------]");
        assert_eq!(bar(4, 4), "[####################]");
        assert_eq!(bar(0, 0), "[####################]");
    }
}
