//! What runs on the machine, and in which container.

use super::Machine;
use super::docker::Engine;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Name of its program, from its first argument or, where that says nothing, the
    /// kernel's 15 characters.
    pub name: String,
    /// Its arguments, joined by spaces.
    pub command: String,
    /// Id of the container that it runs in.
    pub container: Option<String>,
}

impl Process {
    /// `1234 (mariadbd)`, with the container's name where it has one.
    pub fn describe(&self, engine: &Engine) -> String {
        match self.container.as_deref().map(|id| engine.name_of(id)) {
            Some(name) => format!("{} (pid {}, container {name})", self.name, self.pid),
            None => format!("{} (pid {})", self.name, self.pid),
        }
    }
}

/// All processes that can be seen.
pub fn list(machine: &Machine) -> Vec<Process> {
    let pids = machine.names("/proc").into_iter().filter_map(|n| n.parse().ok());
    pids.filter_map(|pid| read(machine, pid)).collect()
}

fn read(machine: &Machine, pid: u32) -> Option<Process> {
    let comm = machine.line(format!("/proc/{pid}/comm"))?;
    let command = machine.read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments: Vec<&str> = command.split('\0').filter(|a| !a.is_empty()).collect();
    // A kernel thread has no arguments; a zombie neither.
    let first = *arguments.first()?;
    // The kernel's name is cut off, and a script's first argument is its interpreter; some
    // programs rewrite their arguments, and then the kernel's name is the better one.
    let words = arguments.iter().copied().take(4).chain(first.split(':').next());
    let names = words.map(|w| w.rsplit('/').next().unwrap_or(w));
    let full = names.filter(|n| n.starts_with(comm.as_str()) && !n.contains(' ')).map(str::to_owned).next();
    let name = full.unwrap_or(comm);
    let container = container_of(&machine.read(format!("/proc/{pid}/cgroup")).unwrap_or_default());
    Some(Process { pid, name, command: arguments.join(" "), container })
}

/// The id of 64 hexadecimal digits in the paths of /proc/PID/cgroup: `/docker/<id>` with the
/// driver cgroupfs, `/system.slice/docker-<id>.scope` with systemd.
fn container_of(cgroup: &str) -> Option<String> {
    let words = cgroup.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|w| w.len() == 64 && w.bytes().all(|b| b.is_ascii_hexdigit())).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_found_with_both_cgroup_drivers() {
        let id = "0123456789abcdef".repeat(4);
        for text in
            [format!("12:memory:/docker/{id}\n11:cpu:/docker/{id}\n"), format!("0::/system.slice/docker-{id}.scope\n")]
        {
            assert_eq!(container_of(&text), Some(id.clone()));
        }
        assert_eq!(container_of("0::/user.slice/user-0.slice\n"), None);
    }

    #[test]
    fn this_process_is_among_them() {
        let me = list(&Machine::this()).into_iter().find(|p| p.pid == std::process::id()).unwrap();
        assert!(me.name.starts_with("stackyard_cloud"), "{me:?}");
    }
}
