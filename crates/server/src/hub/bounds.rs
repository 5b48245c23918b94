//! What an agent says is cut to what an honest one says. An agent's token lies on a machine that others use, and a
//! stolen one must cost the server neither its memory nor its readers theirs.

use stackyard_core::agent::{Facts, PortLink, Report};
use std::time::{Duration, Instant};

/// Last lines of a container's log, and bytes of each. An agent sends 10 of at most 300 characters.
const LINES: (usize, usize) = (20, 1200);
/// Networks of a container, and its addresses in each.
const NETWORKS: (usize, usize) = (64, 16);
/// Ports of a container that its host forwards.
const PORTS: usize = 1024;
/// Bytes of an error of a part.
const ERROR: usize = 16 << 10;
/// Bytes of a name or an id of a container, which lead into file names of 255 bytes.
const NAME: usize = 255;
/// Bytes of each text of a host's facts, and addresses that it may have.
const FACT: usize = 256;
const ADDRESSES: usize = 256;
/// No machine has more of these: it would be believed, and placement would prefer it.
const CPUS: u32 = 8192;
const MEMORY: u64 = 64 << 40;

/// A report without what no agent sends: texts without end, and containers whose names are none.
pub(super) fn bounded_report(mut report: Report) -> Report {
    report.parts.retain(|stack, _| stack.len() <= NAME);
    for part in report.parts.values_mut() {
        part.containers.retain(|c| c.replica.service.len() <= NAME && c.id.len() <= NAME);
        part.error.iter_mut().for_each(|e| cut(e, ERROR));
        for container in &mut part.containers {
            container.last_lines.truncate(LINES.0);
            container.ports.truncate(PORTS);
            container.addresses.retain(|network, _| network.len() <= NAME);
            while container.addresses.len() > NETWORKS.0 {
                container.addresses.pop_last();
            }
            container.addresses.values_mut().for_each(|of| of.truncate(NETWORKS.1));
            container.last_lines.iter_mut().for_each(|line| cut(line, LINES.1));
        }
    }
    report
}

/// A host's facts, each of a length and size that a machine has, and without control characters.
pub(crate) fn bounded_facts(mut facts: Facts) -> Facts {
    let Facts { machine_id, hostname, os, kernel, arch, docker, agent, server_id, .. } = &mut facts;
    for text in [machine_id, hostname, os, kernel, arch, docker, agent].into_iter().chain(server_id) {
        cut(text, FACT);
        text.retain(|c| !c.is_control());
    }
    facts.addresses.truncate(ADDRESSES);
    facts.links.truncate(PortLink::ALL.len());
    facts.cpus = facts.cpus.min(CPUS);
    facts.memory = facts.memory.min(MEMORY);
    facts
}

fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// How fast messages of one host's agent are read: those that come faster wait in the connection, where they cost the
/// sender alone. What belongs to an open stream does not count, because a stream has a window of its own.
#[derive(Debug)]
pub(super) struct AgentPace {
    /// When all that came would have been read at [`AgentPace::RATE`].
    paid: Instant,
}

impl AgentPace {
    /// Bytes in a second. A report of a hundred containers has 30 KiB, and comes at most ten times in a second.
    const RATE: u64 = 1 << 20;
    /// So much may come at once, in seconds of the rate.
    const BURST: Duration = Duration::from_secs(16);

    pub fn new(now: Instant) -> Self {
        Self { paid: now.checked_sub(Self::BURST).unwrap_or(now) }
    }

    /// How long to wait until the next is read, after one of so many bytes.
    pub fn after(&mut self, bytes: usize, now: Instant) -> Duration {
        let takes = Duration::from_micros(bytes as u64 * 1_000_000 / Self::RATE);
        self.paid = self.paid.max(now.checked_sub(Self::BURST).unwrap_or(now)) + takes;
        self.paid.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::agent::{BoundPort, ContainerReport, ContainerState, PartReport, Replica};
    use stackyard_core::stack::PortProtocol;

    fn container(service: &str, id: &str, line: &str) -> ContainerReport {
        ContainerReport {
            replica: Replica { service: service.to_owned(), index: 1 },
            generation: 1,
            id: id.to_owned(),
            state: ContainerState::Running,
            healthy: None,
            restarts: 0,
            started: None,
            last_lines: vec![line.to_owned(); 1000],
            ended: None,
            addresses: (0..1000).map(|n| (n.to_string(), vec![[10, 0, 0, 1].into(); 1000])).collect(),
            ports: vec![BoundPort { target: 1, protocol: PortProtocol::Tcp, published: 1, host_ip: None }; 100_000],
        }
    }

    #[test]
    fn a_report_without_end_is_cut() {
        let long = "ä".repeat(1 << 20);
        let containers = vec![container("web", "1", &long), container(&long, "2", ""), container("web", &long, "")];
        let part = PartReport { error: Some(long.clone()), containers, incomplete: false };
        let report = Report { parts: [("site".to_owned(), part.clone()), (long, part)].into(), ..Report::default() };
        let report = bounded_report(report);
        assert_eq!(report.parts.keys().collect::<Vec<_>>(), ["site"]);
        let part = &report.parts["site"];
        assert_eq!(part.containers.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["1"]);
        assert_eq!((part.containers[0].last_lines.len(), part.containers[0].last_lines[0].len()), LINES);
        let addresses = &part.containers[0].addresses;
        assert_eq!((addresses.len(), addresses["1"].len()), NETWORKS);
        assert_eq!(part.containers[0].ports.len(), PORTS);
        assert_eq!(part.error.as_ref().map(String::len), Some(ERROR));
    }

    #[test]
    fn facts_are_those_of_a_machine() {
        let forged = Facts {
            os: "Debian\u{1b}[31m".repeat(1 << 18),
            server_id: Some("x".repeat(1 << 20)),
            addresses: vec![[10, 0, 0, 1].into(); 100_000],
            cpus: 1_000_000,
            memory: 1 << 60,
            ..Facts::default()
        };
        let facts = bounded_facts(forged);
        assert!(facts.os.len() <= FACT && facts.os.starts_with("Debian[31mDebian"), "{:?}", facts.os);
        assert_eq!(facts.server_id.map(|id| id.len()), Some(FACT));
        assert_eq!((facts.addresses.len(), facts.cpus, facts.memory), (ADDRESSES, CPUS, MEMORY));
    }

    #[test]
    fn who_reports_too_fast_waits() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut pace = AgentPace::new(start);
        for n in 0..600 {
            assert_eq!(pace.after(30 << 10, at(n * 100)), Duration::ZERO, "a busy host of a hundred containers, {n}");
        }
        let mut pace = AgentPace::new(at(0));
        let waits: Vec<u64> = (0..6).map(|_| pace.after(4 << 20, at(60_000)).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 4, 8], "16 MiB at once, then 1 MiB in a second");
    }
}
