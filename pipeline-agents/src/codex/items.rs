//! What the items of a turn say: commands, edits, messages. Three spellings of the same things.

use pipeline_core::agent::AgentOutcome;
use serde_json::Value;

use crate::cli::Seen;
use crate::cli::text;

/// Reads an item of the app-server.
pub(super) fn camel_case(
    item: &Value,
    over: bool,
    directory: &str,
    seen: &mut Seen<'_>,
) -> Option<AgentOutcome> {
    let id = text(item, "/id").unwrap_or_default();
    match text(item, "/type")? {
        "agentMessage" if over => {
            seen.says(text(item, "/text")?);
            None
        }
        "commandExecution" => {
            let command = text(item, "/command").unwrap_or_default();
            let end = seen.command(id, command);
            if over && end.is_none() {
                let output = text(item, "/aggregatedOutput").unwrap_or_default();
                return seen.ended(id, code(item, "/exitCode"), output);
            }
            end
        }
        "fileChange" => edits(item, directory, seen),
        _ => None,
    }
}

/// Reads an item of `exec --json`.
pub(super) fn snake_case(
    item: &Value,
    over: bool,
    directory: &str,
    seen: &mut Seen<'_>,
) -> Option<AgentOutcome> {
    let id = text(item, "/id").unwrap_or_default();
    match text(item, "/type")? {
        "agent_message" if over => {
            seen.says(text(item, "/text")?);
            None
        }
        "command_execution" => {
            let command = text(item, "/command").unwrap_or_default();
            let end = seen.command(id, command);
            if over && end.is_none() {
                let output = text(item, "/aggregated_output").unwrap_or_default();
                return seen.ended(id, code(item, "/exit_code"), output);
            }
            end
        }
        "file_change" => edits(item, directory, seen),
        // A warning; the run goes on.
        "error" if over => {
            seen.tell(text(item, "/message")?.to_owned());
            None
        }
        _ => None,
    }
}

/// Reads what the model itself asked for, also where it never came to be.
pub(super) fn raw(item: &Value, directory: &str, seen: &mut Seen<'_>) -> Option<AgentOutcome> {
    let call = text(item, "/call_id").unwrap_or_default();
    match text(item, "/type")? {
        "function_call" => {
            let arguments: Value = serde_json::from_str(text(item, "/arguments")?).ok()?;
            match text(item, "/name")? {
                "exec_command" => seen.command(call, text(&arguments, "/cmd")?),
                "shell_command" => seen.command(call, text(&arguments, "/command")?),
                "shell" => {
                    let words = arguments.get("command")?.as_array()?;
                    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                    seen.command(call, &words.join(" "))
                }
                "write_stdin" => seen.typed(call, text(&arguments, "/chars")?),
                "apply_patch" => patch(text(&arguments, "/input")?, directory, seen),
                _ => None,
            }
        }
        "custom_tool_call" if text(item, "/name") == Some("apply_patch") => {
            patch(text(item, "/input")?, directory, seen)
        }
        "function_call_output" => {
            let output = text(item, "/output")?;
            let code = output
                .lines()
                .find_map(|line| line.strip_prefix("Process exited with code "))
                .and_then(|code| code.trim().parse().ok());
            let printed = output.split_once("\nOutput:\n");
            seen.ended(call, code, printed.map_or("", |(_, printed)| printed))
        }
        _ => None,
    }
}

fn edits(item: &Value, directory: &str, seen: &mut Seen<'_>) -> Option<AgentOutcome> {
    let changes = item.get("changes")?.as_array()?;
    let ends: Vec<_> = changes
        .iter()
        .filter_map(|change| seen.edit(inside(text(change, "/path")?, directory)))
        .collect();
    ends.into_iter().next()
}

/// Reads which files a patch of codex's own form is about.
fn patch(patch: &str, directory: &str, seen: &mut Seen<'_>) -> Option<AgentOutcome> {
    const HEADS: [&str; 4] = [
        "*** Add File: ",
        "*** Update File: ",
        "*** Delete File: ",
        "*** Move to: ",
    ];
    let mut end = None;
    for line in patch.lines() {
        if let Some(path) = HEADS.iter().find_map(|head| line.strip_prefix(head)) {
            end = end.or(seen.edit(inside(path.trim(), directory)));
        }
    }
    end
}

fn inside<'p>(path: &'p str, directory: &str) -> &'p str {
    path.strip_prefix(directory)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(path)
}

fn code(item: &Value, place: &str) -> Option<i32> {
    i32::try_from(item.pointer(place)?.as_i64()?).ok()
}
