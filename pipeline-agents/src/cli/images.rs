//! Images, looked at before a program is told of them: one that is missing or broken is no error to it.

use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use super::Error;

/// The largest image that is given on.
const LARGEST: u64 = 10 << 20;

/// An image that is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Reads the images of a task.
pub(crate) fn look_at(paths: &[PathBuf]) -> Result<Vec<Image>, Error> {
    paths.iter().map(|path| image(path)).collect()
}

fn image(path: &Path) -> Result<Image, Error> {
    let unusable = |why: String| Error::Image {
        path: path.to_owned(),
        why,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| unusable(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(unusable(format!("it is larger than {LARGEST} bytes")));
    }
    let media_type = media_type(&bytes)
        .ok_or_else(|| unusable("it is no PNG, JPEG, GIF or WebP file".to_owned()))?;
    Ok(Image {
        path: path.to_owned(),
        media_type,
        bytes,
    })
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_an_image_is_given_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\nrest").unwrap();
        assert_eq!(
            look_at(std::slice::from_ref(&path)).unwrap()[0].media_type,
            "image/png"
        );
        std::fs::write(&path, "<svg/>").unwrap();
        let error = look_at(std::slice::from_ref(&path))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no PNG"), "{error}");
        let missing = look_at(&[dir.path().join("none")]).unwrap_err().to_string();
        assert!(missing.contains("cannot be given to a model"), "{missing}");
    }
}
