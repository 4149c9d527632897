//! What is asked, in the words of each service.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pipeline_core::agent::AgentTask;
use pipeline_core::secret::Secret;
use reqwest::header::ACCEPT;
use reqwest::header::AUTHORIZATION;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use serde_json::Value;
use serde_json::json;

use super::Wire;
use super::error::Error;

/// The most images, and the most bytes of one.
const MOST_IMAGES: usize = 20;
const LARGEST_IMAGE: u64 = 10 << 20;
/// The version of Messages that is spoken.
const MESSAGES_VERSION: &str = "2023-06-01";

/// An image, ready to be sent.
#[derive(Debug)]
pub(super) struct Image {
    kind: &'static str,
    data: String,
}

/// Reads images. One that is missing or none is an error: a service would answer about something nobody sees.
pub(super) async fn images(paths: &[PathBuf]) -> Result<Vec<Image>, Error> {
    let mut images = Vec::new();
    for path in paths {
        let no = |why| Error::NoImage {
            path: path.clone(),
            why,
        };
        let unreadable = |source| Error::Image {
            path: path.clone(),
            source,
        };
        if images.len() == MOST_IMAGES {
            return Err(no("there are more than 20"));
        }
        let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
        if size > LARGEST_IMAGE {
            return Err(no("it is larger than 10 MiB"));
        }
        let bytes = tokio::fs::read(path).await.map_err(unreadable)?;
        let kind = kind(&bytes).ok_or_else(|| no("it is no PNG, JPEG, GIF or WebP"))?;
        images.push(Image {
            kind,
            data: STANDARD.encode(bytes),
        });
    }
    Ok(images)
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if bytes.starts_with(b"GIF8") {
        Some("image/gif")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

/// Returns the headers; the key is marked so that no log shows it.
pub(super) fn headers(wire: Wire, key: &Secret) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("text/event-stream, application/json"),
    );
    let (name, value) = match wire {
        Wire::Responses => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        Wire::Messages => {
            headers.insert(
                "anthropic-version",
                HeaderValue::from_static(MESSAGES_VERSION),
            );
            (
                reqwest::header::HeaderName::from_static("x-api-key"),
                key.expose().to_owned(),
            )
        }
    };
    // Checked when the agent was made.
    if let Ok(mut value) = HeaderValue::from_str(&value) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers
}

/// Writes the request.
pub(super) fn body(
    wire: Wire,
    model: &str,
    task: &AgentTask,
    images: &[Image],
    output_tokens: u64,
) -> Value {
    let schema = task.schema.as_ref().map(loosened);
    match wire {
        Wire::Responses => {
            let mut content = vec![json!({"type": "input_text", "text": task.prompt})];
            content.extend(images.iter().map(|image| {
                let url = format!("data:{};base64,{}", image.kind, image.data);
                json!({"type": "input_image", "detail": "auto", "image_url": url})
            }));
            let mut body = json!({
                "model": model,
                "stream": true,
                // Nothing of an issue stays with the service for later requests.
                "store": false,
                "max_output_tokens": output_tokens,
                "input": [{"role": "user", "content": content}],
            });
            if let Some(schema) = schema {
                body["text"] = json!({
                    "format": {"type": "json_schema", "name": "answer", "strict": true, "schema": schema},
                });
            }
            body
        }
        Wire::Messages => {
            let mut content: Vec<Value> = images
                .iter()
                .map(|image| {
                    let source =
                        json!({"type": "base64", "media_type": image.kind, "data": image.data});
                    json!({"type": "image", "source": source})
                })
                .collect();
            content.push(json!({"type": "text", "text": task.prompt}));
            let mut body = json!({
                "model": model,
                "stream": true,
                "max_tokens": output_tokens,
                "messages": [{"role": "user", "content": content}],
            });
            if let Some(schema) = schema {
                body["output_config"] =
                    json!({"format": {"type": "json_schema", "schema": schema}});
            }
            body
        }
    }
}

/// Leaves out of a schema the bounds that services refuse to enforce; we check the answer against the whole of it.
fn loosened(schema: &Value) -> Value {
    const BOUNDS: [&str; 13] = [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minItems",
        "maxItems",
        "uniqueItems",
        "default",
    ];
    match schema {
        Value::Object(object) => {
            let kept = object
                .iter()
                .filter(|(key, _)| !BOUNDS.contains(&key.as_str()));
            let inner = kept.map(|(key, value)| {
                let value = match (key.as_str(), value) {
                    // Names of fields, which may be any word.
                    ("properties" | "$defs", Value::Object(fields)) => fields
                        .iter()
                        .map(|(name, s)| (name.clone(), loosened(s)))
                        .collect(),
                    ("enum" | "const" | "required", value) => value.clone(),
                    (_, value) => loosened(value),
                };
                (key.clone(), value)
            });
            inner.collect()
        }
        Value::Array(items) => items.iter().map(loosened).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_left_out_and_names_are_kept() {
        let schema = json!({
            "type": "object", "required": ["format"], "additionalProperties": false,
            "properties": {
                "format": {"type": "string", "maxLength": 3, "enum": ["a", "b"]},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "list": {"type": "array", "maxItems": 2, "items": {"type": "string", "pattern": "x"}},
            },
        });
        assert_eq!(
            loosened(&schema),
            json!({
                "type": "object", "required": ["format"], "additionalProperties": false,
                "properties": {
                    "format": {"type": "string", "enum": ["a", "b"]},
                    "confidence": {"type": "number"},
                    "list": {"type": "array", "items": {"type": "string"}},
                },
            })
        );
    }
}
