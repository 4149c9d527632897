//! Answers as OpenAI's Responses gives them.

use serde_json::Value;

use super::heard::Complaint;
use super::heard::Ending;
use super::heard::Heard;
use super::heard::Tokens;
use super::trouble::complaint_of;

/// Takes one event of a stream.
pub(super) fn hear(heard: &mut Heard, event: &Value) {
    match event["type"].as_str().unwrap_or_default() {
        "response.output_item.done" => hear_item(heard, &event["item"]),
        "response.completed" | "response.incomplete" | "response.failed" => {
            hear_whole(heard, &event["response"]);
        }
        "error" => {
            // Some services put the error's fields into the event itself.
            let error = event.get("error").filter(|e| e.is_object());
            heard.ending = Some(Ending::Complained(complaint_of(error.unwrap_or(event))));
        }
        _ => {}
    }
}

/// Takes a whole answer.
pub(super) fn hear_whole(heard: &mut Heard, answer: &Value) {
    for item in answer["output"].as_array().into_iter().flatten() {
        hear_item(heard, item);
    }
    let usage = &answer["usage"];
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    heard.tokens = Tokens {
        input: count(&usage["input_tokens"]),
        cached: count(&usage["input_tokens_details"]["cached_tokens"]),
        output: count(&usage["output_tokens"]),
    };
    let reason = answer["incomplete_details"]["reason"].as_str();
    heard.ending = Some(match answer["status"].as_str().unwrap_or_default() {
        "completed" => heard.stop.take().unwrap_or(Ending::Done),
        "incomplete" if reason == Some("content_filter") => {
            Ending::Refused("its content filter stopped the answer".to_owned())
        }
        "incomplete" => Ending::TooLong,
        "failed" => Ending::Complained(complaint_of(&answer["error"])),
        other => Ending::Complained(Complaint {
            message: format!("it ended the answer as `{other}`"),
            ..Complaint::default()
        }),
    });
}

/// Takes a message; the last one is the answer.
fn hear_item(heard: &mut Heard, item: &Value) {
    if item["type"] != "message" {
        return;
    }
    heard.text.clear();
    heard.stop = None;
    for part in item["content"].as_array().into_iter().flatten() {
        match part["type"].as_str().unwrap_or_default() {
            "output_text" => heard
                .text
                .push_str(part["text"].as_str().unwrap_or_default()),
            "refusal" => {
                let words = part["refusal"].as_str().unwrap_or_default();
                heard.stop = Some(Ending::Refused(words.to_owned()));
            }
            _ => {}
        }
    }
}
