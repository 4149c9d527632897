//! What becomes of a text that is sent.

/// Commands that are known everywhere.
const COMMANDS: [&str; 9] = [
    "close",
    "reopen",
    "label",
    "unlabel",
    "assign",
    "confidential",
    "move",
    "title",
    "lock",
];

/// What quick actions do to an issue, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Acted {
    pub(super) close: Option<bool>,
    pub(super) add: Vec<String>,
    pub(super) remove: Vec<String>,
    pub(super) any: bool,
}

/// Takes the quick actions out of a text, as the extractor does: outside of fences, at the beginning of a line, whoever
/// sent it. Carriage returns and blank space at the end go in any case.
pub(super) fn extract(text: &str) -> (String, Acted) {
    let text = text.replace('\r', "");
    let mut acted = Acted::default();
    let mut kept = Vec::new();
    let mut fenced = false;
    let lines: Vec<&str> = text.split('\n').collect();
    for (n, line) in lines.iter().enumerate() {
        if line.starts_with("```") {
            // Only what is closed again is a block of code.
            let closed = lines.iter().skip(n + 1).any(|later| *later == "```");
            fenced = !fenced && closed;
        }
        let command = line.trim_start().strip_prefix('/').filter(|_| !fenced);
        let (name, argument) = command
            .map(|c| c.split_once(' ').unwrap_or((c, "")))
            .unwrap_or_default();
        let name = name.to_lowercase();
        if !COMMANDS.contains(&name.as_str()) {
            kept.push(*line);
            continue;
        }
        acted.any = true;
        let named = argument
            .trim()
            .trim_start_matches('~')
            .trim_matches('"')
            .to_owned();
        match name.as_str() {
            "close" => acted.close = Some(true),
            "reopen" => acted.close = Some(false),
            "label" => acted.add.push(named),
            "unlabel" => acted.remove.push(named),
            _ => {}
        }
    }
    (kept.join("\n").trim_end().to_owned(), acted)
}

/// Returns the name a file gets.
pub(super) fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| {
        if c.is_alphanumeric() || ".-+_".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = last.chars().map(plain).collect();
    if name.is_empty() {
        "_".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_actions_are_taken_out_and_done_outside_of_code_only() {
        let (text, acted) =
            extract("a\n/close\n```\n/label ~x\n```\n/LABEL ~\"status::in progress\"\r\nb \n");
        assert_eq!(text, "a\n```\n/label ~x\n```\nb");
        assert_eq!(acted.close, Some(true));
        assert_eq!(acted.add, ["status::in progress"]);
        assert_eq!(extract("/etc/passwd is a path").0, "/etc/passwd is a path");
        assert_eq!(
            extract("```\n/close").1.close,
            Some(true),
            "a fence that is never closed is none"
        );
    }
}
