//! How a server is run. What is not said is as last time.

use crate::archive::DEFAULT_FILES_LIMIT;
use crate::audit::{DEFAULT_KEEP as DEFAULT_AUDIT_KEEP, DEFAULT_ROWS as DEFAULT_AUDIT_ROWS, Retention};
use crate::auth::SignIn;
use crate::files;
use serde::{Deserialize, Serialize};
use stackyard_api::Role;
use stackyard_yard::{AllowedHost, HookTargets};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where the server listens if it was never told.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7440";

/// Seconds after which a host that is away is lost, if the server was never told.
pub const DEFAULT_LOST_AFTER: u32 = 60;

/// What a user may say about a server.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Addresses to listen on.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// Names and addresses that the server's certificate is to be good for, besides those it listens
    /// on. The first is the one that hosts are told.
    #[serde(default)]
    pub names: Vec<String>,
    /// URL of a PostgreSQL database; SQLite if absent.
    #[serde(default)]
    pub database: Option<String>,
    /// Seconds after which a host whose agent is not connected is lost: what it had comes up
    /// elsewhere. [`DEFAULT_LOST_AFTER`] if absent.
    #[serde(default)]
    pub lost_after: Option<u32>,
    /// MiB that the files which one stack carries to its hosts may have. [`DEFAULT_FILES_LIMIT`] if absent.
    #[serde(default)]
    pub files_limit: Option<u32>,
    /// The clouds.yaml in which yards' clouds are found; as [`stackyard_openstack::CloudConfig::load`]
    /// finds it if absent.
    #[serde(default)]
    pub clouds: Option<PathBuf>,
    /// Clouds with whose Keystone people sign in; none if absent or empty.
    #[serde(default)]
    pub sign_in_clouds: Option<Vec<String>>,
    /// What roles of Keystone's may do; [`SignIn::usual_roles`] if absent.
    #[serde(default)]
    pub sign_in_roles: Option<BTreeMap<String, Role>>,
    /// Hosts without a public address to which requests of manifests may go; none if absent or empty.
    #[serde(default)]
    pub hook_hosts: Option<Vec<AllowedHost>>,
    /// Addresses to show metrics on, without TLS and without a token; none if absent or empty.
    #[serde(default)]
    pub metrics_listen: Option<Vec<SocketAddr>>,
    /// Days for which entries of the audit log are kept. [`DEFAULT_AUDIT_KEEP`] if absent.
    #[serde(default)]
    pub audit_keep: Option<u32>,
    /// Entries of the audit log that are kept. [`DEFAULT_AUDIT_ROWS`] if absent.
    #[serde(default)]
    pub audit_rows: Option<u32>,
    /// File that the audit log is written to as well, as JSON lines; none if absent or empty.
    #[serde(default)]
    pub audit_file: Option<PathBuf>,
}

/// Shows no password.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let database = self.database.as_ref().map(|url| stackyard_store::Database::Url(url.clone()));
        let mut out = f.debug_struct("Settings");
        out.field("listen", &self.listen).field("names", &self.names).field("database", &database);
        out.field("lost_after", &self.lost_after).field("files_limit", &self.files_limit).field("clouds", &self.clouds);
        out.field("sign_in_clouds", &self.sign_in_clouds).field("sign_in_roles", &self.sign_in_roles);
        out.field("hook_hosts", &self.hook_hosts).field("metrics_listen", &self.metrics_listen);
        out.field("audit_keep", &self.audit_keep).field("audit_rows", &self.audit_rows);
        out.field("audit_file", &self.audit_file).finish()
    }
}

impl Settings {
    fn path(dir: &Path) -> PathBuf {
        dir.join("settings.json")
    }

    /// What was said last time, by state directory of the server.
    pub(crate) fn last(dir: &Path) -> io::Result<Self> {
        let text = files::read(&Self::path(dir))?;
        text.map_or_else(|| Ok(Self::default()), |t| serde_json::from_str(&t).map_err(io::Error::other))
    }

    pub(crate) fn keep(&self, dir: &Path) -> io::Result<()> {
        files::write_private(&Self::path(dir), &serde_json::to_vec_pretty(self)?)
    }

    /// These settings, and `last` for what is not said.
    pub(crate) fn or(self, last: Self) -> Self {
        let listen = if self.listen.is_empty() { last.listen } else { self.listen };
        let names = if self.names.is_empty() { last.names } else { self.names };
        let (database, lost_after) = (self.database.or(last.database), self.lost_after.or(last.lost_after));
        let (files_limit, clouds) = (self.files_limit.or(last.files_limit), self.clouds.or(last.clouds));
        let sign_in_clouds = self.sign_in_clouds.or(last.sign_in_clouds);
        let sign_in_roles = self.sign_in_roles.or(last.sign_in_roles);
        let hook_hosts = self.hook_hosts.or(last.hook_hosts);
        let metrics_listen = self.metrics_listen.or(last.metrics_listen);
        let (audit_keep, audit_rows) = (self.audit_keep.or(last.audit_keep), self.audit_rows.or(last.audit_rows));
        let audit_file = self.audit_file.or(last.audit_file);
        Self {
            listen,
            names,
            database,
            lost_after,
            files_limit,
            clouds,
            sign_in_clouds,
            sign_in_roles,
            hook_hosts,
            metrics_listen,
            audit_keep,
            audit_rows,
            audit_file,
        }
    }

    /// How long, and how many, entries of the audit log are kept.
    pub(crate) fn audit_retention(&self) -> Retention {
        Retention {
            days: self.audit_keep.unwrap_or(DEFAULT_AUDIT_KEEP),
            rows: self.audit_rows.unwrap_or(DEFAULT_AUDIT_ROWS),
        }
    }

    /// File that the audit log is written to as well.
    pub(crate) fn audit_file(&self) -> Option<&Path> {
        self.audit_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// Bytes that the files which one stack carries to its hosts may have.
    pub(crate) fn files_limit(&self) -> u64 {
        u64::from(self.files_limit.unwrap_or(DEFAULT_FILES_LIMIT)) << 20
    }

    /// Who may sign in with Keystone.
    /// Where requests of manifests may go.
    pub(crate) fn hook_targets(&self) -> HookTargets {
        HookTargets::public_and(self.hook_hosts.iter().flatten().cloned())
    }

    pub(crate) fn sign_in(&self) -> SignIn {
        let roles = self.sign_in_roles.clone().unwrap_or_else(SignIn::usual_roles);
        SignIn { clouds: self.sign_in_clouds.clone().unwrap_or_default(), roles }
    }
}

/// Names that the certificate is to be good for: those given, this machine's, and the addresses
/// that are listened on, all of the machine's for `0.0.0.0` and `[::]`.
pub(crate) fn names(settings: &Settings) -> io::Result<std::collections::BTreeSet<String>> {
    let mut names: std::collections::BTreeSet<String> = settings.names.iter().map(|n| bare(n)).collect();
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    for listen in &settings.listen {
        if listen.ip().is_unspecified() {
            names.extend(addresses()?.into_iter().filter(|a| a.is_ipv4() || listen.is_ipv6()).map(|a| a.to_string()));
        } else {
            names.insert(listen.ip().to_string());
        }
    }
    Ok(names)
}

fn bare(name: &str) -> String {
    name.trim_matches(['[', ']']).to_owned()
}

/// Addresses of this machine that others can use.
fn addresses() -> io::Result<Vec<IpAddr>> {
    let link_local = |a: &IpAddr| match a {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    Ok(if_addrs::get_if_addrs()?.into_iter().map(|i| i.ip()).filter(|a| !a.is_loopback() && !link_local(a)).collect())
}

/// Address that packets to anywhere leave with; the machine's own idea of its address. No packet is
/// sent: a connected UDP socket only looks the route up.
fn outbound() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// URL that hosts are told: the first name, else the first address that is no loopback.
pub(crate) fn url(settings: &Settings, listening: &[SocketAddr]) -> String {
    let port = listening.first().map_or(0, SocketAddr::port);
    let name = settings.names.first().map(|n| bare(n));
    let address = listening.iter().find_map(|l| match l.ip() {
        ip if ip.is_unspecified() => outbound(),
        ip if ip.is_loopback() => None,
        ip => Some(ip),
    });
    let host = name.or_else(|| address.map(|a| a.to_string()));
    let host = host.unwrap_or_else(|| listening.first().map_or("127.0.0.1".to_owned(), |l| l.ip().to_string()));
    if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &[&str], names: &[&str]) -> Settings {
        let listen = listen.iter().map(|l| l.parse().unwrap()).collect();
        Settings { listen, names: names.iter().map(|n| (*n).to_owned()).collect(), ..Settings::default() }
    }

    #[test]
    fn hosts_are_told_a_name_that_the_certificate_has() {
        for (settings, url_is) in [
            (settings(&["127.0.0.1:7440"], &[]), "https://127.0.0.1:7440"),
            (settings(&["127.0.0.1:7440", "192.0.2.7:7440"], &[]), "https://192.0.2.7:7440"),
            (settings(&["[2001:db8::1]:7440"], &[]), "https://[2001:db8::1]:7440"),
            (settings(&["0.0.0.0:7440"], &["yard.example", "x"]), "https://yard.example:7440"),
        ] {
            let url = url(&settings, &settings.listen);
            assert_eq!(url, url_is);
            let host = url.trim_start_matches("https://").rsplit_once(':').unwrap().0;
            assert!(names(&settings).unwrap().contains(host.trim_matches(['[', ']'])), "{url}");
        }
    }

    #[test]
    fn what_is_not_said_is_as_last_time() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Settings::last(dir.path()).unwrap(), Settings::default());
        let database = Some("postgres://me:pw@h/d".to_owned());
        let clouds = Some(PathBuf::from("/etc/openstack/clouds.yaml"));
        let first = Settings {
            database,
            lost_after: Some(300),
            files_limit: Some(7),
            clouds,
            ..settings(&["0.0.0.0:1"], &["a"])
        };
        first.keep(dir.path()).unwrap();
        let next = settings(&["0.0.0.0:2"], &[]).or(Settings::last(dir.path()).unwrap());
        assert_eq!(next.sign_in(), SignIn { clouds: Vec::new(), roles: SignIn::usual_roles() });
        assert_eq!((next.files_limit(), settings(&[], &[]).files_limit()), (7 << 20, 64 << 20));
        assert_eq!((next.listen, next.names), (settings(&["0.0.0.0:2"], &[]).listen, vec!["a".to_owned()]));
        assert_eq!((next.database, next.lost_after), (first.database.clone(), Some(300)));
        assert_eq!(next.clouds, first.clouds);
        let some = Settings { sign_in_clouds: Some(vec!["a".to_owned()]), ..Settings::default() };
        let none = Settings { sign_in_clouds: Some(Vec::new()), ..Settings::default() };
        assert_eq!(Settings::default().or(some.clone()).sign_in().clouds, ["a"]);
        assert!(none.or(some).sign_in().clouds.is_empty());
        assert!(!format!("{first:?}").contains("pw"));
    }
}
