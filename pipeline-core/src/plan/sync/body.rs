//! An issue as it is made from an item.

use super::SyncOptions;
use crate::issue::IssueDraft;
use crate::plan::document::Phase;
use crate::plan::document::PlanDocument;
use crate::plan::document::PlanItem;
use crate::plan::draft::ItemDraft;
use crate::plan::fingerprint::Fingerprint;
use crate::plan::marks::FILE;
use crate::plan::marks::FROM;
use crate::plan::marks::ITEM;
use crate::tracker::Dialect;

/// The longest title every tracker takes, in characters.
const LONGEST_TITLE: usize = 255;
/// Room for what stands around an item's own text: the machine's lines, headings, the note about the cut.
const ROOM: usize = 2_000;
const CUT: &str = "\n\n(The rest was cut here: the plan has it.)";

/// Returns a text as one line that fits a title.
pub(super) fn title(text: &str, dialect: &dyn Dialect) -> String {
    let one_line = |text: &str| -> String {
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let one_line = |text: &str| inert(&one_line(text));
    let mut whole = one_line(&dialect.neutralise(&one_line(text)));
    if whole.chars().count() > LONGEST_TITLE {
        // Cut before it is neutralised again, so that no code span loses its end.
        let mut most = LONGEST_TITLE - 1;
        loop {
            let head: String = one_line(text).chars().take(most).collect();
            let head = head
                .rsplit_once(' ')
                .filter(|(h, _)| h.len() * 2 > head.len())
                .map_or(head.as_str(), |(h, _)| h);
            whole = one_line(&dialect.neutralise(&format!("{}…", head.trim_end())));
            if whole.chars().count() <= LONGEST_TITLE || most < 16 {
                break;
            }
            most -= 16;
        }
    }
    if whole.is_empty() {
        "(no text)".to_owned()
    } else {
        whole
    }
}

/// Returns a title in which nobody is mentioned and nothing referred to.
///
/// A title is no Markdown, so that marks of code do not help: the sign itself is put in its wide form.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        let digit = next.is_ascii_digit();
        out.push(match c {
            // Letters beyond ASCII end no word for those who look for mentions.
            '@' if !before.is_ascii_alphanumeric()
                && (next.is_alphanumeric() || "_.".contains(next)) =>
            {
                '\u{ff20}'
            }
            '#' if digit => '\u{ff03}',
            '!' if digit => '\u{ff01}',
            _ => c,
        });
        before = c;
    }
    out
}

pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) document: &'a PlanDocument,
    pub(super) item: &'a PlanItem,
    pub(super) fingerprint: &'a Fingerprint,
    pub(super) options: &'a SyncOptions,
}

impl Source<'_> {
    fn phase(&self) -> Option<&Phase> {
        self.document.phase_of(self.item)
    }

    pub(super) fn draft(&self, dialect: &dyn Dialect) -> IssueDraft {
        let drafted = self.options.drafts.get(self.fingerprint);
        let wording = drafted.map_or(self.item.text.as_str(), |d| d.title.as_str());
        let mut labels = self.options.phase_labels(self.phase());
        labels.extend(self.options.labels.iter().cloned());
        labels.extend(drafted.iter().flat_map(|d| d.labels.iter().cloned()));
        let mut seen = std::collections::BTreeSet::new();
        labels.retain(|label| seen.insert(label.clone()));
        IssueDraft {
            title: title(wording, dialect),
            body: self.body(dialect, drafted),
            labels,
            milestone: self.options.phase_milestone(self.phase()),
            kind: self.options.kind.clone(),
            priority: self.options.priority,
        }
    }

    fn body(&self, dialect: &dyn Dialect, drafted: Option<&ItemDraft>) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut heading = vec![];
        heading.extend(self.phase().map(|p| p.heading.clone()));
        heading.extend(self.item.context.iter().cloned());
        if !heading.is_empty() {
            parts.push(format!("Phase: {}", heading.join(" › ")));
        }
        if drafted.is_some() || title(&self.item.text, dialect) != self.item.text {
            parts.push(self.item.text.clone());
        }
        if !self.item.details.is_empty() {
            parts.push(self.item.details.clone());
        }
        if let Some(drafted) = drafted {
            let quoted: Vec<String> = drafted
                .description
                .lines()
                .map(|l| format!("> {l}"))
                .collect();
            let mut text = format!("Drafted by an agent:\n\n{}", quoted.join("\n"));
            if let Some(estimate) = &drafted.estimate {
                text.push_str(&format!("\n\nEstimate: {estimate}"));
            }
            parts.push(text);
        }
        let done = [
            self.phase().and_then(|p| p.definition_of_done.as_deref()),
            self.document.definition_of_done(),
        ];
        for done in done.into_iter().flatten() {
            parts.push(format!("Definition of done:\n\n{done}"));
        }
        if !self.options.references.is_empty() {
            let all = self
                .options
                .references
                .iter()
                .map(|path| format!("- {}", self.link(path, None)));
            parts.push(format!(
                "Design documents:\n\n{}",
                all.collect::<Vec<_>>().join("\n")
            ));
        }
        let machine = self.machine(dialect);
        let text = dialect.neutralise(&parts.join("\n\n"));
        let room = dialect
            .max_chars()
            .saturating_sub(machine.chars().count() + ROOM);
        let text = if text.chars().count() > room {
            let head: String = text.chars().take(room).collect();
            format!("{head}{CUT}")
        } else {
            text
        };
        // Cutting may have left the half of a span; what is neutral stays as it is.
        let whole = format!("{}\n\n{machine}", text.trim_end());
        dialect.neutralise(whole.trim_start())
    }

    fn link(&self, path: &str, line: Option<usize>) -> String {
        let shown = line.map_or_else(|| path.to_owned(), |line| format!("{path}, line {line}"));
        let Some(web) = &self.options.web else {
            return format!("`{shown}`");
        };
        let encoded: String = path
            .split('/')
            .map(|part| {
                percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC)
                    .to_string()
            })
            .collect::<Vec<_>>()
            .join("/")
            .replace("%2E", ".")
            .replace("%2D", "-")
            .replace("%5F", "_");
        let mut address = web
            .replace("{commit}", self.options.commit.as_deref().unwrap_or("HEAD"))
            .replace("{path}", &encoded)
            .replace("{line}", &line.map(|l| l.to_string()).unwrap_or_default());
        if line.is_none()
            && let Some(at) = address.find("#L")
        {
            address.truncate(at);
        }
        format!("[{shown}]({address})")
    }

    /// The lines the machine reads back, and the way back to the plan.
    fn machine(&self, dialect: &dyn Dialect) -> String {
        let key = dialect.key_prefix();
        let commit = self.options.commit.as_deref();
        let at = commit
            .map(|c| format!(" at commit {c}"))
            .unwrap_or_default();
        format!(
            "{FROM} {link}{at}\n\n{key}{FILE} {file}\n{key}plan-line: {line}\n{key}plan-commit: {commit}\n{key}{ITEM} {item}\n{key}v: 1",
            link = self.link(self.file, Some(self.item.line)),
            file = self.file,
            line = self.item.line,
            commit = commit.unwrap_or("none"),
            item = self.fingerprint,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::PlainDialect;

    #[test]
    fn a_title_mentions_nobody_and_refers_to_nothing() {
        for (text, expected) in [
            ("ask @alice, 担当@bob", "ask ＠alice, 担当＠bob"),
            ("mail me@example.com @ home", "mail me@example.com @ home"),
            (
                "after #12 and !3, C# is fine!",
                "after ＃12 and ！3, C# is fine!",
            ),
        ] {
            assert_eq!(title(text, &PlainDialect), expected);
            assert_eq!(title(expected, &PlainDialect), expected);
        }
    }
}
