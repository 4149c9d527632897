//! Packs: many objects in one file, so that staging and syncing them costs what one file costs.
//!
//! Every patch makes a blob for each file, a tree for each folder above it and a commit. As loose objects each of
//! them would be created and synced alone, and its directory too; in a pack all of a candidate are two files.
//! Objects stand in it whole, never as differences, so packs are joined by copying their bytes.
//!
//! The format: <https://git-scm.com/docs/pack-format>, pack version 2 and index version 2.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use flate2::Compress;
use flate2::Compression;
use flate2::Crc;
use flate2::FlushCompress;
use flate2::Status;
use pipeline_core::random::nonce;
use sha2::Digest as _;

use crate::object::loose::place;
use crate::object::loose::sync_dir;
use crate::oid::Kind;
use crate::oid::ObjectFormat;
use crate::oid::Oid;

/// Offsets from here on do not fit into an entry of the index.
const FAR: u64 = 1 << 31;

/// Where an object stands in a pack.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    length: u64,
    crc: u32,
}

/// A pack in a quarantine that this process wrote.
#[derive(Debug)]
pub(crate) struct Pack {
    file: PathBuf,
    places: BTreeMap<Oid, Place>,
}

/// The bytes of a pack as it is put together.
#[derive(Debug)]
struct Builder {
    bytes: Vec<u8>,
    places: BTreeMap<Oid, Place>,
}

impl Builder {
    fn new(objects: usize) -> io::Result<Self> {
        let mut bytes = b"PACK\0\0\0\x02".to_vec();
        bytes.extend(number(objects)?);
        Ok(Self {
            bytes,
            places: BTreeMap::new(),
        })
    }

    fn add(&mut self, oid: Oid, packed: &[u8], crc: u32) {
        let place = Place {
            offset: self.bytes.len() as u64,
            length: packed.len() as u64,
            crc,
        };
        self.places.insert(oid, place);
        self.bytes.extend_from_slice(packed);
    }

    /// Writes pack and index into an object directory, unsynced, and returns the pack.
    fn write(mut self, objects: &Path, format: ObjectFormat) -> io::Result<Pack> {
        let sum = checksum(format, &self.bytes);
        self.bytes.extend_from_slice(&sum);
        let index = index(&self.places, &sum, format)?;
        let folder = folder_of(objects);
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("pack-{}.pack", hex::encode(&sum)));
        let places = self.places;
        if index_of(&file).exists() {
            // A git may have it open: written anew, it would be cut under its hands.
            return Ok(Pack { file, places });
        }
        fs::write(&file, &self.bytes)?;
        // A git that stays takes note of the pack as soon as its index has its name.
        let begun = folder.join(format!("tmp_idx_{}", nonce()));
        fs::write(&begun, index)?;
        fs::rename(begun, index_of(&file))?;
        Ok(Pack { file, places })
    }
}

/// Writes objects into the pack of a quarantine, unsynced.
pub(crate) fn stage(
    quarantine: &Path,
    format: ObjectFormat,
    objects: &[(Oid, Kind, Arc<[u8]>)],
) -> io::Result<Pack> {
    let mut pack = Builder::new(objects.len())?;
    let mut compress = Compress::new(Compression::fast(), true);
    for (oid, kind, content) in objects {
        let packed = encode(*kind, content, &mut compress)?;
        pack.add(*oid, &packed, crc_of(&packed));
    }
    pack.write(quarantine, format)
}

/// Joins the packs of a quarantine to one and moves it into the repository so that it survives a power cut.
pub(crate) fn keep(
    packs: &[Arc<Pack>],
    quarantine: &Path,
    objects: &Path,
    format: ObjectFormat,
) -> io::Result<()> {
    let mut of_pack = BTreeMap::new();
    for (nth, pack) in packs.iter().enumerate() {
        of_pack.extend(pack.places.keys().map(|oid| (*oid, nth)));
    }
    let mut joined = Builder::new(of_pack.len())?;
    for (nth, pack) in packs.iter().enumerate() {
        let bytes = fs::read(&pack.file)?;
        for (oid, place) in &pack.places {
            // One that stands in several of them is taken once.
            if of_pack.get(oid) == Some(&nth) {
                let packed = part(&bytes, place).ok_or_else(|| damaged(&pack.file))?;
                joined.add(*oid, packed, place.crc);
            }
        }
    }
    let pack = joined.write(quarantine, format)?;
    let to = folder_of(objects);
    fs::create_dir_all(&to)?;
    let target = to.join(pack.file.file_name().unwrap_or_default());
    if index_of(&target).exists() {
        // The same objects in the same order were kept before.
        return Ok(());
    }
    let mut moves = Vec::new();
    // The index last: without it git sees no pack.
    for (from, to) in [
        (pack.file.clone(), target.clone()),
        (index_of(&pack.file), index_of(&target)),
    ] {
        // The one in the quarantine stays for the gits that have it open.
        let moved = from.with_extension(format!("keep-{}", nonce()));
        fs::hard_link(&from, &moved).or_else(|_| fs::copy(&from, &moved).map(drop))?;
        moves.push((moved, to));
    }
    place(&moves)?;
    sync_dir(&to)
}

fn folder_of(objects: &Path) -> PathBuf {
    objects.join("pack")
}

fn index_of(pack: &Path) -> PathBuf {
    pack.with_extension(OsStr::new("idx"))
}

fn part<'b>(bytes: &'b [u8], place: &Place) -> Option<&'b [u8]> {
    let from = usize::try_from(place.offset).ok()?;
    let length = usize::try_from(place.length).ok()?;
    bytes.get(from..from.checked_add(length)?)
}

fn damaged(file: &Path) -> io::Error {
    let why = format!("{} is not as it was written", file.display());
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Returns an object as it stands in a pack: its kind and size, then its content, compressed.
///
/// The compressor is handed in, since making one costs more than compressing a small object.
fn encode(kind: Kind, content: &[u8], compress: &mut Compress) -> io::Result<Vec<u8>> {
    let code: u8 = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let mut left = content.len();
    let mut byte = (code << 4) | low(left, 4);
    left >>= 4;
    let mut packed = Vec::new();
    while left > 0 {
        packed.push(byte | 0x80);
        byte = low(left, 7);
        left >>= 7;
    }
    packed.push(byte);
    compress.reset();
    loop {
        // Most text becomes smaller; where this is not enough room, the next round makes more.
        packed.reserve(content.len() / 2 + 64);
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let left = content.get(taken..).unwrap_or_default();
        let status = compress
            .compress_vec(left, &mut packed, FlushCompress::Finish)
            .map_err(io::Error::other)?;
        if status == Status::StreamEnd {
            return Ok(packed);
        }
    }
}

/// Returns the lowest bits of a number.
fn low(number: usize, bits: u32) -> u8 {
    u8::try_from(number & ((1 << bits) - 1)).unwrap_or(0)
}

/// Returns the index of a pack.
fn index(places: &BTreeMap<Oid, Place>, pack: &[u8], format: ObjectFormat) -> io::Result<Vec<u8>> {
    let mut bytes = b"\xfftOc\0\0\0\x02".to_vec();
    let mut up_to = [0usize; 256];
    for oid in places.keys() {
        if let Some(first) = oid.as_bytes().first() {
            up_to[usize::from(*first)] += 1;
        }
    }
    let mut sum = 0;
    for count in up_to {
        sum += count;
        bytes.extend(number(sum)?);
    }
    for oid in places.keys() {
        bytes.extend_from_slice(oid.as_bytes());
    }
    for place in places.values() {
        bytes.extend(place.crc.to_be_bytes());
    }
    let mut far = Vec::new();
    for place in places.values() {
        match u32::try_from(place.offset) {
            Ok(near) if place.offset < FAR => bytes.extend(near.to_be_bytes()),
            _ => {
                let nth = u32::try_from(far.len()).map_err(|_| too_many())?;
                bytes.extend((nth | 0x8000_0000).to_be_bytes());
                far.push(place.offset);
            }
        }
    }
    for offset in far {
        bytes.extend(offset.to_be_bytes());
    }
    bytes.extend_from_slice(pack);
    let sum = checksum(format, &bytes);
    bytes.extend_from_slice(&sum);
    Ok(bytes)
}

fn number(count: usize) -> io::Result<[u8; 4]> {
    u32::try_from(count)
        .map(u32::to_be_bytes)
        .map_err(|_| too_many())
}

fn too_many() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "too many objects for a pack")
}

fn crc_of(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Returns what a pack and its index end with: it finds damage and names nothing, so no collision is looked for.
fn checksum(format: ObjectFormat, bytes: &[u8]) -> Vec<u8> {
    match format {
        ObjectFormat::Sha1 => {
            use sha1_checked::Digest as _;
            let plain = sha1_checked::Builder::default().detect_collision(false);
            let mut hasher = plain.build();
            hasher.update(bytes);
            hasher.finalize().to_vec()
        }
        ObjectFormat::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Returns objects of sizes around those at which the encoding grows, one of them the same for all.
    fn objects(format: ObjectFormat, of: u8) -> Vec<(Oid, Kind, Arc<[u8]>)> {
        let sizes = [0, 1, 15, 16, 2_047, 2_048, 300_000];
        let mut made = Vec::new();
        for size in sizes {
            let content = vec![of; size];
            let oid = format.name_of(Kind::Blob, &content).expect("no collision");
            made.push((oid, Kind::Blob, content.into()));
        }
        // Nothing of this becomes smaller.
        let noise: Vec<u8> = (0..100_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0] ^ of)
            .collect();
        let oid = format.name_of(Kind::Blob, &noise).expect("no collision");
        made.push((oid, Kind::Blob, noise.into()));
        made.sort_by_key(|(oid, ..)| *oid);
        made.dedup_by_key(|(oid, ..)| *oid);
        made
    }

    #[test]
    fn git_finds_whole_what_was_joined_and_nothing_of_it_before() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let dir = tempfile::tempdir().expect("temporary directory");
            let option = format!("--object-format={}", format.name());
            testing::git(dir.path(), &["init", "--quiet", "--bare", &option, "r.git"]);
            let repository = dir.path().join("r.git");
            let (quarantine, into) = (dir.path().join("q"), repository.join("objects"));
            let (first, second) = (objects(format, b'a'), objects(format, b'b'));
            // The empty blob is in both.
            let packs = [&first, &second]
                .map(|objects| Arc::new(stage(&quarantine, format, objects).expect("staged")));
            let there = |oid: &Oid| testing::try_git(&repository, &["cat-file", "-e", &oid.hex()]);
            assert!(!there(&first[1].0), "nothing is placed before it is kept");
            for _ in 0..2 {
                keep(&packs, &quarantine, &into, format).expect("kept");
            }
            testing::git(&repository, &["fsck", "--strict", "--no-dangling"]);
            for (oid, _, content) in first.iter().chain(&second) {
                assert!(there(oid));
                let size = testing::git(&repository, &["cat-file", "-s", &oid.hex()]);
                assert_eq!(size.trim(), content.len().to_string());
            }
            let listed = fs::read_dir(folder_of(&into)).expect("readable");
            let mut names: Vec<PathBuf> = listed.map(|e| e.expect("readable").path()).collect();
            names.sort();
            assert_eq!(names.len(), 2, "one pack for all: {names:?}");
            for name in &names {
                let about = fs::metadata(name).expect("there");
                assert!(about.permissions().readonly(), "{}", name.display());
            }
            let pack = names[1].to_str().expect("UTF-8");
            testing::git(&repository, &["verify-pack", pack]);
        }
    }

    #[test]
    fn what_stands_far_behind_is_found_by_the_long_table() {
        let format = ObjectFormat::Sha1;
        let named = |content: &[u8]| format.name_of(Kind::Blob, content).expect("no collision");
        let place = |offset| Place {
            offset,
            length: 1,
            crc: 7,
        };
        let places = BTreeMap::from([
            (named(b"a"), place(12)),
            (named(b"b"), place(FAR - 1)),
            (named(b"c"), place(FAR)),
            (named(b"d"), place(5 * FAR)),
        ]);
        let dir = tempfile::tempdir().expect("temporary directory");
        let bytes = index(&places, &[9; 20], format).expect("fits");
        let file = dir.path().join("far.idx");
        fs::write(&file, bytes).expect("written");
        let input = fs::File::open(file).expect("there");
        let shown =
            testing::git_reading(dir.path(), &["show-index", "--object-format=sha1"], input);
        let mut expected: Vec<String> = places
            .iter()
            .map(|(oid, place)| format!("{} {oid} (00000007)", place.offset))
            .collect();
        expected.sort();
        let mut lines: Vec<&str> = shown.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, expected);
    }
}
