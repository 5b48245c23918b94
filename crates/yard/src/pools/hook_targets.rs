//! Where requests of join commands may go.
//!
//! A manifest that came by the API has a server send requests of its author's choice. Without limits, its author would
//! reach what only the server's machine does: a cloud's metadata service, interfaces that listen on loopback, the
//! network of whoever runs the server.

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};
use stackyard_core::address::is_public;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// Where requests of join commands may go.
#[derive(Debug, Clone, Default)]
pub struct HookTargets(Option<Arc<[AllowedHost]>>);

/// A host that requests may go to although its address is not public: a name, an address or a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AllowedHost {
    /// This name, wherever it leads.
    Name(String),
    /// These addresses.
    Network(IpNet),
}

impl FromStr for AllowedHost {
    type Err = String;

    /// Reads `rancher.example.org`, `10.1.2.3` or `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Network(address.into()));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network));
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        match text.strip_suffix('.').unwrap_or(text) {
            name if name.split('.').all(is_label) => Ok(Self::Name(name.to_ascii_lowercase())),
            _ => Err("expected a name, an address or a network, such as `rancher.example.org` or `10.0.0.0/8`".to_owned()),
        }
    }
}

impl TryFrom<String> for AllowedHost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AllowedHost> for String {
    fn from(host: AllowedHost) -> Self {
        host.to_string()
    }
}

impl Display for AllowedHost {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().fmt(f)
            }
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl HookTargets {
    /// Any place, as for a manifest of the user who runs this process.
    pub fn any() -> Self {
        Self(None)
    }

    /// Public addresses, and `allowed`.
    pub fn public_and(allowed: impl IntoIterator<Item = AllowedHost>) -> Self {
        Self(Some(allowed.into_iter().collect()))
    }

    /// Why no request may go to a URL, as far as the URL itself says: what its name leads to is checked when a
    /// request is sent.
    pub(crate) fn refusal(&self, url: &str) -> Option<String> {
        let allowed = self.0.as_ref()?;
        let parsed = reqwest::Url::parse(url).ok()?;
        let host = parsed.host_str()?;
        let address: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
        (!may_go(allowed, address)).then(|| refused(host, address))
    }

    /// A client's settings so that it goes nowhere else than here.
    pub(crate) fn limit(
        &self,
        builder: reqwest::ClientBuilder,
        url: &str,
    ) -> reqwest::ClientBuilder {
        let Some(allowed) = &self.0 else {
            return builder;
        };
        let parsed = reqwest::Url::parse(url).ok();
        let name = parsed
            .as_ref()
            .and_then(|u| u.host_str())
            .map(|h| h.trim_end_matches('.').to_ascii_lowercase());
        if name.is_some_and(|name| allowed.contains(&AllowedHost::Name(name))) {
            return builder;
        }
        // A proxy would look the name up itself.
        builder
            .no_proxy()
            .dns_resolver(Arc::new(LimitedResolver(allowed.clone())))
    }
}

/// Gives only addresses to which requests may go.
struct LimitedResolver(Arc<[AllowedHost]>);

impl Resolve for LimitedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let good: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|a| may_go(&allowed, a.ip()))
                .collect();
            match (good.is_empty(), found.first()) {
                (true, Some(other)) => Err(refused(name.as_str(), other.ip()).into()),
                _ => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

fn may_go(allowed: &[AllowedHost], address: IpAddr) -> bool {
    // When nothing tells the addresses of this machine, any address may be one.
    let own = || {
        if_addrs::get_if_addrs()
            .map(|all| all.iter().map(|i| i.ip()).collect::<Vec<_>>())
            .ok()
    };
    is_allowed(allowed, address)
        || is_public(address) && own().is_some_and(|own| !is_own(&own, address))
}

fn is_allowed(allowed: &[AllowedHost], address: IpAddr) -> bool {
    let of = |host: &AllowedHost| matches!(host, AllowedHost::Network(network) if network.contains(&address));
    allowed.iter().any(of)
}

/// Whether an address is one of this machine's interfaces: a public one leads to what listens for the machine alone.
fn is_own(own: &[IpAddr], address: IpAddr) -> bool {
    own.iter()
        .any(|a| a.to_canonical() == address.to_canonical())
}

fn refused(host: &str, address: IpAddr) -> String {
    let at = if host.trim_matches(['[', ']']) == address.to_string() {
        String::new()
    } else {
        format!(" is {address}, which")
    };
    format!(
        "{host}{at} is no public address of another machine, and this server sends requests of manifests to no other; \
         its administrator can allow it with `stackyard server --allow-hook-host {host}`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(texts: &[&str]) -> HookTargets {
        HookTargets::public_and(texts.iter().map(|t| t.parse().unwrap()))
    }

    #[test]
    fn hosts_are_read() {
        let network = |text: &str| AllowedHost::Network(text.parse().unwrap());
        for (text, expected) in [
            (
                "Rancher.Example.org.",
                AllowedHost::Name("rancher.example.org".to_owned()),
            ),
            ("rancher", AllowedHost::Name("rancher".to_owned())),
            ("10.1.2.3", network("10.1.2.3/32")),
            ("[fd00::1]", network("fd00::1/128")),
            ("10.0.0.0/8", network("10.0.0.0/8")),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "https://rancher",
            "a b",
            "10.0.0.0/99",
            "rancher:443",
            "..",
        ] {
            assert!(text.parse::<AllowedHost>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_machines_own_public_addresses_are_known() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let own = [address("1.1.1.1"), address("2606:4700::1")];
        for (text, expected) in [
            ("1.1.1.1", true),
            ("::ffff:1.1.1.1", true),
            ("2606:4700::1", true),
            ("1.1.1.2", false),
            ("2606:4700::2", false),
        ] {
            assert_eq!(is_own(&own, address(text)), expected, "{text}");
        }
    }

    #[test]
    fn addresses_in_urls_are_refused_at_once() {
        let targets = allowed(&["10.1.0.0/16"]);
        for url in [
            "http://127.0.0.1:17600/latest/meta-data/iam",
            "http://169.254.169.254/",
            "http://[::1]/",
            "http://10.2.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            let said = targets
                .refusal(url)
                .unwrap_or_else(|| panic!("{url} is allowed"));
            assert!(said.contains("--allow-hook-host"), "{said}");
        }
        for url in [
            "https://10.1.2.3/v3",
            "https://1.1.1.1/",
            "https://rancher.example.org/",
        ] {
            assert_eq!(targets.refusal(url), None, "{url}");
        }
        assert_eq!(HookTargets::any().refusal("http://127.0.0.1/"), None);
    }
}
