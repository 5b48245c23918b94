//! The plugin: what a runtime starts as `stackyard-cni`. One thread, which blocks.

use super::failure::{Failure, code};
use super::protocol::{AttachResult, CONFIGURED, CniRequest, Command, LONGEST, Reply};
use super::result::PreviousResult;
use super::spec::{Variables, Version, is_name};
use super::{PLUGIN, SOCKET, result, spec};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Map, Value};
use stackyard_core::text::error_chain;
use stackyard_wire::Rate;
use stackyard_wire::kernel::{Inside, Kernel, Route, prepare_ipv6};
use stackyard_wire::link::Link;
use stackyard_wire::namespace::Namespace;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Longest time for the agent to answer: Neutron's slowest and a wait for the switch. Shorter than the four
/// minutes that Kubernetes gives a pod, whose message would say nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// Whether a program of that name, `argv[0]`, is the plugin.
pub fn is_called(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == PLUGIN)
}

/// Carries out what the environment and standard input say; the exit code.
pub fn main() -> ExitCode {
    let mut version = spec::NEWEST;
    let printed = match run(&mut version) {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(result)) => (result, ExitCode::SUCCESS),
        Err(failure) => (failure.render(version), ExitCode::FAILURE),
    };
    match writeln!(std::io::stdout(), "{}", printed.0) {
        Ok(()) => printed.1,
        Err(_) => ExitCode::FAILURE,
    }
}

/// `version` becomes that of the configuration as soon as it is known: errors carry it, too.
fn run(version: &mut &'static str) -> Result<Option<Value>, Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    let command = match variable("CNI_COMMAND").as_deref() {
        Some("VERSION") => {
            return match read_config() {
                Ok(config) => Ok(Some(spec::versions(&config))),
                Err(failure) => Err(failure),
            };
        }
        Some("ADD") => Command::Add,
        Some("DEL") => Command::Del,
        Some("CHECK") => Command::Check,
        Some("GC") => Command::Gc,
        Some("STATUS") => Command::Status,
        None | Some("") => {
            let msg = format!("CNI_COMMAND is not set: {PLUGIN} is a CNI plugin, which a container runtime starts");
            return Err(Failure::new(code::ENVIRONMENT, msg));
        }
        Some(other) => return Err(Failure::new(code::ENVIRONMENT, format!("CNI_COMMAND {other:?} is no operation"))),
    };
    // First: errors are to have its version, whatever they are about.
    let mut config = read_config()?;
    let spoken = Version::of(&config)?;
    *version = spoken.text();
    let variables = Variables::read(command, variable)?;
    spoken.allows(command)?;
    let name = config.get("name").and_then(Value::as_str).unwrap_or_default();
    if !is_name(name) {
        let msg = format!("name {name:?} must begin with a letter or digit and have those, `_`, `.`, `-` only");
        return Err(Failure::new(code::CONFIG, msg));
    }
    let before = match config.remove("prevResult") {
        None | Some(Value::Null) => None,
        Some(Value::Object(result)) => Some(result),
        Some(_) => return Err(Failure::new(code::DECODE, "prevResult must be an object")),
    };
    let Variables { container, netns, ifname, args, .. } = variables;
    let request = CniRequest { command, container, ifname, args, netns, config };
    match command {
        Command::Add => add(spoken, &request, before.as_ref()).map(Some),
        Command::Check => check(&request, before.as_ref()).map(|()| None),
        Command::Del | Command::Gc | Command::Status => Agent::ask(&request, None)?.done().map(|()| None),
    }
}

fn read_config() -> Result<Map<String, Value>, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST).read_to_string(&mut text);
    read.map_err(|e| Failure::new(code::IO, format!("the network configuration cannot be read from stdin: {e}")))?;
    serde_json::from_str(&text)
        .map_err(|e| Failure::new(code::DECODE, format!("the network configuration is no JSON object: {e}")))
}

fn add(version: Version, request: &CniRequest, before: Option<&Map<String, Value>>) -> Result<Value, Failure> {
    let netns = request.netns.as_str();
    let namespace = open(netns)?;
    let mut here = Kernel::open()?;
    // Looked at before anything is made. What stays to be done here is done over `here`.
    namespace.enter()?;
    let mut inside = Kernel::open()?;
    let ifname = request.ifname.as_str();
    if inside.link(ifname)?.is_some() {
        let msg = format!("CNI_IFNAME: {netns} has a link {ifname} already");
        return Err(Failure::new(code::ENVIRONMENT, msg));
    }
    let mut agent = Agent::ask(request, Some(&namespace))?;
    let mut attached = agent.attached()?;
    let set_up = set_up(&mut here, &mut inside, &namespace, ifname, &mut attached);
    let whole = set_up.and_then(|host_mac| agent.configured().map(|()| host_mac));
    match whole {
        Ok(host_mac) => Ok(result::render(version, before, &attached, &host_mac, ifname, netns)),
        Err(failure) => {
            agent.take_back();
            Err(failure)
        }
    }
}

/// Moves the container's end into its namespace, where this thread is, if it is not there, and sets it up; the MAC
/// address of the host's end. Routes to where others lead already are left out of `attached`.
fn set_up(
    here: &mut Kernel,
    inside: &mut Kernel,
    namespace: &Namespace,
    ifname: &str,
    attached: &mut AttachResult,
) -> Result<String, Failure> {
    let host_mac = here.link(&attached.host)?.map(|link| link.mac).unwrap_or_default();
    if let Some(device) = &attached.device {
        let end = Inside { name: ifname, mac: &attached.mac, mtu: attached.mtu };
        here.hand_over(device, namespace, &end)?;
    }
    prepare_ipv6(ifname, attached.addresses.iter().any(|a| a.address.addr().is_ipv6()))?;
    inside.up(ifname, &attached.mac)?;
    let link = need(inside, ifname)?;
    if let Some(rate) = &attached.limits.egress {
        inside.limit(&link, rate)?;
    }
    for given in &attached.addresses {
        inside.add_address(&link, given.address.addr(), given.address.prefix_len())?;
    }
    let mut routes = Vec::new();
    for (to, via) in &attached.routes {
        if inside.add_route(&link, &Route { to: (to.addr(), to.prefix_len()), via: Some(*via) })? {
            routes.push((*to, *via));
        }
    }
    attached.routes = routes;
    Ok(host_mac)
}

fn check(request: &CniRequest, before: Option<&Map<String, Value>>) -> Result<(), Failure> {
    let netns = request.netns.as_str();
    let ifname = request.ifname.as_str();
    let before = before.ok_or_else(|| Failure::new(code::CONFIG, "CHECK needs the result of ADD in prevResult"))?;
    let said = result::previous_result(before, ifname)
        .ok_or_else(|| Failure::new(code::CONFIG, format!("prevResult has no interface {ifname} with a sandbox")))?;
    let namespace = open(netns)?;
    let mut agent = Agent::ask(request, None)?;
    let attached = agent.attached()?;
    agent.done()?;
    let mut here = Kernel::open()?;
    let host = here.link(&attached.host)?.ok_or_else(|| different(format!("there is no link {}", attached.host)))?;
    limited(&mut here, &host, attached.limits.ingress)?;
    namespace.enter()?;
    let mut inside = Kernel::open()?;
    let link = inside.link(ifname)?.ok_or_else(|| different(format!("{netns} has no link {ifname}")))?;
    limited(&mut inside, &link, attached.limits.egress)?;
    compare(&mut inside, &link, &attached, &said)
}

/// Checks that a link sends as fast as it may, if the kernel limits it.
fn limited(kernel: &mut Kernel, link: &Link, wanted: Option<Rate>) -> Result<(), Failure> {
    let Some(wanted) = wanted else { return Ok(()) };
    match kernel.limit_of(link)? {
        Some(rate) if rate == wanted.in_kernel() => Ok(()),
        Some(rate) => Err(different(format!("link {} is limited to {rate} bit/s, not {}", link.name, wanted.rate))),
        None => Err(different(format!("link {} is not limited, but should be to {} bit/s", link.name, wanted.rate))),
    }
}

/// Compares a link with what the port is and what all plugins together have made of it.
fn compare(inside: &mut Kernel, link: &Link, attached: &AttachResult, said: &PreviousResult) -> Result<(), Failure> {
    let name = &link.name;
    let mac = said.mac.as_ref().unwrap_or(&attached.mac);
    if !link.mac.eq_ignore_ascii_case(mac) {
        return Err(different(format!("link {name} has the MAC address {}, not {mac}", link.mac)));
    }
    if !link.up {
        return Err(different(format!("link {name} is down")));
    }
    if link.mtu > attached.mtu || said.mtu.is_some_and(|mtu| mtu != u64::from(link.mtu)) {
        let mtu = said.mtu.unwrap_or_else(|| attached.mtu.into());
        return Err(different(format!("link {name} has an MTU of {}, not {mtu}", link.mtu)));
    }
    let there = inside.addresses(link)?;
    let wanted = attached.addresses.iter().map(|a| a.address).chain(said.addresses.iter().copied());
    for address in wanted {
        if !there.contains(&(address.addr(), address.prefix_len())) {
            return Err(different(format!("link {name} does not have the address {address}")));
        }
    }
    let there = inside.routes(link)?;
    for (to, via) in &said.routes {
        // Those of other plugins lead over other links.
        let ours = attached.addresses.iter().any(|a| a.address.contains(via));
        let route = Route { to: (to.network(), to.prefix_len()), via: Some(*via) };
        if ours && !there.contains(&route) {
            return Err(different(format!("there is no route to {to} over {via} on link {name}")));
        }
    }
    Ok(())
}

fn open(netns: &str) -> Result<Namespace, Failure> {
    let namespace = Namespace::open(Path::new(netns)).map_err(|e| {
        let code = if e.kind() == ErrorKind::NotFound { code::UNKNOWN_CONTAINER } else { code::ENVIRONMENT };
        Failure::new(code, format!("CNI_NETNS {netns}: {e}"))
    })?;
    let own = namespace.is_current().map_err(|e| Failure::new(code::IO, format!("CNI_NETNS {netns}: {e}")))?;
    if own {
        let msg = format!("CNI_NETNS {netns} is the host's own network namespace");
        return Err(Failure::new(code::ENVIRONMENT, msg));
    }
    Ok(namespace)
}

fn need(inside: &mut Kernel, ifname: &str) -> Result<Link, Failure> {
    inside.link(ifname)?.ok_or_else(|| Failure::new(code::HOST, format!("link {ifname} has vanished")))
}

fn different(msg: String) -> Failure {
    Failure::new(code::DIFFERENT, msg)
}

/// The agent, asked for one thing.
struct Agent {
    stream: BufReader<UnixStream>,
    socket: String,
}

impl Agent {
    /// Sends a request, and the container's namespace with it.
    fn ask(request: &CniRequest, namespace: Option<&Namespace>) -> Result<Self, Failure> {
        let socket = match request.config.get("socket") {
            None => SOCKET,
            Some(Value::String(path)) => path,
            Some(other) => return Err(Failure::new(code::CONFIG, format!("socket must be a path, not {other}"))),
        };
        let unreachable = |e: std::io::Error| {
            let code = if request.command == Command::Status { code::UNAVAILABLE } else { code::TRY_LATER };
            let msg = format!("the agent does not answer at {socket}: {e}; does `stackyard agent standalone` run?");
            Failure::new(code, msg)
        };
        let stream = UnixStream::connect(socket).map_err(unreachable)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(unreachable)?;
        let mut agent = Self { stream: BufReader::new(stream), socket: socket.to_owned() };
        let mut line = serde_json::to_vec(request)
            .map_err(|e| Failure::new(code::DECODE, format!("the request cannot be written: {e}")))?;
        line.push(b'\n');
        let sent = match namespace {
            Some(namespace) => pass(agent.stream.get_ref(), &line, namespace).map_err(|e| agent.gone(&e))?,
            None => 0,
        };
        agent.send(&line[sent..])?;
        Ok(agent)
    }

    fn send(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.stream.get_mut().write_all(line).map_err(|e| self.gone(&e))
    }

    fn answer(&mut self) -> Result<Reply, Failure> {
        let mut line = String::new();
        let read = (&mut self.stream).take(LONGEST).read_line(&mut line);
        match read {
            Ok(0) => Err(self.gone(&std::io::Error::from(ErrorKind::UnexpectedEof))),
            Err(e) => Err(self.gone(&e)),
            Ok(_) => serde_json::from_str(&line).map_err(|e| self.gone(&e)),
        }
    }

    fn gone(&self, error: &dyn std::error::Error) -> Failure {
        let msg = format!("the agent at {} has not ended its answer: {}; try again", self.socket, error_chain(error));
        Failure::new(code::TRY_LATER, msg)
    }

    fn attached(&mut self) -> Result<AttachResult, Failure> {
        match self.answer()? {
            Reply::Attached(attached) => Ok(attached),
            Reply::Failed(failure) => Err(failure),
            Reply::Done => Err(self.gone(&std::io::Error::from(ErrorKind::InvalidData))),
        }
    }

    fn done(&mut self) -> Result<(), Failure> {
        match self.answer()? {
            Reply::Done => Ok(()),
            Reply::Failed(failure) => Err(failure),
            Reply::Attached(_) => Err(self.gone(&std::io::Error::from(ErrorKind::InvalidData))),
        }
    }

    /// Says that the container's end is set up, and waits until the port is wired.
    fn configured(&mut self) -> Result<(), Failure> {
        self.send(format!("{CONFIGURED}\n").as_bytes())?;
        self.done()
    }

    /// Has an attach taken back, and waits for that.
    fn take_back(&mut self) {
        // An agent that is gone finds it by itself.
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
        let _ = self.answer();
    }
}

/// Sends the beginning of a line with a namespace; how much of it went, in bytes.
pub(crate) fn pass(stream: &UnixStream, line: &[u8], namespace: &Namespace) -> std::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let files = [namespace.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&files));
    Ok(sendmsg(stream, &[IoSlice::new(line)], &mut ancillary, SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_known_by_its_name() {
        assert!(is_called(OsStr::new("/opt/cni/bin/stackyard-cni")));
        assert!(is_called(OsStr::new("stackyard-cni")));
        assert!(!is_called(OsStr::new("/usr/bin/stackyard")));
        assert!(!is_called(OsStr::new("/opt/stackyard-cni/stackyard")));
    }
}
