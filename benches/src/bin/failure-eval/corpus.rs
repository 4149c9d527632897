//! Labelled logs, from own folders and from marked ones.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use pipeline_core::failure::FailureCategory;
use serde::Deserialize;

/// What a person says about a log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    pub(crate) category: FailureCategory,
    /// The number of the line that names the cause; none where no line does.
    #[serde(default)]
    pub(crate) anchor: Option<u64>,
    pub(crate) retryable: bool,
    pub(crate) tool: String,
    #[serde(default)]
    pub(crate) stage: Option<String>,
    #[serde(default)]
    pub(crate) exit_code: Option<i32>,
}

/// A log with its label.
#[derive(Debug, Clone)]
pub(crate) struct LabelledLog {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
    pub(crate) label: Label,
}

/// Reads every `x.log` of a folder with its `x.json`.
pub(crate) fn labelled(folder: &Path) -> Result<Vec<LabelledLog>, Box<dyn Error>> {
    let mut logs = Vec::new();
    for path in files(folder, "log")? {
        let label = path.with_extension("json");
        let label = std::fs::read(&label)
            .map_err(|error| format!("cannot read the label {}: {error}", label.display()))?;
        logs.push(LabelledLog {
            name: stem(&path),
            text: std::fs::read(&path)?,
            label: serde_json::from_slice(&label)
                .map_err(|error| format!("the label of {}: {error}", path.display()))?,
        });
    }
    Ok(logs)
}

/// Reads every `x.txt` of a folder; the line after the mark is the expected one.
pub(crate) fn marked(folder: &Path, labels: &Path) -> Result<Vec<LabelledLog>, Box<dyn Error>> {
    let labels: BTreeMap<String, Label> = serde_json::from_slice(&std::fs::read(labels)?)?;
    let mut logs = Vec::new();
    for path in files(folder, "txt")? {
        let Some(label) = labels.get(&stem(&path)) else {
            continue;
        };
        let raw = std::fs::read(&path)?;
        let (text, anchor) = unmark(&raw);
        let mut label = label.clone();
        label.anchor = anchor;
        logs.push(LabelledLog {
            name: stem(&path),
            text,
            label,
        });
    }
    Ok(logs)
}

/// Takes the marks out, so that the analyser sees what the runner wrote.
fn unmark(raw: &[u8]) -> (Vec<u8>, Option<u64>) {
    let mut text = Vec::with_capacity(raw.len());
    let mut anchor = None;
    let mut number = 0;
    for line in raw.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b"#=SOURCE=#") {
            continue;
        }
        number += 1;
        match line.strip_prefix(b"#=MATCH=# ") {
            Some(line) => {
                anchor = Some(number);
                let line = String::from_utf8_lossy(line).replace(['‹', '›'], "");
                text.extend_from_slice(line.as_bytes());
            }
            None => text.extend_from_slice(line),
        }
    }
    (text, anchor)
}

fn files(folder: &Path, extension: &str) -> Result<Vec<std::path::PathBuf>, Box<dyn Error>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    Ok(files)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
