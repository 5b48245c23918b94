//! The name of the machine: valid, and known to itself.

use super::{Check, PreflightScene};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

/// Time for name servers to answer.
const PATIENCE: Duration = Duration::from_millis(1500);

pub fn checks(_: &PreflightScene) -> Vec<Check> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut checks = vec![valid(&name)];
    if checks[0].result == super::Outcome::Pass {
        checks.push(resolves(&name));
    }
    checks
}

/// A host name as RFC 1123 section 2.1 has it: labels of letters, digits and inner hyphens,
/// of 63 characters at most, 253 together. Linux allows 64.
fn valid(name: &str) -> Check {
    let (id, title) = ("hostname.valid", "Host name");
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let mend = "`hostnamectl set-hostname NAME`, or write NAME to /etc/hostname and run `hostname -F /etc/hostname`";
    if name.len() > 253 || !name.split('.').all(label) {
        return Check::fail(id, title, format!("{name:?} is no host name (RFC 1123: letters, digits, hyphens, dots)"))
            .means("Nova and Neutron know this machine by its name, and refuse this one")
            .mend(mend);
    }
    if name == "localhost" || name.starts_with("localhost.") || name == "(none)" {
        return Check::warn(id, title, format!("{name}, as any machine calls itself"))
            .means("the hypervisor will be listed under this name")
            .mend(mend);
    }
    Check::pass(id, title, name)
}

fn resolves(name: &str) -> Check {
    let (id, title) = ("hostname.resolves", "Host name resolves");
    let mend = format!("`echo 127.0.1.1 {name} >> /etc/hosts`");
    let (send, receive) = mpsc::channel();
    let query = (name.to_owned(), 0);
    // The resolver cannot be interrupted; an answer that comes too late is dropped.
    std::thread::spawn(move || {
        let found = query.to_socket_addrs().map(|all| all.map(|a| a.ip()).collect::<Vec<IpAddr>>());
        let _ = send.send(found);
    });
    match receive.recv_timeout(PATIENCE) {
        Err(_) => Check::warn(id, title, format!("no answer for {name} within {} ms", PATIENCE.as_millis()))
            .means("services that ask for their own name start slowly, and sudo waits")
            .mend(mend),
        Ok(Err(error)) => Check::warn(id, title, format!("{name}: {error}"))
            .means("services that ask for their own name start slowly, or with warnings")
            .mend(mend),
        Ok(Ok(addresses)) => {
            let own = super::network::own_addresses();
            let strange: Vec<String> =
                addresses.iter().filter(|a| !a.is_loopback() && !own.contains(a)).map(IpAddr::to_string).collect();
            if strange.is_empty() {
                let mut texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
                texts.dedup();
                return Check::pass(id, title, texts.join(", "));
            }
            Check::warn(id, title, format!("{name} is {}, which is no address of this machine", strange.join(", ")))
                .means("services that connect to this machine by its name reach another one")
                .mend(format!("correct the entry of {name} in /etc/hosts or DNS, or {mend}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Outcome;

    #[test]
    fn names_are_judged_by_rfc_1123() {
        let long = "a".repeat(64);
        for (name, result) in [
            ("vm", Outcome::Pass),
            ("node-1.example.org", Outcome::Pass),
            ("1up", Outcome::Pass),
            ("under_score", Outcome::Fail),
            ("-lead", Outcome::Fail),
            ("trail-", Outcome::Fail),
            ("a..b", Outcome::Fail),
            ("", Outcome::Fail),
            (long.as_str(), Outcome::Fail),
            ("localhost", Outcome::Warn),
        ] {
            assert_eq!(valid(name).result, result, "{name}");
        }
    }
}
