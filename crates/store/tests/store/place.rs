//! Both databases. Debian's PostgreSQL is started for the tests as an unprivileged user, on a
//! socket of its own, and goes with them.

use stackyard_store::{Database, Error, Store};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A database for one test.
pub struct Place {
    pub database: Database,
    dir: TempDir,
    postgres: Option<Postgres>,
}

impl Place {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { database: Database::File(dir.path().join("server/stackyard.db")), dir, postgres: None }
    }

    pub fn postgres() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let postgres = Postgres::start(dir.path());
        let url = format!("postgres://stackyard@localhost/postgres?host={}", dir.path().display());
        Self { database: Database::Url(url), dir, postgres: Some(postgres) }
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.database).await.unwrap()
    }

    /// Opens it after another connection has ended, whose lock PostgreSQL drops a moment later.
    pub async fn reopen(&self) -> Store {
        loop {
            match Store::open(&self.database).await {
                Err(Error::Locked { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                other => break other.unwrap(),
            }
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Kills the database's processes and starts them again; SQLite has none.
    pub fn restart(&mut self) {
        if let Some(postgres) = self.postgres.take() {
            drop(postgres);
            self.postgres = Some(Postgres::start(self.dir.path()));
        }
    }
}

struct Postgres(Child);

/// Where Debian puts the programs, newest version first.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").map(|d| d.flatten().collect::<Vec<_>>());
    let mut versions: Vec<PathBuf> = versions.unwrap_or_default().iter().map(|v| v.path().join("bin")).collect();
    versions.retain(|v| v.join("initdb").exists());
    versions.sort();
    versions.pop().expect("PostgreSQL is not installed: run `scripts/setup test`")
}

/// User and group to run as: PostgreSQL refuses to run as root.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|l| l.starts_with("postgres:")).expect("no user postgres: run `scripts/setup test`");
    let field = |n| line.split(':').nth(n).unwrap().parse().unwrap();
    Some((field(2), field(3)))
}

fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(programs().join(program));
    command.current_dir(dir).stdin(Stdio::null()).env_clear().env("LC_ALL", "C.UTF-8");
    if let Some((uid, gid)) = user() {
        command.uid(uid).gid(gid);
    }
    command
}

impl Postgres {
    fn start(dir: &Path) -> Self {
        let data = dir.join("data");
        if !data.exists() {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
            if let Some((uid, gid)) = user() {
                chown(dir, Some(uid), Some(gid)).unwrap();
            }
            let initdb = command("initdb", dir)
                .args(["--username=stackyard", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D"])
                .arg(&data)
                .output()
                .unwrap();
            assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        }
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let child = command("postgres", dir)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir)
            .args(["-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-c", "fsync=off"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let postgres = Self(child);
        let start = Instant::now();
        while !command("pg_isready", dir).arg("-q").arg("-h").arg(dir).status().unwrap().success() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "PostgreSQL does not start: {}",
                std::fs::read_to_string(dir.join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        postgres
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT is an immediate shutdown: postgres ends its children and recovers at the next start.
        if let Some(pid) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            rustix::process::kill_process(pid, rustix::process::Signal::QUIT).ok();
        }
        self.0.wait().ok();
    }
}

/// A number that no other test of this process has.
pub fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
