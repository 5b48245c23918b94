//! As much of file systems' superblocks as tells their size and whether they were ever used.
//!
//! Sources: ext4's disk layout (kernel documentation, `filesystems/ext4/super.rst`: the superblock
//! lies at byte 1024, little endian); XFS Algorithms & Data Structures, "Superblocks" (byte 0, big
//! endian).

use stackyard_core::text::hex;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What a superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) kind: Kind,
    /// UUID of the file system, 32 hexadecimal digits.
    pub(super) uuid: String,
    /// Size of the file system, in bytes.
    pub(super) size: u64,
    /// It was never mounted (ext4), or its making was not finished (XFS): nobody can have stored
    /// anything in it.
    pub(super) unused: bool,
}

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// ext2, ext3, ext4
    Ext,
    Xfs,
}

/// Reads the superblock of a device; nothing when it has none of these.
pub(super) fn read(device: &Path) -> io::Result<Option<Superblock>> {
    let file = File::open(device)?;
    let mut block = [0; 4096];
    match file.read_exact_at(&mut block, 0) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    Ok(parse(&block))
}

fn parse(block: &[u8; 4096]) -> Option<Superblock> {
    if block.starts_with(b"XFSB") {
        let bytes = be(&block[4..8]).checked_mul(be(&block[8..16]))?;
        return Some(Superblock { kind: Kind::Xfs, uuid: hex(&block[32..48]), size: bytes, unused: block[126] != 0 });
    }
    let ext = &block[1024..2048];
    if ext[56..58] != [0x53, 0xef] {
        return None;
    }
    let blocks = le(&ext[4..8]) | if le(&ext[0x60..0x64]) & 0x80 != 0 { le(&ext[0x150..0x154]) << 32 } else { 0 };
    let size = 1024_u64.checked_shl(u32::try_from(le(&ext[24..28])).ok()?)?.checked_mul(blocks)?;
    Some(Superblock { kind: Kind::Ext, uuid: hex(&ext[104..120]), size, unused: le(&ext[44..48]) == 0 })
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

fn le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}
