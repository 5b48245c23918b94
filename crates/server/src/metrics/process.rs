//! This process: memory, open files, processor time (proc(5)), by the names that Prometheus' clients use.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::process::{Resource, getrlimit};
use std::sync::atomic::AtomicU64;

/// Ticks of a second in /proc/self/stat (USER_HZ), on every architecture that the server runs on.
const TICKS: u32 = 100;

/// Registers what the kernel tells of this process, which was started at `started` (milliseconds since 1970). What it
/// does not tell is left out.
pub(super) fn register(registry: &mut Registry, started: i64) {
    let registry = registry.sub_registry_with_prefix("process");
    if let Some(bytes) = resident() {
        whole(registry, "resident_memory", "Resident memory", Unit::Bytes, bytes);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        let open: Gauge = Gauge::default();
        // One is of this look.
        open.set(i64::try_from(files.count().saturating_sub(1)).unwrap_or(i64::MAX));
        registry.register("open_fds", "Open files", open);
    }
    let most: Gauge = Gauge::default();
    let limit = getrlimit(Resource::Nofile).current;
    most.set(limit.and_then(|n| i64::try_from(n).ok()).unwrap_or(i64::MAX));
    registry.register("max_fds", "Files that may be open", most);
    whole(registry, "start_time", "Start of the server, in Unix time", Unit::Seconds, started / 1000);
    if let Some(ticks) = processor_ticks() {
        let time: Counter<f64, AtomicU64> = Counter::default();
        time.inc_by(f64::from(ticks) / f64::from(TICKS));
        registry.register_with_unit("cpu", "Processor time, user and system", Unit::Seconds, time);
    }
}

fn whole(registry: &mut Registry, name: &str, help: &str, unit: Unit, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register_with_unit(name, help, unit, gauge);
}

/// Resident memory, in bytes.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok().map(|kib| kib * 1024)
}

/// User and system time, in ticks.
fn processor_ticks() -> Option<u32> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may have blanks and brackets. State is the first field behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
    ticks(11)?.checked_add(ticks(12)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells() {
        assert!(resident().unwrap() > 1 << 20);
        let begun = std::time::Instant::now();
        while processor_ticks().unwrap() == 0 {
            assert!(begun.elapsed().as_secs() < 20);
        }
    }
}
