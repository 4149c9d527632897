//! Index files: copied so that git still knows which entries to doubt.

use std::fs;
use std::io;
use std::path::Path;

/// Copies an index with its time.
///
/// git takes a file for unchanged if size and times match the entry, unless the file is as young as
/// the index itself; then it compares the content. A copy with a later time would end that doubt, and
/// a file that was changed in the moment of its checkout would be missed.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let modified = fs::metadata(from)?.modified()?;
    fs::copy(from, to)?;
    fs::File::options()
        .write(true)
        .open(to)?
        .set_modified(modified)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::SystemTime;

    #[test]
    fn a_copy_is_as_old_as_the_original() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, "x").expect("written");
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let file = std::fs::File::options()
            .write(true)
            .open(&from)
            .expect("opens");
        file.set_modified(old).expect("set");
        super::copy(&from, &to).expect("copied");
        assert_eq!(
            std::fs::metadata(&to)
                .expect("there")
                .modified()
                .expect("a time"),
            old
        );
    }
}
