//! Answers as Anthropic's Messages gives them.

use serde_json::Value;

use super::heard::Ending;
use super::heard::Heard;
use super::trouble::complaint_of;

/// Takes one event of a stream.
pub(super) fn hear(heard: &mut Heard, event: &Value) {
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => hear_usage(heard, &event["message"]["usage"]),
        "content_block_start" if event["content_block"]["type"] == "text" => {
            let text = event["content_block"]["text"].as_str();
            heard.text.push_str(text.unwrap_or_default());
        }
        "content_block_delta" if event["delta"]["type"] == "text_delta" => {
            let text = event["delta"]["text"].as_str();
            heard.text.push_str(text.unwrap_or_default());
        }
        "message_delta" => {
            hear_usage(heard, &event["usage"]);
            if let Some(reason) = event["delta"]["stop_reason"].as_str() {
                heard.stop = Some(ending(reason, &heard.text));
            }
        }
        "message_stop" => heard.ending = heard.stop.take().or(Some(Ending::Done)),
        "error" => heard.ending = Some(Ending::Complained(complaint_of(&event["error"]))),
        _ => {}
    }
}

/// Takes a whole answer.
pub(super) fn hear_whole(heard: &mut Heard, answer: &Value) {
    if answer["type"] == "error" {
        heard.ending = Some(Ending::Complained(complaint_of(&answer["error"])));
        return;
    }
    for block in answer["content"].as_array().into_iter().flatten() {
        if block["type"] == "text" {
            heard
                .text
                .push_str(block["text"].as_str().unwrap_or_default());
        }
    }
    hear_usage(heard, &answer["usage"]);
    let reason = answer["stop_reason"].as_str().unwrap_or_default();
    heard.ending = Some(ending(reason, &heard.text));
}

/// Takes counts; later ones of a stream are totals and stand for the earlier ones.
fn hear_usage(heard: &mut Heard, usage: &Value) {
    let count = |name: &str| usage[name].as_u64();
    if let Some(fresh) = count("input_tokens") {
        let cached = count("cache_read_input_tokens").unwrap_or(0);
        let written = count("cache_creation_input_tokens").unwrap_or(0);
        heard.tokens.input = fresh.saturating_add(cached).saturating_add(written);
        heard.tokens.cached = cached;
    }
    if let Some(output) = count("output_tokens") {
        heard.tokens.output = output;
    }
}

fn ending(reason: &str, said: &str) -> Ending {
    match reason {
        "refusal" => Ending::Refused(said.to_owned()),
        "max_tokens" => Ending::TooLong,
        "model_context_window_exceeded" => Ending::WindowFull,
        // What it says is looked at in any case.
        _ => Ending::Done,
    }
}
