//! A log, line by line, wherever it is.

use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;

use memchr::memchr;

use super::AnalyzeError;
use super::clean::LINE_CAP;
use super::request::LogSource;

/// How much of a file or stream is read at once, in bytes.
pub(super) const READ_BUFFER: usize = 256 << 10;

pub(super) fn feed(log: &LogSource, take: &mut dyn FnMut(&[u8])) -> Result<(), AnalyzeError> {
    match log {
        LogSource::Text(text) => {
            each_line(text.as_bytes(), take);
            Ok(())
        }
        LogSource::JsonLines(text) => {
            each_line(text.as_bytes(), &mut |line| {
                match json_text(line) {
                    // A collector may join lines; the record stays one line of the log.
                    Some(text) => take(text.trim_end().replace('\n', " ").as_bytes()),
                    None => take(line),
                }
            });
            Ok(())
        }
        LogSource::File(path) => read_file(path, take).map_err(|source| AnalyzeError::ReadLog {
            path: path.clone(),
            source,
        }),
    }
}

fn json_text(line: &[u8]) -> Option<String> {
    let record: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
    ["log", "message", "msg", "line", "text"]
        .iter()
        .find_map(|key| record.get(*key)?.as_str())
        .map(str::to_owned)
}

fn each_line(text: &[u8], take: &mut dyn FnMut(&[u8])) {
    let mut rest = text;
    while let Some(at) = memchr(b'\n', rest) {
        take(&rest[..at]);
        rest = &rest[at + 1..];
    }
    if !rest.is_empty() {
        take(rest);
    }
}

fn read_file(path: &Path, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut file = BufReader::with_capacity(READ_BUFFER, File::open(path)?);
    split(&mut file, &mut 0, take)
}

/// Splits a stream into lines; of a line longer than twice the cap only head and tail are kept.
pub(super) fn split(
    stream: &mut dyn BufRead,
    bytes: &mut u64,
    take: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    let mut begun: Vec<u8> = Vec::new();
    loop {
        let chunk = match stream.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut rest = chunk;
        while let Some(at) = memchr(b'\n', rest) {
            if begun.is_empty() {
                take(&rest[..at]);
            } else {
                extend_capped(&mut begun, &rest[..at]);
                take(&begun);
                begun.clear();
            }
            rest = &rest[at + 1..];
        }
        extend_capped(&mut begun, rest);
        let used = chunk.len();
        *bytes += used as u64;
        stream.consume(used);
    }
    if !begun.is_empty() {
        take(&begun);
    }
    Ok(())
}

fn extend_capped(line: &mut Vec<u8>, more: &[u8]) {
    line.extend_from_slice(more);
    if line.len() > 16 * LINE_CAP {
        let tail = line.len() - LINE_CAP;
        line.copy_within(tail.., LINE_CAP);
        line.truncate(2 * LINE_CAP);
    }
}
