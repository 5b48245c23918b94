//! Pools of container hosts: servers that join a platform when they boot.
//!
//! Each host is a server `pool-1`, `pool-2` ... with its port and, where wanted, a volume
//! `pool-1/data`, a floating IP `pool-1`. What differs from boot to boot (tokens, commands) is no
//! part of what is intended, so that nothing has to be replaced because of it.

use super::super::manifest::{CommandJoin, HostAddress, HostPool, Join, Server, Via};
use super::super::observed::Fields;
use super::super::words::Share;
use super::{Key, Kind, Maker, Need, Ref, Spec, digest};
use serde_json::json;
use std::collections::BTreeMap;

/// A pool of hosts.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its servers, by number.
    pub hosts: Vec<Key>,
    /// How many of them may be away at once while they are replaced.
    pub at_once: usize,
    /// Whether a host whose agent has gone is replaced.
    pub heal: bool,
    /// Minutes from a server's creation until it must have joined.
    pub join_timeout: u32,
}

/// What makes a server a container host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSpec {
    /// Its pool.
    pub pool: String,
    /// Its number in it, from 1.
    pub number: u32,
    /// How it joins.
    pub join: HostJoin,
    /// Its volume.
    pub disk: Option<HostDisk>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl HostSpec {
    /// Whether a Stackyard server is what it joins.
    pub fn has_agent(&self) -> bool {
        !matches!(self.join, HostJoin::Command(_))
    }
}

/// How a host joins.
#[derive(Debug, Clone, PartialEq)]
pub enum HostJoin {
    /// By user data.
    Docker,
    /// Over SSH.
    Ssh {
        /// Who logs in.
        user: String,
        /// The floating IP that is called; the address on the first network without.
        via: Option<Key>,
    },
    /// By somebody else's command.
    Command(Box<CommandJoin>),
}

/// A volume of a host's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDisk {
    /// The volume.
    pub volume: Key,
    /// Where it is mounted.
    pub mount: String,
}

/// Where a host's volume is mounted unless said.
const MOUNT: &str = "/var/lib/docker";
/// Who logs in unless said.
const USER: &str = "debian";
/// Minutes until a host must have joined, unless said.
const JOIN_TIMEOUT: u32 = 20;
/// More hosts than one pool can have.
const MOST: u32 = 10_000;

impl Maker<'_> {
    pub(super) fn hosts(&mut self) {
        let spec = self.spec;
        for (i, pool) in spec.hosts.iter().enumerate() {
            let path = format!("spec.hosts[{i}]");
            if self.pools.iter().any(|p| p.name == pool.pool) {
                let message = format!("there are two pools `{}`", pool.pool);
                self.trouble(format!("{path}.pool"), message, Some("one `count` says how many hosts there are"));
                continue;
            }
            self.pool(&path, pool);
        }
    }

    fn pool(&mut self, path: &str, pool: &HostPool) {
        self.pool_name(path, &pool.pool);
        let mut server = as_server(pool);
        let count = pool.count.unwrap_or(1);
        if count > MOST {
            self.trouble(format!("{path}.count"), "10,000 at most", None);
            return;
        }
        let Some(networks) = self.networks_of(path, &server) else { return };
        if count > 1 && networks.iter().any(|n| !n.address.is_empty()) {
            self.trouble(path, "several hosts cannot have one fixed address", Some("make a pool for each address"));
        }
        self.join_words(path, pool);
        if pool.join.ssh.is_some() {
            let key = Key::new(Kind::Keypair, format!("hosts-{}", pool.pool));
            server.key = Some(key.name.clone());
            self.add(path, key, Spec::PoolKeypair { pool: pool.pool.clone() }, Fields::new(), Vec::new());
        }
        let mut hosts = Vec::new();
        for number in 1..=count {
            let name = format!("{}-{number}", pool.pool);
            let known = self.troubles.len();
            self.server(path, &name, &server, &networks);
            // One host's mistakes are those of all.
            if self.troubles.len() > known {
                return;
            }
            let first = Key::new(Kind::Port, format!("{name}/{}", networks[0].network));
            let address = self.host_address(path, &name, pool, &first, &networks[0].network);
            let disk = self.host_disk(path, &name, pool);
            let join = join_of(pool, address);
            let key = Key::new(Kind::Server, &name);
            let Some(resource) = self.index.get(&key).map(|at| &mut self.resources[*at]) else { return };
            let Spec::Server(server) = &mut resource.spec else { return };
            server.digest = boot_digest(server.user_data.as_deref(), &join, disk.as_ref());
            resource.fields.insert("user data", (&server.digest).into());
            let volume = disk.as_ref().map(|d| d.volume.name.clone()).unwrap_or_default();
            resource.fields.insert("data volume", volume.into());
            resource.needs.extend(disk.as_ref().map(|d| Need::baked(d.volume.clone())));
            if let HostJoin::Ssh { via: Some(ip), .. } = &join {
                resource.needs.push(Need::before(ip.clone()));
            }
            let (pool, labels) = (pool.pool.clone(), pool.labels.clone());
            let volume = disk.as_ref().map(|d| d.volume.clone());
            server.host = Some(HostSpec { pool, number, join, disk, labels });
            if let Some(volume) = volume {
                let place = Key::new(Kind::Attachment, format!("{name}:{}", volume.name));
                let needs = vec![Need::baked(key.clone()), Need::baked(volume.clone())];
                let make = Spec::Attachment { server: key.clone(), volume: Ref::Own(volume) };
                self.add(path, place, make, Fields::new(), needs);
            }
            hosts.push(key);
        }
        let at_once = pool.max_unavailable.unwrap_or(Share::Count(1)).of(count);
        self.pools.push(Pool {
            name: pool.pool.clone(),
            hosts,
            at_once: usize::try_from(at_once).unwrap_or(usize::MAX),
            heal: pool.heal,
            join_timeout: pool.join_timeout.unwrap_or(JOIN_TIMEOUT),
        });
    }

    fn pool_name(&mut self, path: &str, name: &str) {
        if !super::is_resource_name(name) || name.len() > 50 {
            let hint = "use letters, digits, `.`, `_` and `-`, a letter or digit first, 50 at most";
            self.trouble(format!("{path}.pool"), format!("`{name}` cannot name a pool"), Some(hint));
        }
    }

    fn host_address(&mut self, path: &str, name: &str, pool: &HostPool, port: &Key, network: &str) -> Option<Key> {
        let external = match pool.floating_ip.as_ref()? {
            HostAddress::Wanted(false) => return None,
            HostAddress::Wanted(true) => None,
            HostAddress::From(network) => Some(network.clone()),
        };
        let mut needs = vec![Need::before(port.clone())];
        needs.extend(self.feet(network).into_iter().map(Need::before));
        let mut fields = Fields::from([("port", (&port.name).into())]);
        fields.extend(external.as_ref().map(|e| ("external", e.into())));
        let key = Key::new(Kind::FloatingIp, name);
        let make = Spec::FloatingIp { external, to: Some(port.clone()) };
        self.add(path, key.clone(), make, fields, needs);
        Some(key)
    }

    fn host_disk(&mut self, path: &str, name: &str, pool: &HostPool) -> Option<HostDisk> {
        let wanted = pool.data_volume.as_ref()?;
        let volume = Key::new(Kind::Volume, format!("{name}/data"));
        let mut fields = Fields::from([("size", wanted.size.into())]);
        fields.extend(wanted.volume_type.as_ref().map(|t| ("type", t.into())));
        fields.extend(wanted.availability_zone.as_ref().map(|t| ("availability zone", t.into())));
        let make = Spec::Volume {
            name: format!("{name}-data"),
            size: wanted.size,
            volume_type: wanted.volume_type.clone(),
            image: None,
            availability_zone: wanted.availability_zone.clone(),
            bootable: false,
        };
        self.add(path, volume.clone(), make, fields, Vec::new());
        Some(HostDisk { volume, mount: wanted.mount.clone().unwrap_or_else(|| MOUNT.to_owned()) })
    }

    /// Checks what a pool says about joining.
    fn join_words(&mut self, path: &str, pool: &HostPool) {
        let Join { docker, ssh, command } = &pool.join;
        if usize::from(docker.is_some()) + usize::from(ssh.is_some()) + usize::from(command.is_some()) > 1 {
            self.trouble(format!("{path}.join"), "there are several ways to join", Some("keep one of them"));
        }
        let mount = pool.data_volume.as_ref().and_then(|d| d.mount.as_deref());
        if let Some(mount) = mount
            && (!mount.starts_with('/') || mount.len() < 2 || mount.split('/').any(|p| p == "..") || !is_plain(mount))
        {
            let message = format!("`{mount}` is no absolute path of letters, digits and `/._-`");
            self.trouble(format!("{path}.dataVolume.mount"), message, None);
        }
        if pool.join_timeout == Some(0) {
            self.trouble(format!("{path}.joinTimeout"), "one minute at least", None);
        }
        if let Some(ssh) = ssh {
            let has = !matches!(pool.floating_ip, None | Some(HostAddress::Wanted(false)));
            if ssh.via == Some(Via::FloatingIp) && !has {
                let hint = Some("add `floatingIP: true`");
                self.trouble(format!("{path}.join.ssh.via"), "the hosts have no floating IP", hint);
            }
            if pool.key.is_some() {
                let hint = "let your own user data add yours (`ssh_authorized_keys`)";
                self.trouble(format!("{path}.key"), "a pool that joins by SSH has a key of its own", Some(hint));
            }
            if ssh.user.as_deref().is_some_and(|u| u.is_empty() || !is_plain(u) || u.starts_with('-')) {
                self.trouble(format!("{path}.join.ssh.user"), "this cannot be a user's name", None);
            }
        }
        if let Some(command) = command {
            self.command_words(&format!("{path}.join.command"), command);
        }
    }

    fn command_words(&mut self, path: &str, command: &CommandJoin) {
        let ways = [command.text.is_some(), !command.program.is_empty(), command.http.is_some()];
        match ways.iter().filter(|w| **w).count() {
            0 => self.trouble(path, "there is no command", Some("give `text`, `program` or `http`")),
            1 => {}
            _ => self.trouble(path, "there are several commands", Some("keep one of `text`, `program` and `http`")),
        }
        if command.text.as_deref().is_some_and(|t| t.trim().is_empty()) {
            self.trouble(path, "the command is empty", None);
        }
        if let Some(name) = command.env.keys().find(|n| n.is_empty() || n.contains(['=', '\0'])) {
            self.trouble(format!("{path}.env"), format!("`{name}` cannot be a variable"), None);
        }
        let Some(http) = &command.http else { return };
        if !["http://", "https://", "${"].iter().any(|start| http.url.starts_with(start)) {
            self.trouble(format!("{path}.http.url"), "an address with http:// or https:// is expected", None);
        }
        let methods = ["GET", "POST", "PUT", "PATCH"];
        if let Some(method) = http.method.as_deref().filter(|m| !methods.contains(m)) {
            let message = format!("`{method}` is not one of {}", methods.join(", "));
            self.trouble(format!("{path}.http.method"), message, None);
        }
        if let Err(message) = http.path() {
            self.trouble(format!("{path}.http.jsonPath"), message, Some("as `$.data[0].nodeCommand`"));
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'))
}

/// A host's server without what makes it a host.
fn as_server(pool: &HostPool) -> Server {
    Server {
        name: pool.pool.clone(),
        count: None,
        flavor: pool.flavor.clone(),
        image: Some(pool.image.clone()),
        network: pool.network.clone(),
        networks: pool.networks.clone(),
        security_groups: pool.security_groups.clone(),
        key: pool.key.clone(),
        user_data: pool.user_data.clone(),
        user_data_file: None,
        metadata: pool.metadata.clone(),
        tags: pool.tags.clone(),
        availability_zone: pool.availability_zone.clone(),
        config_drive: pool.config_drive,
        boot_volume: pool.boot_volume.clone(),
        volumes: Vec::new(),
        group: pool.group.clone(),
    }
}

fn join_of(pool: &HostPool, address: Option<Key>) -> HostJoin {
    match &pool.join {
        Join { command: Some(command), .. } => HostJoin::Command(Box::new(command.clone())),
        Join { ssh: Some(ssh), .. } => HostJoin::Ssh {
            user: ssh.user.clone().unwrap_or_else(|| USER.to_owned()),
            via: address.filter(|_| ssh.via != Some(Via::Direct)),
        },
        _ => HostJoin::Docker,
    }
}

/// Stands for all that a manifest says about a host's first boot. How a command is fetched
/// (headers, certificates, a program's variables) is not part of it: a token that was renewed
/// replaces no host.
fn boot_digest(user_data: Option<&str>, join: &HostJoin, disk: Option<&HostDisk>) -> String {
    let join = match join {
        HostJoin::Docker => json!("docker"),
        // Nothing of the first boot is ours then.
        HostJoin::Ssh { .. } => return digest(user_data),
        HostJoin::Command(c) => json!({
            "text": c.text, "program": program_words(c), "prefix": c.prefix, "suffix": c.suffix,
            "http": c.http.as_ref().map(|h| json!([h.method, h.url, h.body, h.json_path])),
        }),
    };
    let said = json!({"user data": user_data, "join": join, "mount": disk.map(|d| &d.mount)});
    digest(Some(&said.to_string()))
}

/// A program and its arguments, wherever it lies.
fn program_words(command: &CommandJoin) -> Vec<&str> {
    let mut words: Vec<&str> = command.program.iter().map(String::as_str).collect();
    if let Some(first) = words.first_mut() {
        *first = first.rsplit('/').next().unwrap_or(first);
    }
    words
}
