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
    let shown = testing::git_reading(dir.path(), &["show-index", "--object-format=sha1"], input);
    let mut expected: Vec<String> = places
        .iter()
        .map(|(oid, place)| format!("{} {oid} (00000007)", place.offset))
        .collect();
    expected.sort();
    let mut lines: Vec<&str> = shown.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
}
