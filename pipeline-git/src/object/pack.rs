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
use std::io::BufWriter;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use flate2::Compress;
use flate2::Compression;
use flate2::Crc;
use flate2::FlushCompress;
use flate2::Status;
use pipeline_core::random::nonce;

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

/// A pack on its way into a file, under a name nothing looks for.
struct Writing {
    folder: PathBuf,
    begun: PathBuf,
    file: BufWriter<fs::File>,
    sum: Sum,
    format: ObjectFormat,
    length: u64,
    places: BTreeMap<Oid, Place>,
}

impl Writing {
    fn begin(directory: &Path, format: ObjectFormat, objects: usize) -> io::Result<Self> {
        let folder = folder_of(directory);
        fs::create_dir_all(&folder)?;
        let begun = folder.join(format!("tmp_pack_{}", nonce()));
        let mut writing = Self {
            file: BufWriter::new(fs::File::create(&begun)?),
            folder,
            begun,
            sum: Sum::new(format),
            format,
            length: 0,
            places: BTreeMap::new(),
        };
        writing.put(b"PACK\0\0\0\x02")?;
        writing.put(&number(objects)?)?;
        Ok(writing)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn add(&mut self, oid: Oid, packed: &[u8], crc: u32) -> io::Result<()> {
        let place = Place {
            offset: self.length,
            length: packed.len() as u64,
            crc,
        };
        self.places.insert(oid, place);
        self.put(packed)
    }

    /// Gives pack and index their names, unsynced.
    fn end(mut self) -> io::Result<Pack> {
        let sum = self.sum.end();
        self.file.write_all(&sum)?;
        self.file.into_inner()?;
        let file = self.folder.join(format!("pack-{}.pack", hex::encode(&sum)));
        let places = self.places;
        if file.exists() && index_of(&file).exists() {
            // The same bytes; a git may have them open.
            fs::remove_file(self.begun)?;
            return Ok(Pack { file, places });
        }
        fs::rename(self.begun, &file)?;
        // A git that stays takes note of the pack as soon as its index has its name.
        let begun = self.folder.join(format!("tmp_idx_{}", nonce()));
        fs::write(&begun, index(&places, &sum, self.format)?)?;
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
    let mut pack = Writing::begin(quarantine, format, objects.len())?;
    let mut compress = Compress::new(Compression::fast(), true);
    for (oid, kind, content) in objects {
        let packed = encode(*kind, content, &mut compress)?;
        pack.add(*oid, &packed, crc_of(&packed))?;
    }
    pack.end()
}

/// Keeps a pack out of reach of a `git repack` that runs meanwhile, until a ref names what is in it.
///
/// Loose objects that nothing names are left alone for days; a pack is taken apart at once, without what nothing names.
/// This is git's own way to protect what a push brings, until its refs are set.
#[derive(Debug)]
pub(crate) struct Guard(PathBuf);

impl Drop for Guard {
    fn drop(&mut self) {
        // One that stays costs space, and the next session takes it away.
        drop(fs::remove_file(&self.0));
    }
}

/// What stands in a guard, so that nobody else's is taken for ours.
const GUARD: &str = "issue pipeline: no ref names it yet\n";
/// Nobody takes so long to set a ref.
const GUARDED: Duration = Duration::from_secs(3600);

/// Takes away the guards of processes that died between keeping and naming.
pub(crate) fn sweep_guards(objects: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder_of(objects)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new("keep")) {
            continue;
        }
        let age = fs::metadata(&path).and_then(|about| about.modified());
        let old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > GUARDED));
        if old && fs::read(&path).is_ok_and(|content| content == GUARD.as_bytes()) {
            drop(Guard(path));
        }
    }
    Ok(())
}

/// Joins the packs of a quarantine to one and moves it into the repository so that it survives a power cut.
pub(crate) fn keep(
    packs: &[Arc<Pack>],
    quarantine: &Path,
    objects: &Path,
    format: ObjectFormat,
) -> io::Result<Guard> {
    let mut of_pack = BTreeMap::new();
    for (nth, pack) in packs.iter().enumerate() {
        of_pack.extend(pack.places.keys().map(|oid| (*oid, nth)));
    }
    let mut joined = Writing::begin(quarantine, format, of_pack.len())?;
    for (nth, pack) in packs.iter().enumerate() {
        let file = fs::File::open(&pack.file)?;
        for (oid, place) in &pack.places {
            // One that stands in several of them is taken once.
            if of_pack.get(oid) == Some(&nth) {
                let length = usize::try_from(place.length).map_err(io::Error::other)?;
                let mut packed = vec![0; length];
                file.read_exact_at(&mut packed, place.offset)?;
                joined.add(*oid, &packed, place.crc)?;
            }
        }
    }
    let pack = joined.end()?;
    let to = folder_of(objects);
    fs::create_dir_all(&to)?;
    let target = to.join(pack.file.file_name().unwrap_or_default());
    let guard = Guard(target.with_extension("keep"));
    fs::write(&guard.0, GUARD)?;
    if target.exists() && index_of(&target).exists() {
        // It was kept before, by somebody who may have died before the last step; and it is as young as its use.
        fs::File::open(&target)?.set_modified(SystemTime::now())?;
        sync_dir(&to)?;
        return Ok(guard);
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
    sync_dir(&to)?;
    Ok(guard)
}

fn folder_of(objects: &Path) -> PathBuf {
    objects.join("pack")
}

fn index_of(pack: &Path) -> PathBuf {
    pack.with_extension(OsStr::new("idx"))
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
    let mut sum = Sum::new(format);
    sum.update(&bytes);
    bytes.extend(sum.end());
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

/// What a pack and its index end with: it finds damage and names nothing, so no collision is looked for.
enum Sum {
    Sha1(Box<sha1_checked::Sha1>),
    Sha256(sha2::Sha256),
}

impl Sum {
    fn new(format: ObjectFormat) -> Self {
        match format {
            ObjectFormat::Sha1 => {
                let plain = sha1_checked::Builder::default().detect_collision(false);
                Self::Sha1(Box::new(plain.build()))
            }
            ObjectFormat::Sha256 => Self::Sha256(sha2::Sha256::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => sha1_checked::Digest::update(hasher.as_mut(), bytes),
            Self::Sha256(hasher) => sha2::Digest::update(hasher, bytes),
        }
    }

    fn end(self) -> Vec<u8> {
        match self {
            Self::Sha1(hasher) => sha1_checked::Digest::finalize(*hasher).to_vec(),
            Self::Sha256(hasher) => sha2::Digest::finalize(hasher).to_vec(),
        }
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
                let guard = keep(&packs, &quarantine, &into, format).expect("kept");
                // Nothing names it, and yet it stays.
                testing::git(&repository, &["repack", "-a", "-d", "--quiet"]);
                assert!(there(&first[1].0));
                drop(guard);
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
    fn only_an_old_guard_of_ours_is_taken_away() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let folder = folder_of(dir.path());
        fs::create_dir_all(&folder).expect("made");
        let long_ago = SystemTime::now() - 2 * GUARDED;
        for (name, content, at) in [
            ("old", GUARD, long_ago),
            ("young", GUARD, SystemTime::now()),
            ("other", "fetch-pack 7 on elsewhere\n", long_ago),
        ] {
            let path = folder.join(format!("pack-{name}.keep"));
            fs::write(&path, content).expect("written");
            let file = fs::File::options().write(true).open(path);
            file.expect("there").set_modified(at).expect("dated");
        }
        sweep_guards(dir.path()).expect("swept");
        let left = fs::read_dir(&folder).expect("readable");
        let mut left: Vec<_> = left.map(|e| e.expect("readable").file_name()).collect();
        left.sort();
        assert_eq!(left, ["pack-other.keep", "pack-young.keep"]);
        sweep_guards(&dir.path().join("none")).expect("nothing to sweep");
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
