//! What a file is, by its content alone.

use serde::Deserialize;
use serde::Serialize;

use super::AttachmentLimits;
use super::NotTaken;

/// A kind of file that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A PNG picture.
    Png,
    /// A JPEG picture.
    Jpeg,
    /// A GIF picture.
    Gif,
    /// A WebP picture.
    Webp,
    /// A PDF document: stored, not shown.
    Pdf,
    /// JSON.
    Json,
    /// A table with the same separators in each of its first lines.
    Csv,
    /// Any other text: logs, source, HTML, SVG.
    Text,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Png,
        Self::Jpeg,
        Self::Gif,
        Self::Webp,
        Self::Pdf,
        Self::Json,
        Self::Csv,
        Self::Text,
    ];

    /// Returns the extension its files have.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Pdf => "pdf",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Text => "txt",
        }
    }

    /// Returns whether an agent may look at it as a picture.
    #[must_use]
    pub const fn is_picture(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::Gif | Self::Webp)
    }

    /// Returns whether its text enters the prompt.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Json | Self::Csv | Self::Text)
    }
}

/// Says what a file is, or why it is not taken.
pub(super) fn kind_of(bytes: &[u8], limits: &AttachmentLimits) -> Result<FileKind, NotTaken> {
    if bytes.is_empty() {
        return Err(NotTaken::Empty);
    }
    if bytes.len() as u64 > limits.bytes {
        return Err(NotTaken::TooLarge { most: limits.bytes });
    }
    if let Some(kind) = picture(bytes) {
        return measured(bytes, kind, limits);
    }
    if bytes.starts_with(b"%PDF-") {
        return Ok(FileKind::Pdf);
    }
    if is_archive(bytes) {
        return Err(NotTaken::Archive);
    }
    if is_text(bytes) {
        return Ok(text_kind(&decode(bytes)));
    }
    Err(NotTaken::UnknownType)
}

fn picture(bytes: &[u8]) -> Option<FileKind> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(FileKind::Png)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some(FileKind::Jpeg)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some(FileKind::Gif)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(FileKind::Webp)
    } else {
        None
    }
}

/// Reads the header only: nothing is decoded here, and nothing that is too large ever is.
fn measured(bytes: &[u8], kind: FileKind, limits: &AttachmentLimits) -> Result<FileKind, NotTaken> {
    let size = imagesize::blob_size(bytes).map_err(|_| NotTaken::BrokenPicture)?;
    let (width, height) = (size.width as u64, size.height as u64);
    if width == 0 || height == 0 {
        return Err(NotTaken::BrokenPicture);
    }
    if width.saturating_mul(height) > limits.pixels {
        return Err(NotTaken::TooManyPixels {
            width,
            height,
            most: limits.pixels,
        });
    }
    Ok(kind)
}

fn is_archive(bytes: &[u8]) -> bool {
    const SIGNATURES: [&[u8]; 9] = [
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ\x00",
        b"\x28\xb5\x2f\xfd",
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a\x07",
        b"!<arch>\n",
    ];
    SIGNATURES.iter().any(|s| bytes.starts_with(s)) || bytes.get(257..262) == Some(b"ustar")
}

/// How a text is written down.
#[derive(Clone, Copy)]
enum Writing {
    Utf8,
    Utf16Le,
    Utf16Be,
}

fn writing(bytes: &[u8]) -> (Writing, &[u8]) {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        (Writing::Utf8, rest)
    } else if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        (Writing::Utf16Le, rest)
    } else if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        (Writing::Utf16Be, rest)
    } else {
        (Writing::Utf8, bytes)
    }
}

/// Texts in other encodings count too (their letters become `�`): a log in an old encoding still shows its ASCII.
fn is_text(bytes: &[u8]) -> bool {
    let (writing, rest) = writing(bytes);
    match writing {
        Writing::Utf8 => {
            let controls = rest
                .iter()
                .filter(|b| matches!(b, 0x01..=0x06 | 0x0e..=0x1a | 0x1c..=0x1f))
                .count();
            !rest.contains(&0) && controls.saturating_mul(50) <= rest.len()
        }
        Writing::Utf16Le | Writing::Utf16Be => rest.len() % 2 == 0 && !decode(bytes).contains('\0'),
    }
}

/// Reads the text of a file; what is no text in it becomes `�`.
pub(super) fn decode(bytes: &[u8]) -> String {
    let (writing, rest) = writing(bytes);
    let wide = |read: fn([u8; 2]) -> u16| {
        let units = rest
            .chunks_exact(2)
            .map(|pair| <[u8; 2]>::try_from(pair).map_or(0, read));
        char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    match writing {
        Writing::Utf8 => String::from_utf8_lossy(rest).into_owned(),
        Writing::Utf16Le => wide(u16::from_le_bytes),
        Writing::Utf16Be => wide(u16::from_be_bytes),
    }
}

fn text_kind(text: &str) -> FileKind {
    let trimmed = text.trim_start();
    if trimmed.starts_with(['{', '['])
        && serde_json::from_str::<serde::de::IgnoredAny>(trimmed).is_ok()
    {
        return FileKind::Json;
    }
    for separator in [',', ';', '\t'] {
        let mut lines = text.lines().filter(|l| !l.trim().is_empty()).take(5);
        let columns = |line: &str| line.matches(separator).count();
        let first = lines.next().map_or(0, columns);
        let mut others = lines.peekable();
        if first > 0 && others.peek().is_some() && others.all(|l| columns(l) == first) {
            return FileKind::Csv;
        }
    }
    FileKind::Text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend(b"\x08\x06\0\0\0\0\0\0\0");
        bytes
    }

    fn kind(bytes: &[u8]) -> Result<FileKind, String> {
        kind_of(bytes, &AttachmentLimits::default()).map_err(|e| e.to_string())
    }

    fn gif(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"GIF89a".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend([0; 10]);
        bytes
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
        bytes.extend(b"\xff\xc0\0\x11\x08");
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend(b"\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xd9");
        bytes
    }

    fn webp(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\x01\0\x9d\x01\x2a".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend([0; 20]);
        bytes
    }

    #[test]
    fn kinds_are_known_by_their_content() {
        assert_eq!(kind(&png(10, 10)), Ok(FileKind::Png));
        assert_eq!(kind(&gif(10, 10)), Ok(FileKind::Gif));
        assert_eq!(kind(&jpeg(10, 10)), Ok(FileKind::Jpeg));
        assert_eq!(kind(&webp(10, 10)), Ok(FileKind::Webp));
        assert_eq!(kind(b"%PDF-1.7 x"), Ok(FileKind::Pdf));
        assert_eq!(kind(b" {\"a\": [1]}\n"), Ok(FileKind::Json));
        assert_eq!(kind(b"a;b\n1;2\n3;4\n"), Ok(FileKind::Csv));
        for text in [
            b"12:00 started\n12:01 \x1b[31mfailed\x1b[0m\n".as_slice(),
            b"<svg xmlns='x'><script/></svg>",
            b"<!doctype html><script>alert(1)</script>",
            b"#!/bin/sh\nrm -rf /\n",
            b"\xef\xbb\xbfwith a mark",
            b"\xff\xfeh\0i\0",
            b"\xfe\xff\0h\0i",
            b"\x83\x7b\x83\x5e\x83\x93 error\n",
            b"{\"a\": ",
        ] {
            assert_eq!(kind(text), Ok(FileKind::Text), "{text:?}");
        }
        assert_eq!(decode(b"\xff\xfeh\0i\0"), "hi");
        assert_eq!(decode(b"\xfe\xff\0h\xd8\x3d"), "h\u{fffd}");
    }

    #[test]
    fn what_is_not_taken_says_why() {
        let no = |bytes: &[u8]| kind(bytes).expect_err("not taken");
        insta::assert_snapshot!(no(b""), @"it is empty");
        insta::assert_snapshot!(no(b"PK\x03\x04 a zip or office file"), @"it is an archive, and archives are never opened");
        insta::assert_snapshot!(no(b"\x7fELF\x02\x01\x01\0\0"), @"its content is neither png, jpeg, gif, webp, pdf nor text");
        insta::assert_snapshot!(no(&png(20_000, 20_000)), @"it is a picture of 20000 × 20000 pixels, and at most 40000000 are looked at");
        insta::assert_snapshot!(no(&png(u32::MAX, u32::MAX)), @"it is a picture of 4294967295 × 4294967295 pixels, and at most 40000000 are looked at");
        insta::assert_snapshot!(no(&png(0, 5)), @"its header is not that of a whole picture");
        insta::assert_snapshot!(no(b"\x89PNG\r\n\x1a\n"), @"its header is not that of a whole picture");
        insta::assert_snapshot!(no(&vec![b'a'; (10 << 20) + 1]), @"it is larger than 10485760 bytes");
        for archive in [
            b"\x1f\x8b\x08".as_slice(),
            b"BZh9",
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
            b"7z\xbc\xaf\x27\x1c",
            b"Rar!\x1a\x07\0",
        ] {
            assert_eq!(no(archive), no(b"PK\x05\x06"), "{archive:?}");
        }
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(no(&tar), no(b"PK\x05\x06"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            start in prop::sample::select(vec![
                b"".as_slice(), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8X",
                b"\xff\xfe", b"%PDF-",
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [start, &rest].concat();
            if let Ok(kind) = kind_of(&bytes, &AttachmentLimits::default()) {
                prop_assert!(!kind.is_text() || !decode(&bytes).contains('\0'));
            }
        }
    }
}
