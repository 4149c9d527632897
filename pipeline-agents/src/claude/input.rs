//! A prompt with images, as one line of JSON on standard input.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;

use crate::cli::Image;

/// Returns the line.
pub(super) fn with_images(prompt: &str, images: &[Image]) -> Vec<u8> {
    let image = |image: &Image| {
        json!({ "type": "image", "source": {
            "type": "base64",
            "media_type": image.media_type,
            "data": STANDARD.encode(&image.bytes),
        } })
    };
    let content: Vec<Value> = [json!({ "type": "text", "text": prompt })]
        .into_iter()
        .chain(images.iter().map(image))
        .collect();
    let line = json!({ "type": "user", "message": { "role": "user", "content": content } });
    let mut line = line.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line() {
        let image = Image {
            path: "/a.png".into(),
            media_type: "image/png",
            bytes: vec![0, 255],
        };
        let line = String::from_utf8(with_images("a\nb", &[image])).unwrap();
        insta::assert_snapshot!(line.trim_end(), @r#"{"message":{"content":[{"text":"a\nb","type":"text"},{"source":{"data":"AP8=","media_type":"image/png","type":"base64"},"type":"image"}],"role":"user"},"type":"user"}"#);
        assert_eq!(line.matches('\n').count(), 1);
    }
}
