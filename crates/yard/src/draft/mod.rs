//! A first manifest from a few choices: what `stackyard init` writes and the console's form shows.

mod offer;

pub use offer::offer_of;

use serde_json::json;
use stackyard_api::{CloudChoice, CloudChoices, DraftError, DraftJoin, YardDraft};
use stackyard_catalog::{Memory, manifest};
use std::sync::Arc;

/// Most machines that a first manifest has; a manifest can have more.
const MOST: u32 = 1000;
/// Stands for what the cloud has nothing of.
const CHANGE_ME: &str = "CHANGE-ME";
/// Words that YAML takes for something else than text.
const NO_TEXTS: [&str; 10] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan",
];

/// A text that grows by lines, each with the field that it is about.
#[derive(Default)]
struct ManifestLines {
    text: String,
    fields: Vec<&'static str>,
}

impl ManifestLines {
    fn push(&mut self, field: &'static str, line: &str) {
        self.text += line;
        self.text.push('\n');
        self.fields.push(field);
    }

    /// A line of the manifest's `spec`.
    fn spec(&mut self, field: &'static str, line: &str) {
        self.push(field, &format!("  {line}"));
    }

    fn field_at(&self, line: usize) -> &'static str {
        line.checked_sub(1)
            .and_then(|at| self.fields.get(at))
            .copied()
            .unwrap_or_default()
    }
}

/// A name that may hold anything: JSON's texts are YAML's, too.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// A name that people choose for something of the yard, without quotes where it can be.
fn word(text: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(inner);
    if plain && !NO_TEXTS.contains(&text.to_lowercase().as_str()) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A size, without quotes if it is one.
fn size(text: &str) -> String {
    let digits = text
        .strip_suffix("Gi")
        .or_else(|| text.strip_suffix("Ti"))
        .unwrap_or_default();
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A mistake's words without the path of its place, for which the field stands.
fn words(message: &str) -> &str {
    match message.split_once(": ") {
        Some((path, rest)) if path.starts_with("spec.") || path.starts_with("metadata.") => rest,
        _ => message,
    }
}

/// What else there is, for a comment.
fn others(chosen: Option<&str>, from: &[CloudChoice]) -> String {
    const MOST: usize = 6;
    let names: Vec<&str> = from
        .iter()
        .map(|o| o.name.as_str())
        .filter(|n| Some(*n) != chosen)
        .collect();
    let shown = names
        .iter()
        .take(MOST)
        .map(|n| n.replace(char::is_control, " "))
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        0 => String::new(),
        n if n > MOST => format!("   # or {shown} ..."),
        _ => format!("   # or {shown}"),
    }
}

/// The first of everything that a cloud offers, and a network of the yard's own.
pub fn first_draft(offer: &CloudChoices) -> YardDraft {
    let first = |from: &[CloudChoice]| from.first().map(|o| o.name.clone());
    let image = first(&offer.images);
    let flavor = first(&offer.flavors_for(image.as_deref()));
    let external = first(&offer.externals);
    YardDraft {
        flavor,
        image,
        floating_ip: external.is_some(),
        external,
        ..YardDraft::default()
    }
}

/// The manifest, with comments on what else there is.
///
/// # Arguments
/// - `draft`: the choices
/// - `cloud`: name of its entry in clouds.yaml
/// - `offer`: what that cloud has
///
/// # Errors
/// Every mistake: what the cloud does not have, and what would be a mistake of the manifest.
pub fn write_manifest(
    draft: &YardDraft,
    cloud: &str,
    offer: &CloudChoices,
) -> Result<String, Vec<DraftError>> {
    let writer = ManifestWriter(draft);
    let mut faults = writer.missing(offer);
    faults.extend(writer.senseless());
    // Each machine of a count becomes a resource when the text is read.
    if draft.count == 0 || draft.count > MOST {
        return Err(faults);
    }
    let lines = writer.lines(cloud, offer);
    match manifest::read_with("yard.yaml", lines.text.clone(), Arc::new(Memory::default())) {
        Ok(_) if faults.is_empty() => Ok(lines.text),
        Ok(_) => Err(faults),
        Err(mistakes) => {
            for mistake in mistakes.iter() {
                let field = lines.field_at(mistake.place.line).to_owned();
                if !faults.iter().any(|f| f.field == field) {
                    let (message, hint) =
                        (words(&mistake.message).to_owned(), mistake.hint.clone());
                    faults.push(DraftError {
                        field,
                        message,
                        hint,
                    });
                }
            }
            Err(faults)
        }
    }
}

/// Writes a draft down.
struct ManifestWriter<'a>(&'a YardDraft);

impl ManifestWriter<'_> {
    /// What was chosen and is not there.
    fn missing(&self, offer: &CloudChoices) -> Vec<DraftError> {
        let chosen = [
            ("image", "image", &self.0.image, &offer.images),
            ("flavor", "flavor", &self.0.flavor, &offer.flavors),
            ("network", "network", &self.0.network, &offer.networks),
            (
                "external",
                "external network",
                &self.0.external,
                &offer.externals,
            ),
            ("key", "keypair", &self.0.key, &offer.keypairs),
        ];
        let is_missing = |name: &Option<String>, from: &[CloudChoice]| {
            name.as_ref()
                .is_some_and(|n| from.iter().all(|o| o.name != *n))
        };
        let fault =
            |(field, noun, name, from): (&str, &str, &Option<String>, &Vec<CloudChoice>)| {
                let others = others(None, from);
                let hint = others
                    .trim_start_matches([' ', '#'])
                    .strip_prefix("or ")
                    .map(|names| format!("it has {names}"));
                let message = format!(
                    "the cloud has no {noun} `{}` to choose",
                    name.as_deref().unwrap_or_default()
                );
                DraftError {
                    hint,
                    ..DraftError::new(field, message)
                }
            };
        chosen
            .into_iter()
            .filter(|(_, _, name, from)| is_missing(name, from))
            .map(fault)
            .collect()
    }

    /// Choices that do not go together, and would read well all the same or be told elsewhere.
    fn senseless(&self) -> Vec<DraftError> {
        let mut faults = Vec::new();
        if self.0.count == 0 || self.0.count > MOST {
            let message = format!("1 to {MOST} machines can be written here");
            faults.push(DraftError::new("count", message));
        }
        if self.0.floating_ip && self.0.network.is_none() && self.0.external.is_none() {
            let message = "a floating IP leads through an external network, and none is chosen";
            faults.push(DraftError::new("floating_ip", message));
        }
        if self.0.data_volume.is_some() && !self.0.hosts && self.0.count > 1 {
            let message = "several servers cannot have one volume; container hosts get one each";
            faults.push(DraftError::new("data_volume", message));
        }
        if self.0.hosts && self.0.join == DraftJoin::Ssh && self.0.key.is_some() {
            faults.push(DraftError::new(
                "key",
                "a pool that joins by SSH has a key of its own",
            ));
        }
        faults
    }

    fn lines(&self, cloud: &str, offer: &CloudChoices) -> ManifestLines {
        let mut out = ManifestLines::default();
        let name = format!("metadata: {{name: {}}}", word(&self.0.name));
        out.push(
            "",
            "# A yard: `stackyard plan` shows what `stackyard up` would do.",
        );
        out.push("", "apiVersion: stackyard.dev/v1");
        out.push("", "kind: Yard");
        out.push(
            "name",
            &format!("{name:<31} # its resources carry this name: do not change it later"),
        );
        out.push("", "spec:");
        // The OS_* variables are no entry of clouds.yaml.
        let comment = if cloud == "envvars" { "# " } else { "" };
        out.spec("cloud", &format!("{comment}cloud: {}", quoted(cloud)));
        self.network_lines(offer, &mut out);
        out.spec("", "# keypairs:");
        out.spec("", "#   - {name: me, publicKeyFile: ~/.ssh/id_ed25519.pub}");
        match self.0.data_volume.as_deref().filter(|_| !self.0.hosts) {
            Some(wanted) => {
                out.spec("", "volumes:");
                out.spec(
                    "data_volume",
                    &format!("  - {{name: data, size: {}}}", size(wanted)),
                );
            }
            None if self.0.hosts => {}
            None => {
                out.spec("", "# volumes:");
                out.spec("", "#   - {name: data, size: 10Gi}");
            }
        }
        self.machine_lines(offer, &mut out);
        if offer.balances {
            out.spec("", "# loadBalancers:");
            let to = if self.0.hosts {
                self.machines()[0].clone()
            } else {
                self.0.machine.clone()
            };
            out.spec(
                "",
                &format!(
                    "#   - {{name: web, listeners: [{{port: 80, servers: [{}]}}]}}",
                    word(&to)
                ),
            );
        }
        if offer.stores {
            out.spec("", "# objectContainers:");
            out.spec("", "#   - {name: files}");
        }
        if self.0.floating_ip && !self.0.hosts {
            out.spec("", "floatingIPs:");
            let external = self
                .0
                .external
                .as_deref()
                .filter(|_| self.0.network.is_some());
            let external = external
                .map(|e| format!(", external: {}", quoted(e)))
                .unwrap_or_default();
            for (at, machine) in self.machines().iter().enumerate() {
                let item = format!("  - {{server: {}{external}}}", word(machine));
                let comment = if at == 0 {
                    "# an address outside that leads to the server"
                } else {
                    ""
                };
                // Only the name could be wrong here.
                out.spec("machine", format!("{item:<28} {comment}").trim_end());
            }
        }
        if self.0.hosts {
            out.spec("", "# stacks:");
            out.spec("", "#   - {name: site, compose: ./compose.yaml}");
        }
        out
    }

    /// Names of the servers that there will be.
    fn machines(&self) -> Vec<String> {
        if self.0.count == 1 && !self.0.hosts {
            return vec![self.0.machine.clone()];
        }
        (1..=self.0.count.max(1))
            .map(|n| format!("{}-{n}", self.0.machine))
            .collect()
    }

    fn network_lines(&self, offer: &CloudChoices, out: &mut ManifestLines) {
        if self.0.network.is_none() {
            let router = self
                .0
                .external
                .as_deref()
                .map(|e| format!(", router: {{external: {}}}", quoted(e)));
            let router = router.unwrap_or_default();
            let is_cidr = self
                .0
                .cidr
                .parse::<ipnet::IpNet>()
                .is_ok_and(|c| !matches!(c, ipnet::IpNet::V6(_)));
            let cidr = if is_cidr {
                self.0.cidr.clone()
            } else {
                quoted(&self.0.cidr)
            };
            let others = others(self.0.external.as_deref(), &offer.externals);
            out.spec("", "networks:");
            out.spec(
                "cidr",
                &format!("  - {{name: front, cidr: {cidr}{router}}}{others}"),
            );
        }
        out.spec("", "securityGroups:");
        out.spec("", "  - name: web");
        out.spec("", "    rules:");
        if self.0.hosts {
            out.spec(
                "",
                "      - {from: web}             # all between its members",
            );
        }
        out.spec("", "      - {proto: tcp, port: 22}");
        out.spec("", "      - {proto: tcp, port: 80}");
        out.spec("", "      - {proto: icmp}");
    }

    fn machine_lines(&self, offer: &CloudChoices, out: &mut ManifestLines) {
        let machine = word(&self.0.machine);
        if self.0.hosts {
            out.spec("", "hosts:");
            out.spec("machine", &format!("  - pool: {machine}"));
            out.spec("count", &format!("    count: {}", self.0.count));
        } else {
            out.spec("", "servers:");
            out.spec("machine", &format!("  - name: {machine}"));
            match self.0.count {
                1 => {
                    let named = self.0.machine.replace(char::is_control, " ");
                    out.spec(
                        "count",
                        &format!("    # count: 2                  # {named}-1 and {named}-2"),
                    );
                }
                n => out.spec("count", &format!("    count: {n}")),
            }
        }
        let or_change = |name: Option<&str>| quoted(name.unwrap_or(CHANGE_ME));
        let (image, flavor) = (self.0.image.as_deref(), self.0.flavor.as_deref());
        out.spec(
            "image",
            &format!(
                "    image: {}{}",
                or_change(image),
                others(image, &offer.images)
            ),
        );
        let fitting = others(flavor, &offer.flavors_for(image));
        out.spec(
            "flavor",
            &format!("    flavor: {}{fitting}", or_change(flavor)),
        );
        match self.0.network.as_deref() {
            Some(network) => {
                let others = others(Some(network), &offer.networks);
                out.spec(
                    "network",
                    &format!("    network: {}{others}", quoted(network)),
                );
            }
            None => out.spec("network", "    network: front"),
        }
        out.spec("", "    securityGroups: [web]");
        match self.0.key.as_deref() {
            Some(key) => {
                out.spec(
                    "key",
                    &format!(
                        "    key: {}{}",
                        quoted(key),
                        others(Some(key), &offer.keypairs)
                    ),
                );
            }
            None if self.0.hosts && self.0.join == DraftJoin::Ssh => {}
            None => out.spec(
                "key",
                &format!("    # key: me{}", others(None, &offer.keypairs)),
            ),
        }
        out.spec(
            "",
            "    # bootVolume: {size: 10Gi}  # boot from a volume, for flavors without a disk",
        );
        if self.0.hosts {
            self.host_lines(out);
        } else {
            // Of several servers the draft says itself that they cannot have it.
            let comment = if self.0.data_volume.is_some() && self.0.count == 1 {
                ""
            } else {
                "# "
            };
            out.spec("data_volume", &format!("    {comment}volumes: [data]"));
        }
        if !(self.0.hosts && self.0.join == DraftJoin::Ssh) {
            out.spec("", "    # userData: |");
            out.spec("", "    #   #cloud-config");
            out.spec("", "    #   packages: [nginx]");
        }
    }

    fn host_lines(&self, out: &mut ManifestLines) {
        if self.0.floating_ip {
            let external = self
                .0
                .external
                .as_deref()
                .filter(|_| self.0.network.is_some());
            let from = external.map_or_else(|| "true".to_owned(), quoted);
            out.spec(
                "floating_ip",
                &format!("    floatingIP: {from:<11} # an address outside for each host"),
            );
        }
        match self.0.data_volume.as_deref() {
            Some(wanted) => {
                out.spec(
                    "data_volume",
                    &format!(
                        "    dataVolume: {{size: {}}}   # each host's own",
                        size(wanted)
                    ),
                );
            }
            None => out.spec(
                "data_volume",
                "    # dataVolume: {size: 10Gi}  # each host's own, for what its containers keep",
            ),
        }
        match self.0.join {
            DraftJoin::Docker => {}
            DraftJoin::Ssh => out.spec(
                "join",
                "    join: {ssh: {user: debian}} # who logs in, and has sudo",
            ),
            DraftJoin::Command => {
                let command = quoted(self.0.command.as_deref().unwrap_or_default());
                out.spec("command", &format!("    join: {{command: {command}}}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
