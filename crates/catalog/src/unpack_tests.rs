//! Archives that are taken, and those that are not.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use tar::{Builder, Header};

fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, link: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    // As is: the checked setters refuse what these tests need.
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    entries.iter().for_each(|(kind, path, link)| entry(&mut builder, *kind, path, link, b"x"));
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn refusal(archive: &[u8]) -> String {
    unpack("c.tgz", archive).unwrap_err().to_string()
}

#[test]
fn a_tree_comes_back_from_its_archive() {
    let tree = Memory::new("a").with("x/package.yaml", "x").with(format!("x/{}", "n".repeat(120)), "long");
    let packed = pack_tree(&tree).unwrap();
    assert_eq!(packed, pack_tree(&tree.clone().renamed("b")).unwrap());
    for bytes in [gzip(&packed), packed] {
        let back = unpack("c", bytes.as_slice()).unwrap();
        assert!(back.files().eq(tree.files()));
    }
    // Archives of `git archive` begin with a comment.
    let file = (EntryType::Regular, "./a/package.yaml", "");
    let bytes = tar(&[(EntryType::XGlobalHeader, "pax_global_header", ""), (EntryType::Directory, "a/", ""), file]);
    assert_eq!(unpack("c", bytes.as_slice()).unwrap().files().map(|(p, _)| p).collect::<Vec<_>>(), ["a/package.yaml"]);
}

#[test]
fn paths_that_lead_out_and_links_are_refused() {
    let file = EntryType::Regular;
    for (entries, wanted) in [
        (&[(file, "../evil", "")][..], "cannot take ../evil: its path leads out of the archive"),
        (&[(file, "a/../../evil", "")], "its path leads out of the archive"),
        (&[(file, "/etc/passwd", "")], "cannot take /etc/passwd: its path is absolute"),
        (&[(file, "a\\..\\b", "")], "its path leads out of the archive"),
        (&[(EntryType::Symlink, "a", "/etc")], "cannot take a: it is a link"),
        (&[(EntryType::Link, "a", "/etc/passwd")], "cannot take a: it is a link"),
        (&[(EntryType::Char, "a", "")], "it is neither a file nor a directory"),
        (&[(EntryType::Fifo, "a", "")], "it is neither a file nor a directory"),
        (&[(file, ".", "")], "cannot take .: it has no path"),
        (&[(file, "a", ""), (file, "./a", "")], "cannot take a: it comes twice"),
        (&[(file, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r", "")], "bytes or 16 directories"),
    ] {
        let is = refusal(&gzip(&tar(entries)));
        assert!(is.contains(wanted), "{is}");
    }
    assert!(refusal(b"no tar at all, but long enough to be one".repeat(20).as_slice()).contains("cannot read c.tgz"));
    assert!(refusal(&gzip(&tar(&[(file, "a", "")]))[..30]).contains("cannot read c.tgz"));
}

#[test]
fn bombs_are_refused_before_they_are_unpacked() {
    // 5 MiB of zeros in one file.
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "big", "", &vec![0; 5 << 20]);
    let packed = gzip(&builder.into_inner().unwrap());
    assert!(packed.len() < 100_000);
    assert_eq!(refusal(&packed), "cannot take big: it has 5242880 bytes; a file has 4 MiB at most");

    // A header that declares more than there is.
    let mut header = Header::new_gnu();
    header.set_path("huge").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    assert!(refusal(&gzip(header.as_bytes())).contains("cannot take huge: it has 1099511627776 bytes"));

    let mut builder = Builder::new(Vec::new());
    (0..17).for_each(|i| entry(&mut builder, EntryType::Regular, &format!("f{i}"), "", &vec![0; 4 << 20]));
    assert_eq!(refusal(&gzip(&builder.into_inner().unwrap())), "cannot take f16: a catalog has 64 MiB at most");

    let mut builder = Builder::new(Vec::new());
    (0..=FILES).for_each(|i| entry(&mut builder, EntryType::Regular, &format!("f{i}"), "", b""));
    assert!(refusal(&gzip(&builder.into_inner().unwrap())).contains("a catalog has 20000 files at most"));
}

#[test]
fn a_path_cannot_change_the_terminal() {
    for path in ["db/\u{1b}[2Jx", "a\nb", "a\u{9b}2K", "a\rb"] {
        let refused = refusal(&tar(&[(EntryType::Regular, path, "")]));
        assert!(refused.contains("its path has a control character"), "{refused}");
        assert!(!refused.contains(char::is_control), "{refused:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a\u{1b}[8m"), "x").unwrap();
    let refused = read_directory(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("its path has a control character") && !refused.contains(char::is_control), "{refused:?}");
}

#[test]
fn a_directory_has_the_same_rules() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/.git")).unwrap();
    fs::write(dir.path().join("a/package.yaml"), "x").unwrap();
    fs::write(dir.path().join("a/.git/config"), "x").unwrap();
    let tree = read_directory(dir.path()).unwrap();
    assert_eq!(tree.files().map(|(p, _)| p).collect::<Vec<_>>(), ["a/package.yaml"]);
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a/link")).unwrap();
    assert!(read_directory(dir.path()).unwrap_err().to_string().contains("a/link: it is a link"));
    assert!(read_directory(Path::new("/nowhere")).unwrap_err().to_string().contains("cannot read /nowhere"));
}
