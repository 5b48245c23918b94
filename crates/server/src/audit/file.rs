//! The audit log in a file, for programs that collect logs: JSON lines.
//!
//! A thread of its own writes them, so that no request waits for a disk. What does not fit into its queue, or cannot be
//! written, is counted and missing in the file; the store has it. The file may be renamed or removed at any time: before
//! each line the thread looks whether the path still leads to the open file.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Lines that wait for the disk.
const WAITING: usize = 4096;

/// That lines are lost is logged so often at most.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Opens the file to append to it. One that is created can be read by its owner alone.
fn open(path: &Path) -> io::Result<File> {
    // A pipe without a reader must not stop the server.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// What a queue has.
enum Order {
    Line(Vec<u8>),
    /// Answered when all lines before it are written.
    Flush(oneshot::Sender<()>),
}

/// The file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct AuditFile {
    orders: SyncSender<Order>,
    lost: Arc<AtomicU64>,
}

impl AuditFile {
    /// Opens the file, and starts its thread, which ends with the last clone.
    ///
    /// # Errors
    /// When the file cannot be opened now, or is no regular one.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (orders, taken) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let sink = FileSink { path: path.to_owned(), file: Some(open(path)?), torn: false, complained: None };
        let counted = lost.clone();
        std::thread::Builder::new().name("audit-file".to_owned()).spawn(move || sink.run(&taken, &counted))?;
        Ok(Self { orders, lost })
    }

    /// Writes a line, without its end.
    pub fn write(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        if self.orders.try_send(Order::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that are missing in the file.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, at most `patience`.
    pub async fn flush(&self, patience: Duration) {
        let (done, flushed) = oneshot::channel();
        if self.orders.try_send(Order::Flush(done)).is_ok() {
            let _ = tokio::time::timeout(patience, flushed).await;
        }
    }
}

/// The thread's end.
struct FileSink {
    path: PathBuf,
    file: Option<File>,
    /// A line was written in part.
    torn: bool,
    complained: Option<Instant>,
}

impl FileSink {
    fn run(mut self, orders: &Receiver<Order>, lost: &AtomicU64) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Line(line) => {
                    if let Err(error) = self.write(&line) {
                        let lost = lost.fetch_add(1, Ordering::Relaxed) + 1;
                        self.complain(&error, lost);
                    }
                }
                Order::Flush(done) => drop(done.send(())),
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let file = self.current()?;
        // A full disk may have taken a part of the line before.
        let torn: &[u8] = if self.torn { b"\n" } else { b"" };
        let line = [torn, line].concat();
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match (&file).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.torn |= rest.len() < line.len();
                    return Err(error);
                }
            }
        }
        self.torn = false;
        self.file = Some(file);
        Ok(())
    }

    /// The file that the path leads to, which is another one after a rotation. It is kept open if all is well with it.
    fn current(&mut self) -> io::Result<File> {
        if let Some(file) = self.file.take() {
            let (is, open) = (std::fs::metadata(&self.path), file.metadata()?);
            if is.is_ok_and(|is| (is.dev(), is.ino()) == (open.dev(), open.ino())) {
                return Ok(file);
            }
            self.torn = false;
        }
        open(&self.path)
    }

    fn complain(&mut self, error: &io::Error, lost: u64) {
        if self.complained.is_some_and(|at| at.elapsed() < COMPLAIN_EVERY) {
            return;
        }
        self.complained = Some(Instant::now());
        let path = self.path.display();
        tracing::error!("cannot write the audit log to {path}: {error}; {lost} entries are missing in the file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn lines_follow_a_rotation_and_losses_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("audit.jsonl"), dir.path().join("audit.jsonl.1"));
        let file = AuditFile::open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        file.write(b"1".to_vec());
        file.flush(PATIENCE).await;
        std::fs::rename(&path, &old).unwrap();
        file.write(b"2".to_vec());
        file.flush(PATIENCE).await;
        // As `copytruncate` of logrotate does.
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        file.write(b"3".to_vec());
        file.flush(PATIENCE).await;
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "1\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "3\n");
        assert_eq!(file.lost(), 0);
        // A directory that goes, and comes back.
        std::fs::rename(dir.path(), dir.path().with_extension("away")).unwrap();
        file.write(b"4".to_vec());
        file.flush(PATIENCE).await;
        assert_eq!(file.lost(), 1);
        std::fs::rename(dir.path().with_extension("away"), dir.path()).unwrap();
        file.write(b"5".to_vec());
        file.flush(PATIENCE).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "3\n5\n");
        assert_eq!(file.lost(), 1);
    }

    #[tokio::test]
    async fn a_full_disk_and_a_pipe_stop_nobody() {
        // `/dev/full` is no regular file, and a pipe without a reader does not answer.
        assert!(AuditFile::open(Path::new("/dev/full")).is_err());
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(AuditFile::open(&pipe).is_err());
    }
}
