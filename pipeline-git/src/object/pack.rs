//! Packs: many objects in one file, so that staging and syncing them costs what one file costs.
//!
//! Every patch makes a blob for each file, a tree for each folder above it and a commit. As loose objects each of
//! them would be created and synced alone, and its directory too; in a pack all of a candidate are two files.
//! Objects stand in it whole, never as differences, so packs are joined by copying their bytes.
//!
//! The format: <https://git-scm.com/docs/pack-format>, pack version 2 and index version 2.

mod guard;

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
use std::time::SystemTime;

use flate2::Compress;
use flate2::Compression;
use flate2::Crc;
use flate2::FlushCompress;
use flate2::Status;
use pipeline_core::random::nonce;

use crate::object::loose::place;
use crate::object::loose::sync_dir;
pub(crate) use crate::object::pack::guard::Guard;
pub(crate) use crate::object::pack::guard::sweep as sweep_guards;
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
    let guard = Guard::over(&target)?;
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
mod tests;
