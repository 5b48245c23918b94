//! The clock: plausible, and kept so.

use super::{Check, PreflightScene};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Files whose age tells the earliest time that it can be.
const WITNESSES: [&str; 4] = ["/var/lib/dpkg/status", "/var/lib/apt/lists", "/etc/passwd", "/etc/hostname"];

/// The day the release that is deployed came out, in seconds since 1970 (2026-09-30).
const RELEASED: u64 = 1_790_726_400;

/// Programs that keep the clock.
const KEEPERS: [&str; 6] = ["chronyd", "ntpd", "ntpd-rs", "ntp-daemon", "openntpd", "ptp4l"];

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    vec![sane(scene, SystemTime::now()), kept(scene)]
}

fn sane(scene: &PreflightScene, now: SystemTime) -> Check {
    let (id, title) = ("clock.sane", "Clock");
    let machine = &scene.input.machine;
    let mut witness = ("the release of OpenStack".to_owned(), UNIX_EPOCH + Duration::from_secs(RELEASED));
    for path in WITNESSES {
        let changed = machine.path(path).metadata().and_then(|m| m.modified());
        if let Ok(changed) = changed
            && changed > witness.1
        {
            witness = (format!("the last change of {path}"), changed);
        }
    }
    let seen = jiff::Timestamp::try_from(now)
        .map_or_else(|error| error.to_string(), |t| t.strftime("%Y-%m-%d %H:%M UTC").to_string());
    // A day of grace for time zones that got mixed up.
    if now + Duration::from_hours(24) < witness.1 {
        return Check::fail(id, title, format!("{seen}, which is before {}", witness.0))
            .means("tokens and certificates would be invalid")
            .mend("set the clock: `timedatectl set-ntp true`, or `date -s '2026-12-31 12:00'`");
    }
    Check::pass(id, title, seen)
}

fn kept(scene: &PreflightScene) -> Check {
    let (id, title) = ("clock.kept", "Clock synchronization");
    let machine = &scene.input.machine;
    if machine.has("/run/systemd/timesync/synchronized") {
        return Check::pass(id, title, "systemd-timesyncd is synchronized");
    }
    let keeper = scene.processes.iter().find(|p| KEEPERS.contains(&p.name.as_str()));
    if let Some(keeper) = keeper {
        return Check::pass(id, title, format!("{} keeps it", keeper.name));
    }
    if scene.processes.iter().any(|p| p.name == "systemd-timesyncd" || p.name == "systemd-timesyn") {
        return Check::warn(id, title, "systemd-timesyncd runs, but is not synchronized yet")
            .means("the clock may jump later; tokens could become invalid")
            .mend("`timedatectl timesync-status` tells which server it waits for");
    }
    let source = machine.line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.map(|s| format!("; its source is {s}")).unwrap_or_default();
    Check::warn(id, title, format!("nothing keeps the clock{source}"))
        .means("harmless while everything runs on one machine; a drifting clock breaks TLS and tokens of others")
        .mend("`apt-get install chrony`")
}
