//! Keypairs, volumes, server groups, servers with their ports and volumes.

use super::super::manifest::{Attach, Server};
use super::super::observed::{Fields, Value};
use super::{Key, Kind, Maker, Need, Ref, ServerSpec, Spec};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Longest key and longest value of Nova's metadata, in characters.
const LABEL_MAX: usize = 255;

impl Maker<'_> {
    pub(super) fn keypairs(&mut self) {
        let spec = self.spec;
        for (i, pair) in spec.keypairs.iter().enumerate() {
            let path = format!("spec.keypairs[{i}]");
            self.name(&path, &pair.name);
            let Some(public_key) = pair.public_key.as_deref().map(str::trim) else {
                self.trouble(&path, "there is no key", Some("give `publicKey` or `publicKeyFile`"));
                continue;
            };
            if public_key.contains("PRIVATE KEY") {
                self.trouble(&path, "this is a private key", Some("give the public half, the file that ends in .pub"));
                continue;
            }
            if public_key.split_whitespace().count() < 2 || public_key.lines().count() != 1 {
                self.trouble(&path, "this is no public key", Some("it is one line, as `ssh-ed25519 AAAA... comment`"));
                continue;
            }
            let fields = Fields::from([("public key", key_of(public_key).into())]);
            let make = Spec::Keypair { public_key: public_key.to_owned() };
            self.add(&path, Key::new(Kind::Keypair, &pair.name), make, fields, Vec::new());
        }
    }

    pub(super) fn volumes(&mut self) {
        let spec = self.spec;
        for (i, volume) in spec.volumes.iter().enumerate() {
            let path = format!("spec.volumes[{i}]");
            self.name(&path, &volume.name);
            let mut fields = Fields::from([("size", volume.size.into())]);
            fields.extend(volume.volume_type.as_ref().map(|t| ("type", t.into())));
            fields.extend(volume.image.as_ref().map(|t| ("image", t.into())));
            fields.extend(volume.availability_zone.as_ref().map(|t| ("availability zone", t.into())));
            let make = Spec::Volume {
                name: volume.name.clone(),
                size: volume.size,
                volume_type: volume.volume_type.clone(),
                image: volume.image.clone(),
                availability_zone: volume.availability_zone.clone(),
                bootable: false,
            };
            self.add(&path, Key::new(Kind::Volume, &volume.name), make, fields, Vec::new());
        }
    }

    pub(super) fn server_groups(&mut self) {
        let spec = self.spec;
        for (i, group) in spec.server_groups.iter().enumerate() {
            let path = format!("spec.serverGroups[{i}]");
            self.name(&path, &group.name);
            let policy = group.policy.word();
            let fields = Fields::from([("policy", policy.into())]);
            let key = Key::new(Kind::ServerGroup, &group.name);
            self.add(&path, key, Spec::ServerGroup { policy }, fields, Vec::new());
        }
    }

    pub(super) fn servers(&mut self) {
        let spec = self.spec;
        for (i, server) in spec.servers.iter().enumerate() {
            let path = format!("spec.servers[{i}]");
            self.name(&path, &server.name);
            let Some(networks) = self.networks_of(&path, server) else { continue };
            let several = server.count.is_some_and(|n| n > 1);
            if several && networks.iter().any(|n| !n.address.is_empty()) {
                self.trouble(&path, "several servers cannot have one fixed address", Some("write them one by one"));
            }
            if several && !server.volumes.is_empty() {
                self.trouble(&path, "several servers cannot have one volume", Some("write them one by one"));
            }
            if server.count.is_some_and(|n| n > 10_000) {
                self.trouble(format!("{path}.count"), "10,000 at most", None);
                continue;
            }
            if server.image.is_none() {
                self.trouble(&path, "`image` is missing", Some("name what the server boots"));
            }
            match server.count {
                None => self.server(&path, &server.name, server, &networks),
                Some(count) => {
                    (1..=count).for_each(|n| self.server(&path, &format!("{}-{n}", server.name), server, &networks));
                }
            }
        }
    }

    /// The networks of a server or of a pool's servers, and a look at what they say for all of these.
    pub(super) fn networks_of(&mut self, path: &str, server: &Server) -> Option<Vec<Attach>> {
        self.labels_fit(path, server);
        let networks = self.need_network(path, server)?;
        self.groups_apply(path, server, &networks);
        Some(networks)
    }

    fn need_network(&mut self, path: &str, server: &Server) -> Option<Vec<Attach>> {
        if server.network.is_some() && !server.networks.is_empty() {
            self.trouble(
                format!("{path}.network"),
                "`network` and `networks` are both there",
                Some("keep one of them"),
            );
        }
        let networks = self.attached(server.network.as_ref(), &server.networks);
        if networks.is_empty() {
            self.trouble(path, format!("server `{}` names no network", server.name), Some("add `network: NAME`"));
            return None;
        }
        Some(networks)
    }

    /// The networks of a server or pool that says so in `network` and `networks`: if it names none, the yard's only one.
    pub(super) fn attached(&self, network: Option<&String>, networks: &[Attach]) -> Vec<Attach> {
        match (network, networks, self.spec.networks.as_slice()) {
            (Some(network), ..) => vec![Attach::from(network.clone())],
            (None, [], [only]) => vec![Attach::from(only.name.clone())],
            (None, many, _) => many.to_vec(),
        }
    }

    pub(super) fn server(&mut self, path: &str, name: &str, server: &Server, networks: &[Attach]) {
        let key = Key::new(Kind::Server, name);
        let mut needs = Vec::new();
        let mut ports = Vec::new();
        for (i, attach) in networks.iter().enumerate() {
            let port = self.port(path, name, server, networks, i);
            needs.push(Need::baked(port.clone()));
            needs.extend(self.feet(&attach.network).into_iter().map(Need::before));
            ports.push(port);
        }
        let image = server.image.as_ref();
        let boot = server.boot_volume.as_ref().map(|boot| {
            let volume = Key::new(Kind::Volume, format!("{name}/boot"));
            let mut fields = Fields::from([("size", boot.size.into())]);
            fields.extend(boot.volume_type.as_ref().map(|t| ("type", t.into())));
            fields.extend(image.map(|t| ("image", t.into())));
            let make = Spec::Volume {
                name: format!("{name}-boot"),
                size: boot.size,
                volume_type: boot.volume_type.clone(),
                image: image.cloned(),
                availability_zone: None,
                bootable: true,
            };
            self.add(path, volume.clone(), make, fields, Vec::new());
            volume
        });
        needs.extend(boot.clone().map(Need::baked));
        let key_ref = server.key.as_ref().map(|k| self.refer(Kind::Keypair, k));
        let group = server.group.as_ref().map(|g| self.refer(Kind::ServerGroup, g));
        needs.extend(key_ref.as_ref().and_then(|k| Need::of(k, false)));
        needs.extend(group.as_ref().and_then(|g| Need::of(g, true)));
        let user_data = server.user_data.clone().filter(|t| !t.is_empty());
        if user_data.as_ref().is_some_and(|t| t.len() > 49_149) {
            self.trouble(format!("{path}.userData"), "more than 49,149 bytes, Nova's limit before base64", None);
        }

        let mut fields = Fields::from([
            ("flavor", (&server.flavor).into()),
            ("ports", Value::set(ports.iter().map(|p| &p.name))),
            ("user data", digest(user_data.as_deref()).into()),
            ("metadata", Value::set(server.metadata.iter().map(|(k, v)| format!("{k}={v}")))),
            ("tags", Value::set(&server.tags)),
            ("key", server.key.clone().unwrap_or_default().into()),
            ("boot volume", boot.as_ref().map(|b| b.name.clone()).unwrap_or_default().into()),
        ]);
        fields.extend(image.map(|i| ("image", i.into())));
        let zone = server.availability_zone.as_deref().map(|z| z.split(':').next().unwrap_or(z));
        fields.extend(zone.map(|z| ("availability zone", z.into())));
        fields.extend(server.config_drive.map(|on| ("config drive", on.into())));
        fields.extend(group.as_ref().map(|g| ("server group", g.text().into())));

        let spec = ServerSpec {
            flavor: server.flavor.clone(),
            image: image.cloned(),
            ports,
            key: key_ref,
            user_data,
            metadata: server.metadata.clone(),
            tags: server.tags.clone(),
            availability_zone: server.availability_zone.clone(),
            config_drive: server.config_drive,
            boot,
            group,
            digest: digest(server.user_data.as_deref().filter(|t| !t.is_empty())),
            host: None,
        };
        self.add(path, key.clone(), Spec::Server(Box::new(spec)), fields, needs);
        for volume in &server.volumes {
            let volume = self.refer(Kind::Volume, volume);
            let place = Key::new(Kind::Attachment, format!("{name}:{}", volume.text()));
            let mut needs = vec![Need::baked(key.clone())];
            needs.extend(Need::of(&volume, true));
            self.add(path, place, Spec::Attachment { server: key.clone(), volume }, Fields::new(), needs);
        }
    }

    fn port(&mut self, path: &str, server: &str, of: &Server, networks: &[Attach], i: usize) -> Key {
        let attach = &networks[i];
        let network = self.refer(Kind::Network, &attach.network);
        let before = networks[..i].iter().filter(|n| n.network == attach.network).count();
        let nth = if before == 0 { String::new() } else { format!("/{}", before + 1) };
        let key = Key::new(Kind::Port, format!("{server}/{}{nth}", attach.network));
        let mut needs: Vec<Need> = Need::of(&network, true).into_iter().collect();
        needs.extend(self.subnets(&attach.network).into_iter().map(Need::baked));
        self.addresses_fit(path, attach);

        let own = if of.security_groups.is_empty() { None } else { Some(&of.security_groups) };
        let names = attach.security_groups.as_ref().or(own);
        let groups: Option<Vec<Ref>> = if self.is_open(attach) {
            // Neutron refuses groups where they would not be enforced.
            Some(Vec::new())
        } else {
            names.map(|names| names.iter().map(|g| self.refer(Kind::SecurityGroup, g)).collect())
        };
        needs.extend(groups.iter().flatten().filter_map(|g| Need::of(g, false)));

        let mut fields = Fields::from([("network", (&attach.network).into())]);
        if !attach.address.is_empty() {
            fields.insert("addresses", Value::set(attach.address.iter().map(ToString::to_string)));
        }
        fields.extend(groups.as_ref().map(|g| ("security groups", Value::set(g.iter().map(Ref::text)))));
        fields.extend(attach.port_security.map(|on| ("port security", on.into())));
        let make = Spec::Port {
            name: format!("{server}-{}{}", attach.network, nth.replace('/', "-")),
            network,
            addresses: attach.address.clone(),
            groups,
            port_security: attach.port_security,
        };
        self.add(path, key.clone(), make, fields, needs);
        key
    }

    /// Whether ports there are without port security, as far as the manifest says.
    fn is_open(&self, attach: &Attach) -> bool {
        let network = self.spec.networks.iter().find(|n| n.name == attach.network);
        let says = attach.port_security.or_else(|| network?.port_security);
        says == Some(false)
    }

    /// Security groups must apply somewhere: Neutron has none on ports without port security.
    fn groups_apply(&mut self, path: &str, server: &Server, networks: &[Attach]) {
        let hint = "leave them out, or set `portSecurity: true`";
        for (i, attach) in networks.iter().enumerate() {
            if self.is_open(attach) && attach.security_groups.as_ref().is_some_and(|g| !g.is_empty()) {
                let message = format!("no security group applies: network `{}` has no port security", attach.network);
                self.trouble(format!("{path}.networks[{i}].securityGroups"), message, Some(hint));
            }
        }
        let nowhere = networks.iter().all(|n| self.is_open(n) && n.security_groups.is_none());
        if nowhere && !server.security_groups.is_empty() {
            let message = "no security group applies: no network of the server has port security";
            self.trouble(format!("{path}.securityGroups"), message, Some(hint));
        }
    }

    /// Metadata and tags must be what Nova takes (nova, `api/validation/parameter_types.py`, `metadata` and `tag`; at
    /// most 50 tags, `objects/instance.py`, `MAX_TAG_COUNT`).
    fn labels_fit(&mut self, path: &str, server: &Server) {
        let place = format!("{path}.metadata");
        for (key, value) in &server.metadata {
            let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | ' ');
            if key == "stackyard" || key.starts_with("stackyard.") {
                self.trouble(&place, format!("`{key}` is Stackyard's own"), Some("use another name"));
            } else if key.is_empty() || key.len() > LABEL_MAX || !key.chars().all(is_key) {
                let hint = "use 1 to 255 of the letters a to z and A to Z, digits, spaces and `-_:.`";
                self.trouble(&place, format!("`{key}` cannot be a key"), Some(hint));
            } else if value.chars().count() > LABEL_MAX {
                let message = format!("the value of `{key}` has more than {LABEL_MAX} characters");
                self.trouble(&place, message, Some("put longer texts into `userData`"));
            }
        }
        let place = format!("{path}.tags");
        for tag in &server.tags {
            if tag.is_empty() || tag.chars().count() > 60 || tag.contains([',', '/']) {
                let hint = "use 1 to 60 characters without `,` and `/`";
                self.trouble(&place, format!("`{tag}` cannot be a tag"), Some(hint));
            }
        }
        if server.tags.len() > 50 {
            self.trouble(place, "more than 50 tags, Nova's limit", None);
        }
    }

    /// Fixed addresses in a network of the yard must lie in one of its subnets.
    fn addresses_fit(&mut self, path: &str, attach: &Attach) {
        let Some(network) = self.spec.networks.iter().find(|n| n.name == attach.network) else { return };
        let nets: Vec<_> = network.cidr.into_iter().chain(network.subnets.iter().map(|s| s.cidr)).collect();
        for address in &attach.address {
            if !nets.iter().any(|n| n.contains(address)) {
                let all: Vec<String> = nets.iter().map(ToString::to_string).collect();
                let message =
                    format!("`{address}` is in no subnet of network `{}` ({})", attach.network, all.join(", "));
                self.trouble(path, message, None);
            }
        }
    }
}

/// A public key without its comment.
pub fn key_of(line: &str) -> String {
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// What stands for user data, which may be long and secret: the first 16 hexadecimal digits of
/// its SHA-256; empty without.
pub fn digest(user_data: Option<&str>) -> String {
    let Some(text) = user_data else { return String::new() };
    Sha256::digest(text).iter().take(8).fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
