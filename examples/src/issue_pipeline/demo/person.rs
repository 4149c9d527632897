//! The person of the demo: moves, comments, OKs, each shown; with `--pause` the user may make them instead.

use std::io::BufRead as _;
use std::io::IsTerminal as _;

use pipeline_core::issue::IssueKey;
use pipeline_core::status::Status;
use pipeline_core::tracker::Tracker as _;
use pipeline_trackers::local::LocalTracker;

use super::setting::Setting;
use crate::issue_pipeline::Context;
use crate::issue_pipeline::Failure;
use crate::schedule::units::shell_word;
use crate::terminal::Style;

/// A person at work.
#[derive(Debug)]
pub(super) struct Person<'a> {
    context: &'a Context,
    setting: &'a Setting,
    login: &'static str,
    tracker: LocalTracker,
    pause: bool,
}

impl<'a> Person<'a> {
    pub(super) fn new(
        context: &'a Context,
        setting: &'a Setting,
        login: &'static str,
        pause: bool,
    ) -> Result<Self, Failure> {
        if pause && !std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "--pause needs a terminal: somebody has to play the person",
            ));
        }
        let tracker = setting.tracker_as(login)?;
        Ok(Self {
            context,
            setting,
            login,
            tracker,
            pause,
        })
    }

    /// Moves an issue, unless it is there already.
    pub(super) async fn moves(&self, issue: &IssueKey, to: Status) -> Result<(), Failure> {
        self.shows(&[
            "issue",
            "move",
            issue.as_str(),
            to.name(),
            "--as",
            self.login,
        ])?;
        if self.tracker.issue(issue).await?.value.status != to {
            self.tracker.move_to(issue, &to).await?;
        }
        Ok(())
    }

    /// Writes a comment, unless this person has written just that already.
    pub(super) async fn writes(&self, issue: &IssueKey, text: &str) -> Result<(), Failure> {
        self.shows(&["issue", "comment", issue.as_str(), text, "--as", self.login])?;
        let thread = self.tracker.comments(issue).await?.value;
        let written = thread
            .iter()
            .any(|c| c.body.trim() == text && c.author.id == self.tracker.actor().to_string());
        if !written {
            self.tracker.add_comment(issue, text).await?;
        }
        Ok(())
    }

    /// Shows the command a person would type, and waits for the user where they play the person.
    fn shows(&self, words: &[&str]) -> Result<(), Failure> {
        let out = &self.context.out;
        let words: Vec<String> = words.iter().map(|w| shell_word(w)).collect();
        let line = format!("  {:>8}  issue-pipeline {}", self.login, words.join(" "));
        out.line(out.paint(Style::Warn, &line))?;
        if self.pause {
            let config = shell_word(&self.setting.config.display().to_string());
            out.ask(&format!(
                "            your turn, in another terminal with --config {config}; Enter goes on (and does it if you did not) "
            ))?;
            std::io::stdin().lock().read_line(&mut String::new())?;
        }
        Ok(())
    }
}
