//! A plan as a person reads it: what would change, as a diff.

use std::collections::BTreeMap;
use std::fmt;

use super::Action;
use super::Skip;
use super::SyncPlan;

impl fmt::Display for SyncPlan {
    /// Writes one line per change, `+` for an issue that is made, `~` for a line of the document that changes. The text is
    /// untrusted: a terminal must be given it escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "{}", file.file)?;
            let mut phase: Option<&Option<String>> = None;
            let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
            for item in &file.items {
                if phase != Some(&item.phase) && item.action.changes() {
                    writeln!(f, "  {}", item.phase.as_deref().unwrap_or("(no phase)"))?;
                    phase = Some(&item.phase);
                }
                match &item.action {
                    Action::Create { draft } => {
                        writeln!(f, "    + line {}: {}", item.line, draft.title)?;
                        let mut more = Vec::new();
                        if !draft.labels.is_empty() {
                            more.push(format!("labels: {}", draft.labels.join(", ")));
                        }
                        more.extend(draft.milestone.iter().map(|m| format!("milestone: {m}")));
                        more.extend(draft.kind.iter().map(|k| format!("type: {k}")));
                        if !more.is_empty() {
                            writeln!(f, "        {}", more.join(" · "))?;
                        }
                    }
                    Action::Adopt { key, .. } => {
                        writeln!(
                            f,
                            "    ~ line {}: {} (made earlier: link {key})",
                            item.line, item.text
                        )?;
                    }
                    Action::Tick { key } => {
                        writeln!(
                            f,
                            "    ~ line {}: {} ({key} is done: tick)",
                            item.line, item.text
                        )?;
                    }
                    Action::Keep { .. } => *skipped.entry("linked").or_default() += 1,
                    Action::Skip { why } => {
                        let why = match why {
                            Skip::Ticked => "ticked without a link",
                            Skip::OtherPhase => "in other phases",
                            Skip::LinkedElsewhere => "linked elsewhere",
                        };
                        *skipped.entry(why).or_default() += 1;
                    }
                }
            }
            if !skipped.is_empty() {
                let left: Vec<String> = skipped
                    .iter()
                    .map(|(why, n)| format!("{n} {why}"))
                    .collect();
                writeln!(f, "  left as they are: {}", left.join(", "))?;
            }
        }
        for name in &self.names {
            writeln!(
                f,
                "+ {}",
                match name {
                    crate::tracker::IssueName::Label(name) => format!("label {name}"),
                    crate::tracker::IssueName::Milestone(name) => format!("milestone {name}"),
                }
            )?;
        }
        for drift in &self.drift {
            writeln!(f, "! {drift}")?;
        }
        for problem in &self.problems {
            writeln!(f, "x {problem}")?;
        }
        if self.is_empty() {
            write!(f, "nothing to do")
        } else {
            write!(f, "plan {}: {} requests that write", self.id, self.writes)
        }
    }
}
