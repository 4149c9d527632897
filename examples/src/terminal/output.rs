//! The one place that writes to standard output and standard error.

use std::fmt;
use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::Mutex;

use serde::Serialize;

use super::Progress;

/// How a piece of text stands out, where colour is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// Less important.
    Faint,
    /// It went well.
    Good,
    /// A person should look.
    Warn,
    /// It went wrong.
    Bad,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
        }
    }
}

/// Where a command writes: results to standard output, what happens meanwhile to standard error.
#[derive(Clone)]
pub struct Output {
    sink: Sink,
    json: bool,
    colour: bool,
    progress: Progress,
}

#[derive(Clone)]
enum Sink {
    Standard,
    Captured(Arc<Mutex<Vec<u8>>>),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("json", &self.json)
            .field("colour", &self.colour)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Makes the process's own output. Colour needs a terminal and no `NO_COLOR`.
    #[must_use]
    pub fn standard(json: bool, no_color: bool) -> Self {
        let dumb = no_color || json;
        Self {
            sink: Sink::Standard,
            json,
            colour: !dumb && io::stdout().is_terminal(),
            progress: Progress::new(!json && io::stderr().is_terminal()),
        }
    }

    /// Makes an output that keeps what is written, for tests and for commands that run inside another.
    #[must_use]
    pub fn captured(json: bool) -> Self {
        Self {
            sink: Sink::Captured(Arc::default()),
            json,
            colour: false,
            progress: Progress::new(false),
        }
    }

    /// Returns what was written so far to a captured output.
    #[must_use]
    pub fn taken(&self) -> String {
        match &self.sink {
            Sink::Standard => String::new(),
            Sink::Captured(bytes) => {
                let bytes = bytes
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }

    /// Returns whether a program reads this.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the progress line.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns `text` in a style, if colour is wanted. The text must be escaped already.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && style != Style::Plain {
            format!("\x1b[{}m{text}\x1b[0m", style.code())
        } else {
            text.to_owned()
        }
    }

    /// Writes one line for people; nothing where a program reads.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn line(&self, text: impl AsRef<str>) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        self.progress.pause();
        self.write(text.as_ref().as_bytes(), true)
    }

    /// Asks a person something, on standard error, where it is seen although results are read by a program.
    ///
    /// # Errors
    /// If standard error is closed.
    pub fn ask(&self, question: &str) -> io::Result<()> {
        self.progress.pause();
        let mut err = io::stderr().lock();
        write!(err, "{question}")?;
        err.flush()
    }

    /// Writes bytes as they are (a diff, a log), escaped where a terminal would interpret them.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        self.progress.pause();
        if matches!(self.sink, Sink::Standard) && !io::stdout().is_terminal() {
            return self.write(bytes, false);
        }
        let text = String::from_utf8_lossy(bytes);
        self.write(super::escape(&text).as_bytes(), false)
    }

    /// Tells an error to standard error, whoever reads.
    ///
    /// # Errors
    /// If standard error is closed.
    pub fn complain(&self, what: &impl fmt::Display) -> io::Result<()> {
        self.progress.pause();
        // Not every sentence comes escaped: causes hold words of trackers and files.
        let what = what.to_string();
        let what = super::escape(&what);
        match &self.sink {
            Sink::Standard => writeln!(io::stderr().lock(), "error: {what}"),
            Sink::Captured(_) => self.write(format!("error: {what}").as_bytes(), true),
        }
    }

    /// Writes the result for a program, as one JSON document; nothing where a person reads.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn result(&self, value: &impl Serialize) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.write(text.as_bytes(), true)
    }

    fn write(&self, bytes: &[u8], newline: bool) -> io::Result<()> {
        match &self.sink {
            Sink::Standard => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                if newline {
                    out.write_all(b"\n")?;
                }
                out.flush()
            }
            Sink::Captured(kept) => {
                let mut kept = kept
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                kept.extend_from_slice(bytes);
                if newline {
                    kept.push(b'\n');
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_one_document_and_a_person_gets_lines() {
        let people = Output::captured(false);
        people.line("hello").expect("written");
        people.result(&1).expect("written");
        assert_eq!(people.taken(), "hello\n");
        let program = Output::captured(true);
        program.line("hello").expect("written");
        program.result(&1).expect("written");
        assert_eq!(program.taken(), "1\n");
    }

    #[test]
    fn a_complaint_steers_no_terminal() {
        let out = Output::captured(false);
        out.complain(&"\u{1b}[31m\u{202e}x").expect("written");
        assert_eq!(out.taken(), "error: \\u{1b}[31m\\u{202e}x\n");
    }

    #[test]
    fn no_colour_without_a_terminal() {
        assert_eq!(Output::captured(false).paint(Style::Bad, "x"), "x");
        assert_eq!(Output::standard(true, false).paint(Style::Bad, "x"), "x");
    }
}
