//! A service in the words of Docker Engine's API.

use super::files::{self, FileKind};
use super::{Engine, Error, labels};
use bollard::models as api;
use stackyard_core::stack::plan::Step;
use stackyard_core::stack::{
    Attachment, Bind, CgroupMode, DeviceRequest, FileMount, HealthTest, Healthcheck, Mount, MountKind, NetworkMode,
    Propagation, PublishedPort, RestartPolicy, Service, Stack,
};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Everything that one container is made from.
pub(super) struct ContainerRequest<'a> {
    pub(super) engine: &'a Engine,
    pub(super) stack: &'a Stack,
    pub(super) name: &'a str,
    pub(super) service: &'a Service,
    pub(super) step: &'a Step,
    /// Ids of the containers that it follows, by service.
    pub(super) follows: BTreeMap<String, String>,
    /// Its image declares port 53: it is that of a name server.
    pub(super) image_serves_dns: bool,
}

impl ContainerRequest<'_> {
    /// The body of the request that makes the container, on the first of its networks.
    pub(super) fn body(&self) -> Result<api::ContainerCreateBody, Error> {
        let s = self.service;
        let exposed = s.expose.iter().map(|p| if p.contains('/') { p.clone() } else { format!("{p}/tcp") });
        let published = s.ports.iter().map(port_key);
        self.check_version()?;
        Ok(api::ContainerCreateBody {
            hostname: s.hostname.clone(),
            domainname: s.engine.domainname.clone(),
            user: s.user.clone(),
            exposed_ports: some_vec(exposed.chain(published).collect()),
            tty: Some(s.tty),
            open_stdin: Some(s.stdin_open),
            env: some_vec(s.environment.iter().map(|(k, v)| format!("{k}={v}")).collect()),
            cmd: s.command.clone(),
            // The engine takes an empty entry for "none"; an empty list would mean the image's.
            entrypoint: s.entrypoint.clone().map(|e| if e.is_empty() { vec![String::new()] } else { e }),
            healthcheck: s.healthcheck.as_ref().map(healthcheck),
            image: Some(s.image.clone()),
            volumes: some_vec(self.anonymous()),
            working_dir: s.working_dir.clone(),
            labels: Some(self.labels()),
            stop_signal: s.stop_signal.clone(),
            stop_timeout: s.stop_grace_period.map(|d| as_i64(d.as_secs_f64().ceil())),
            host_config: Some(self.host_config()),
            networking_config: self.first_network()?,
            ..Default::default()
        })
    }

    /// Networks of the container after the first one: name and settings.
    pub(super) fn further_networks(&self) -> Result<Vec<(String, api::EndpointSettings)>, Error> {
        let attachments = self.stack.attachments(self.service);
        let further = attachments.iter().skip(1);
        further.map(|(key, a)| Ok((self.stack.network(key).name, self.endpoint(key, a)?))).collect()
    }

    fn labels(&self) -> HashMap<String, String> {
        let job = self.stack.is_job(self.name);
        let after = self.service.depends_on.keys().map(String::as_str).chain(self.service.shares());
        let mut all: HashMap<String, String> = self.service.labels.clone().into_iter().collect();
        if !self.service.engine.pre_stop.is_empty() {
            all.insert(labels::PRE_STOP.into(), labels::json(&self.service.engine.pre_stop));
        }
        all.extend(self.resolver_label());
        all.extend(labels::of_container(&self.stack.name, self.name, job, &self.step.spec, &self.follows, after));
        all
    }

    fn anonymous(&self) -> Vec<String> {
        let volumes = self.service.volumes.iter();
        volumes.filter(|m| m.kind == MountKind::Anonymous).map(|m| m.target.clone()).collect()
    }

    fn host_config(&self) -> api::HostConfig {
        let s = self.service;
        api::HostConfig {
            binds: some_vec(s.volumes.iter().filter_map(bind_line).collect()),
            mounts: some_vec(self.mounts()),
            tmpfs: some_map(&s.tmpfs),
            network_mode: self.network_mode(),
            pid_mode: s.pid.as_deref().map(|m| self.name_space(m)),
            ipc_mode: s.ipc.as_deref().map(|m| self.name_space(m)),
            uts_mode: s.uts.as_deref().map(|m| self.name_space(m)),
            cgroupns_mode: s.cgroup.map(|c| match c {
                CgroupMode::Host => api::HostConfigCgroupnsModeEnum::HOST,
                CgroupMode::Private => api::HostConfigCgroupnsModeEnum::PRIVATE,
            }),
            privileged: Some(s.privileged),
            cap_add: some_vec(s.cap_add.clone()),
            cap_drop: some_vec(s.cap_drop.clone()),
            security_opt: some_vec(s.security_opt.iter().filter(|o| *o != BARE_PATHS).cloned().collect()),
            masked_paths: bare_paths(s),
            readonly_paths: bare_paths(s),
            group_add: some_vec(s.group_add.clone()),
            devices: some_vec(s.devices.iter().map(device).collect()),
            ulimits: some_vec(s.ulimits.iter().map(ulimit).collect()),
            sysctls: some_map(&s.sysctls),
            extra_hosts: some_vec(s.extra_hosts.clone()),
            dns: some_vec(self.name_servers()),
            dns_search: some_vec(s.dns_search.clone()),
            init: s.init,
            shm_size: s.shm_size.map(as_i64_u),
            memory: s.mem_limit.map(as_i64_u),
            memory_reservation: s.mem_reservation.map(as_i64_u),
            nano_cpus: s.nano_cpus.map(as_i64_u),
            pids_limit: s.pids_limit,
            oom_score_adj: s.oom_score_adj,
            readonly_rootfs: Some(s.read_only),
            log_config: s
                .logging
                .as_ref()
                .map(|l| api::HostConfigLogConfig { typ: l.driver.clone(), config: some_map(&l.options) }),
            restart_policy: Some(restart(s.restart)),
            port_bindings: ports(&s.ports),
            ..self.options()
        }
    }

    /// The settings that are only handed on.
    fn options(&self) -> api::HostConfig {
        let o = &self.service.engine;
        api::HostConfig {
            runtime: o.runtime.clone(),
            userns_mode: o.userns_mode.clone(),
            cgroup_parent: o.cgroup_parent.clone(),
            annotations: some_map(&o.annotations),
            storage_opt: some_map(&o.storage_opt),
            cpu_shares: o.cpu_shares,
            cpu_period: o.cpu_period,
            cpu_quota: o.cpu_quota,
            cpuset_cpus: o.cpuset.clone(),
            memory_swap: o.memswap_limit,
            memory_swappiness: o.mem_swappiness,
            oom_kill_disable: o.oom_kill_disable.then_some(true),
            device_cgroup_rules: some_vec(o.device_cgroup_rules.clone()),
            device_requests: some_vec(o.device_requests.iter().map(device_request).collect()),
            dns_options: some_vec(self.resolver_options()),
            ..Default::default()
        }
    }

    /// Refuses settings that the engine is too old for: it would ignore them in silence.
    fn check_version(&self) -> Result<(), Error> {
        let subpath = |m: &Mount| matches!(m.kind, MountKind::Volume { subpath: Some(_), .. });
        let o = &self.service.engine;
        let cdi = |r: &DeviceRequest| r.driver.as_deref() == Some("cdi");
        for (there, setting, engine, needed) in [
            (!o.annotations.is_empty(), "annotations", "24", (1, 43)),
            (o.device_requests.iter().any(cdi), "a device by its CDI name", "25", (1, 44)),
            (self.service.volumes.iter().any(subpath), "volume.subpath", "26", (1, 45)),
        ] {
            if there {
                self.needs(setting, engine, needed)?;
            }
        }
        Ok(())
    }

    fn needs(&self, setting: &'static str, engine: &'static str, needed: (usize, usize)) -> Result<(), Error> {
        let version = self.engine.api().client_version();
        if (version.major_version, version.minor_version) >= needed {
            return Ok(());
        }
        let (needed, has) = (format!("{}.{}", needed.0, needed.1), version.to_string());
        Err(Error::TooOld { service: self.name.to_owned(), setting, engine, needed, has })
    }

    fn network_mode(&self) -> Option<String> {
        match &self.service.network_mode {
            NetworkMode::Host => Some("host".into()),
            NetworkMode::None => Some("none".into()),
            NetworkMode::Bridge => Some("bridge".into()),
            NetworkMode::Service(name) => Some(self.name_space(&format!("service:{name}"))),
            NetworkMode::Container(name) => Some(format!("container:{name}")),
            NetworkMode::Networks(_) => {
                let attachments = self.stack.attachments(self.service);
                attachments.keys().next().map(|key| self.stack.network(key).name)
            }
        }
    }

    /// `service:x` as `container:<id>`; anything else as it is.
    fn name_space(&self, mode: &str) -> String {
        let id = mode.strip_prefix("service:").and_then(|service| self.follows.get(service));
        id.map_or_else(|| mode.to_owned(), |id| format!("container:{id}"))
    }

    fn first_network(&self) -> Result<Option<api::NetworkingConfig>, Error> {
        let attachments = self.stack.attachments(self.service);
        let Some((key, attachment)) = attachments.iter().next() else { return Ok(None) };
        let endpoint = self.endpoint(key, attachment)?;
        Ok(Some(api::NetworkingConfig {
            endpoints_config: Some(HashMap::from([(self.stack.network(key).name, endpoint)])),
        }))
    }

    fn endpoint(&self, key: &str, attachment: &Attachment) -> Result<api::EndpointSettings, Error> {
        if attachment.mac_address.is_some() {
            self.needs("mac_address", "25", (1, 44))?;
        }
        let fixed = attachment.ipv4_address.is_some() || attachment.ipv6_address.is_some();
        Ok(api::EndpointSettings {
            aliases: Some(self.aliases(key, attachment)),
            ipam_config: fixed.then(|| api::EndpointIpamConfig {
                ipv4_address: attachment.ipv4_address.clone(),
                ipv6_address: attachment.ipv6_address.clone(),
                ..Default::default()
            }),
            mac_address: attachment.mac_address.clone(),
            driver_opts: some_map(&self.endpoint_options(key, attachment)),
            ..Default::default()
        })
    }

    fn mounts(&self) -> Vec<api::Mount> {
        let s = self.service;
        let volumes = s.volumes.iter().filter_map(|m| self.mount(m));
        let configs =
            s.configs.iter().filter_map(|m| self.file(FileKind::Config, m, self.stack.configs.get(&m.source)?));
        let secrets =
            s.secrets.iter().filter_map(|m| self.file(FileKind::Secret, m, self.stack.secrets.get(&m.source)?));
        volumes.chain(configs).chain(secrets).collect()
    }

    fn file(&self, kind: FileKind, mount: &FileMount, config: &stackyard_core::stack::Config) -> Option<api::Mount> {
        let path = files::path(&self.engine.state, &self.stack.name, kind, mount, config);
        Some(api::Mount {
            typ: Some(api::MountType::BIND),
            source: Some(path.to_str()?.to_owned()),
            target: Some(mount.target.clone()),
            read_only: Some(true),
            ..Default::default()
        })
    }

    fn mount(&self, mount: &Mount) -> Option<api::Mount> {
        let base =
            api::Mount { target: Some(mount.target.clone()), read_only: Some(mount.read_only), ..Default::default() };
        Some(match &mount.kind {
            MountKind::Volume { name, nocopy, subpath } => api::Mount {
                typ: Some(api::MountType::VOLUME),
                source: Some(self.stack.volumes.get(name)?.name.clone()),
                volume_options: (*nocopy || subpath.is_some()).then(|| api::MountVolumeOptions {
                    no_copy: Some(*nocopy),
                    subpath: subpath.clone(),
                    ..Default::default()
                }),
                ..base
            },
            MountKind::Tmpfs { size, mode } => api::Mount {
                typ: Some(api::MountType::TMPFS),
                tmpfs_options: (size.is_some() || mode.is_some()).then(|| api::MountTmpfsOptions {
                    size_bytes: size.map(as_i64_u),
                    mode: mode.map(i64::from),
                    ..Default::default()
                }),
                ..base
            },
            MountKind::Bind(bind) if !bind.create_host_path => api::Mount {
                typ: Some(api::MountType::BIND),
                source: Some(bind.source.clone()),
                bind_options: bind
                    .propagation
                    .map(|p| api::MountBindOptions { propagation: Some(propagation(p)), ..Default::default() }),
                ..base
            },
            MountKind::Archive(archive) => api::Mount {
                typ: Some(api::MountType::BIND),
                source: Some(self.engine.archives().mounted(archive).to_str()?.to_owned()),
                read_only: Some(true),
                ..base
            },
            MountKind::Bind(_) | MountKind::Anonymous => return None,
        })
    }
}

/// A bind mount whose source is made when missing: only the API's older form can do that
/// in all versions.
fn bind_line(mount: &Mount) -> Option<String> {
    let MountKind::Bind(Bind { source, create_host_path: true, propagation: p }) = &mount.kind else { return None };
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }.to_owned()];
    options.extend(p.map(|p| propagation(p).to_string()));
    Some(format!("{source}:{}:{}", mount.target, options.join(",")))
}

fn propagation(p: Propagation) -> api::MountBindOptionsPropagationEnum {
    use api::MountBindOptionsPropagationEnum as Api;
    match p {
        Propagation::Private => Api::PRIVATE,
        Propagation::Rprivate => Api::RPRIVATE,
        Propagation::Shared => Api::SHARED,
        Propagation::Rshared => Api::RSHARED,
        Propagation::Slave => Api::SLAVE,
        Propagation::Rslave => Api::RSLAVE,
    }
}

/// An option of Docker's command line that the API knows as two empty lists: `/proc` and `/sys`
/// as they are, nothing hidden or read-only.
const BARE_PATHS: &str = "systempaths=unconfined";

fn bare_paths(s: &Service) -> Option<Vec<String>> {
    s.security_opt.iter().any(|o| o == BARE_PATHS).then(Vec::new)
}

fn device(d: &stackyard_core::stack::Device) -> api::DeviceMapping {
    api::DeviceMapping {
        path_on_host: Some(d.source.clone()),
        path_in_container: Some(d.target.clone()),
        cgroup_permissions: Some(d.permissions.clone()),
    }
}

fn device_request(r: &DeviceRequest) -> api::DeviceRequest {
    api::DeviceRequest {
        driver: r.driver.clone(),
        count: r.count,
        device_ids: some_vec(r.device_ids.clone()),
        capabilities: some_vec(r.capabilities.clone()).map(|all| vec![all]),
        options: some_map(&r.options),
    }
}

fn ulimit((name, limit): (&String, &stackyard_core::stack::Ulimit)) -> api::ResourcesUlimits {
    api::ResourcesUlimits { name: Some(name.clone()), soft: Some(limit.soft), hard: Some(limit.hard) }
}

fn restart(policy: RestartPolicy) -> api::RestartPolicy {
    use api::RestartPolicyNameEnum as Name;
    let (name, maximum_retry_count) = match policy {
        RestartPolicy::No => (Name::NO, None),
        RestartPolicy::Always => (Name::ALWAYS, None),
        RestartPolicy::UnlessStopped => (Name::UNLESS_STOPPED, None),
        RestartPolicy::OnFailure { max_retries } => (Name::ON_FAILURE, max_retries.map(i64::from)),
    };
    api::RestartPolicy { name: Some(name), maximum_retry_count }
}

fn port_key(port: &PublishedPort) -> String {
    format!("{}/{}", port.target, port.protocol.word())
}

fn ports(ports: &[PublishedPort]) -> Option<api::PortMap> {
    let mut map = api::PortMap::new();
    for port in ports {
        let host_port = port.published.map(|first| match port.published_last {
            Some(last) => format!("{first}-{last}"),
            None => first.to_string(),
        });
        let binding = api::PortBinding { host_ip: port.host_ip.clone(), host_port };
        map.entry(port_key(port)).or_default().get_or_insert_default().push(binding);
    }
    (!map.is_empty()).then_some(map)
}

fn healthcheck(check: &Healthcheck) -> api::HealthConfig {
    let test = match &check.test {
        HealthTest::Cmd(argv) => std::iter::once("CMD".to_owned()).chain(argv.iter().cloned()).collect(),
        HealthTest::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
        HealthTest::Disabled => vec!["NONE".to_owned()],
    };
    api::HealthConfig {
        test: Some(test),
        interval: check.interval.map(nanos),
        timeout: check.timeout.map(nanos),
        retries: check.retries.map(i64::from),
        start_period: check.start_period.map(nanos),
        start_interval: check.start_interval.map(nanos),
    }
}

fn nanos(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}

fn as_i64_u(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_possible_truncation, reason = "seconds of a grace period; the cast saturates")]
fn as_i64(n: f64) -> i64 {
    n as i64
}

fn some_vec<T>(v: Vec<T>) -> Option<Vec<T>> {
    (!v.is_empty()).then_some(v)
}

fn some_map(m: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!m.is_empty()).then(|| m.clone().into_iter().collect())
}
