//! Space where images, volumes and state go.

use super::memory::gib;
use super::{Check, PreflightScene};
use std::path::{Path, PathBuf};

/// Files that images and an empty cloud make, about.
const INODES: u64 = 200_000;

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    let needs = scene.input.needs;
    let mut checks = vec![];
    if let Some(root) = scene.engine.root() {
        // What is there already needs no room.
        let (least, comfort) = match (scene.engine.own_running(), scene.engine.has_images) {
            (true, _) => (needs.disk / 8, needs.disk_comfort / 4),
            (false, true) => (needs.disk / 4, needs.disk_comfort / 2),
            (false, false) => (needs.disk, needs.disk_comfort),
        };
        checks.push(space(scene, "disk.docker", "Disk of Docker", &root, least, comfort));
    }
    checks.push(space(scene, "disk.home", "Disk of the state directory", &scene.input.home, 64, 256));
    checks
}

fn space(scene: &PreflightScene, id: &str, title: &str, dir: &Path, least: u64, comfort: u64) -> Check {
    let place = existing(&scene.input.machine.path(dir));
    let stat = match rustix::fs::statvfs(&place) {
        Ok(stat) => stat,
        Err(error) => {
            return Check::warn(id, title, format!("{}: {error}", place.display()))
                .means("not checked")
                .mend("run this as root, on the machine that Docker runs on");
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
    let seen = format!("{} free for {}", gib(free), dir.display());
    if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Check::fail(id, title, format!("{} is mounted read-only", place.display()))
            .means("nothing can be stored")
            .mend(format!("`mount -o remount,rw {}`, or choose another place", place.display()));
    }
    if free < least {
        return Check::fail(id, title, seen).means(format!("at least {} are needed", gib(least))).mend(make_room(id));
    }
    // Some file systems (btrfs, xfs on demand) have no fixed number: 0.
    if stat.f_files > 0 && stat.f_favail < INODES && least > 1024 {
        return Check::fail(id, title, format!("{seen}, but only {} files more", stat.f_favail))
            .means(format!("the images and an empty cloud make about {INODES} files"))
            .mend("use a file system with more inodes");
    }
    if free < comfort {
        return Check::warn(id, title, seen)
            .means(format!("servers, images and volumes soon fill it; {} are meant", gib(comfort)))
            .mend(make_room(id));
    }
    Check::pass(id, title, seen)
}

fn make_room(id: &str) -> &'static str {
    if id == "disk.docker" {
        "`docker system df` shows what takes the space, `docker system prune` frees unused space; or set data-root in /etc/docker/daemon.json to a larger disk"
    } else {
        "free some space, or give another directory with --home"
    }
}

/// The directory, or the nearest one above it that exists.
fn existing(dir: &Path) -> PathBuf {
    dir.ancestors().find(|d| d.exists()).unwrap_or(Path::new("/")).to_owned()
}
