//! One line on standard error that says what is under way.

use std::collections::BTreeMap;
use std::io;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use super::escape::escape_line;

/// The progress line; silent where standard error is no terminal.
#[derive(Debug, Clone)]
pub struct Progress {
    shown: Option<Arc<Mutex<Shown>>>,
}

#[derive(Debug, Default)]
struct Shown {
    running: BTreeMap<String, (Instant, String)>,
    drawn: bool,
}

/// The widest line that is drawn; a longer one would wrap and could not be taken back.
const WIDTH: usize = 78;

impl Progress {
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            shown: enabled.then(Arc::default),
        }
    }

    /// Says that something began.
    pub fn begin(&self, name: &str) {
        self.change(|s| {
            s.running
                .insert(name.to_owned(), (Instant::now(), String::new()));
        });
    }

    /// Says what something is at; the text may be untrusted.
    pub fn note(&self, name: &str, what: &str) {
        self.change(|s| {
            if let Some((_, text)) = s.running.get_mut(name) {
                *text = escape_line(what);
            }
        });
    }

    /// Says that something ended.
    pub fn end(&self, name: &str) {
        self.change(|s| {
            s.running.remove(name);
        });
    }

    /// Takes the line back, so that something else can be written.
    pub fn pause(&self) {
        if let Some(shown) = &self.shown {
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::take(&mut shown.drawn) {
                draw("");
            }
        }
    }

    fn change(&self, with: impl FnOnce(&mut Shown)) {
        if let Some(shown) = &self.shown {
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            with(&mut shown);
            let line = line(&shown.running, Instant::now());
            shown.drawn = !line.is_empty();
            draw(&line);
        }
    }
}

fn draw(line: &str) {
    let mut err = io::stderr().lock();
    // Nobody is worse off if the progress line cannot be drawn.
    drop(write!(err, "\r\x1b[K{line}"));
    drop(err.flush());
}

fn line(running: &BTreeMap<String, (Instant, String)>, now: Instant) -> String {
    let parts: Vec<String> = running
        .iter()
        .map(|(name, (since, what))| {
            let secs = now.saturating_duration_since(*since).as_secs();
            let what = if what.is_empty() {
                String::new()
            } else {
                format!(" {what}")
            };
            format!("{name} {secs}s{what}")
        })
        .collect();
    let line = parts.join(" · ");
    if line.chars().count() > WIDTH {
        line.chars().take(WIDTH - 1).chain(['…']).collect()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_stays_on_one_line() {
        let now = Instant::now();
        let mut running = BTreeMap::new();
        running.insert(
            "A-1".to_owned(),
            (now, escape_line("reading\nfiles \x1b[2J")),
        );
        assert_eq!(line(&running, now), "A-1 0s reading files \\u{1b}[2J");
        running.insert("A-2".to_owned(), (now, "x".repeat(200)));
        assert_eq!(line(&running, now).chars().count(), WIDTH);
        assert_eq!(line(&BTreeMap::new(), now), "");
    }
}
