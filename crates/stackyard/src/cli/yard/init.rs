//! `stackyard init`

use super::super::{Context, ExitStatus};
use super::CloudArgs;
use crate::printer::UserError;
use anyhow::{Context as _, bail};
use dialoguer::Select;
use serde_json::json;
use stackyard_api::{CloudChoice, CloudChoices, DraftError, DraftJoin, YardDraft};
use stackyard_yard::{offer_of, write_manifest};
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// Arguments of `stackyard init`.
#[derive(clap::Args)]
pub struct InitArgs {
    /// Write the manifest to this new file
    #[arg(short, long, value_name = "FILE", default_value = "yard.yaml")]
    file: PathBuf,

    #[command(flatten)]
    cloud: CloudArgs,

    #[command(flatten)]
    draft: DraftArgs,
}

/// Contents of the manifest. On a terminal, the user picks the rest.
#[derive(Default, clap::Args)]
struct DraftArgs {
    /// Name of the yard [default: my-yard]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Name of the servers [default: first]
    #[arg(long, value_name = "NAME", conflicts_with = "pool")]
    server: Option<String>,
    /// Create a pool of container hosts with this name, not servers
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// Number of servers or hosts [default: 1]
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// Image of the servers or hosts
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Flavor of the servers or hosts
    #[arg(long, value_name = "NAME")]
    flavor: Option<String>,
    /// Use this existing network, not a new one
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Address range of the new network [default: 10.20.0.0/24]
    #[arg(long, value_name = "CIDR", conflicts_with = "network")]
    cidr: Option<String>,
    /// External network for the router and for floating IPs
    #[arg(long, value_name = "NAME")]
    external: Option<String>,
    /// Use no external network
    #[arg(long, conflicts_with = "external")]
    no_external: bool,
    /// Keypair of the servers or hosts
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Use no keypair
    #[arg(long, conflicts_with = "key")]
    no_key: bool,
    /// Give each server or host a floating IP
    ///
    /// [default: if the new network has a router to an external one]
    #[arg(long)]
    floating_ip: bool,
    /// Use no floating IPs
    #[arg(long, conflicts_with = "floating_ip")]
    no_floating_ip: bool,
    /// Attach a data volume of this size to each host
    ///
    /// A server gets one only if it is the only server.
    #[arg(long, value_name = "SIZE")]
    data_volume: Option<String>,
    /// Choose how hosts join the server
    #[arg(long, value_name = "METHOD", requires = "pool", value_parser = ["docker", "ssh"])]
    join: Option<String>,
    /// Run this command on hosts to join another cluster
    #[arg(long, value_name = "COMMAND", requires = "pool", conflicts_with = "join")]
    join_command: Option<String>,
}

/// Writes a commented manifest with names that exist in the cloud.
pub async fn run(args: InitArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    if args.file.exists() {
        bail!(UserError::new(
            format!("cannot write {}: the file exists", args.file.display()),
            "choose another file with --file",
        ));
    }
    let cloud = args.cloud.connect(None, &context.printer.onlooker()).await?;
    let offer = offer_of(&cloud).await?;
    let ask = context.printer.can_ask() && std::io::stderr().is_terminal();
    let draft = args.draft.draft(&offer, ask)?;
    let text =
        write_manifest(&draft, &cloud.config().name, &offer).map_err(|faults| anyhow::anyhow!(fault_text(&faults)))?;
    let writing = || format!("cannot write {}", args.file.display());
    let mut file = OpenOptions::new().write(true).create_new(true).open(&args.file).with_context(writing)?;
    file.write_all(text.as_bytes()).with_context(writing)?;
    context.printer.result(&json!({"event": "result", "file": args.file}), || {
        format!("Wrote {0}. Edit it, then run `stackyard plan -f {0}`.", args.file.display())
    })?;
    Ok(ExitStatus::Done)
}

/// Faults of a draft, one per line, each with the option that it is in.
fn fault_text(faults: &[DraftError]) -> String {
    let line = |f: &DraftError| {
        let option = match f.field.as_str() {
            "" => String::new(),
            "machine" => "--server or --pool: ".to_owned(),
            "command" => "--join-command: ".to_owned(),
            field => format!("--{}: ", field.replace('_', "-")),
        };
        let hint = f.hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default();
        format!("{option}{}{hint}", f.message)
    };
    faults.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl DraftArgs {
    /// The draft: given options, and for the others the first choice of the cloud. With `ask`, the
    /// user picks the others on the terminal, except those with a single choice.
    fn draft(self, offer: &CloudChoices, ask: bool) -> anyhow::Result<YardDraft> {
        let pick = |prompt: &str, given: Option<String>, from: &[CloudChoice], other: Option<&str>| match given {
            Some(given) => Ok(Some(given)),
            None if ask => pick(prompt, from, other),
            None if other.is_some() => Ok(None),
            None => Ok(from.first().map(|o| o.name.clone())),
        };
        let plain = YardDraft::default();
        let image = pick("Image", self.image, &offer.images, None)?;
        let flavor = pick("Flavor", self.flavor, &offer.flavors_for(image.as_deref()), None)?;
        let network = match self.cidr {
            Some(_) => None,
            None => pick("Network", self.network, &offer.networks, Some("a new network for this yard"))?,
        };
        let external = match (&network, self.no_external) {
            (_, true) => None,
            // Floating IPs are from the only one that fits.
            (Some(_), false) => self.external,
            (None, false) => pick("External network", self.external, &offer.externals, None)?,
        };
        let own_key = self.join.as_deref() == Some("ssh");
        let key = match self.key {
            None if own_key || self.no_key => None,
            given => pick("SSH key", given, &offer.keypairs, Some("none"))?,
        };
        let leads_out = network.is_none() && external.is_some();
        let join = match (&self.join_command, own_key) {
            (Some(_), _) => DraftJoin::Command,
            (None, true) => DraftJoin::Ssh,
            (None, false) => DraftJoin::Docker,
        };
        Ok(YardDraft {
            name: self.name.unwrap_or(plain.name),
            hosts: self.pool.is_some(),
            machine: self.pool.or(self.server).unwrap_or(plain.machine),
            count: self.count.unwrap_or(plain.count),
            image,
            flavor,
            network,
            cidr: self.cidr.unwrap_or(plain.cidr),
            external,
            key,
            floating_ip: self.floating_ip || leads_out && !self.no_floating_ip,
            data_volume: self.data_volume,
            join,
            command: self.join_command,
        })
    }
}

/// Lets the user pick one, or `other`, which comes first.
fn pick(prompt: &str, from: &[CloudChoice], other: Option<&str>) -> anyhow::Result<Option<String>> {
    let items = items(from, other);
    let before = usize::from(other.is_some());
    let index = match items.len() {
        0 | 1 => 0,
        _ => Select::new()
            .with_prompt(prompt)
            .items(&items)
            .default(0)
            .max_length(12)
            .interact_opt()?
            .context("cannot write the manifest: the selection was cancelled")?,
    };
    Ok(index.checked_sub(before).and_then(|i| from.get(i)).map(|o| o.name.clone()))
}

fn items(from: &[CloudChoice], other: Option<&str>) -> Vec<String> {
    let width = from.iter().map(|o| o.name.chars().count()).max().unwrap_or(0);
    let line = |o: &CloudChoice| format!("{:width$}  {}", o.name, o.description).trim_end().to_owned();
    other.map(str::to_owned).into_iter().chain(from.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use stackyard_yard::first_draft;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: InitArgs,
    }

    fn draft(offer: &CloudChoices, words: &[&str]) -> YardDraft {
        let line = Line::try_parse_from(["init"].iter().chain(words)).expect("parsed");
        line.args.draft.draft(offer, false).expect("nothing is asked")
    }

    #[test]
    fn what_is_not_said_is_the_first_of_what_there_is() {
        let named = |names: &[&str]| -> Vec<CloudChoice> {
            names.iter().map(|n| CloudChoice { name: (*n).to_owned(), ..CloudChoice::default() }).collect()
        };
        let offer = CloudChoices {
            flavors: named(&["small", "large"]),
            images: named(&["debian", "tiny"]),
            externals: named(&["public", "other"]),
            networks: named(&["office"]),
            keypairs: named(&["me"]),
            ..CloudChoices::default()
        };
        let first = first_draft(&offer);
        assert_eq!(draft(&offer, &[]), first);
        let all = "--name shop --pool web --count 3 --image tiny --flavor large --cidr 10.9.0.0/24 --external other \
                   --no-key --no-floating-ip --data-volume 4Gi --join ssh";
        let words: Vec<&str> = all.split_whitespace().collect();
        let expected = YardDraft {
            name: "shop".into(),
            hosts: true,
            machine: "web".into(),
            count: 3,
            image: Some("tiny".into()),
            flavor: Some("large".into()),
            cidr: "10.9.0.0/24".into(),
            external: Some("other".into()),
            data_volume: Some("4Gi".into()),
            join: DraftJoin::Ssh,
            ..YardDraft::default()
        };
        assert_eq!(draft(&offer, &words), expected);
        let there = draft(&offer, &["--network", "office", "--key", "me", "--server", "web"]);
        assert_eq!(
            (there.network.as_deref(), there.external.as_deref(), there.floating_ip),
            (Some("office"), None, false)
        );
        assert_eq!((there.key.as_deref(), there.hosts, there.machine.as_str()), (Some("me"), false, "web"));
        let bare = draft(&offer, &["--no-external"]);
        assert_eq!((bare.external, bare.floating_ip), (None, false));
        let joined = draft(&offer, &["--pool", "web", "--join-command", "curl x | sh"]);
        assert_eq!((joined.join, joined.command.as_deref()), (DraftJoin::Command, Some("curl x | sh")));
        let faults = write_manifest(&draft(&offer, &["--image", "no", "--data-volume", "x"]), "c", &offer).unwrap_err();
        assert_eq!(
            fault_text(&faults),
            "--image: the cloud has no image `no` to choose; it has debian, tiny\n\
             --data-volume: `x`: a size in GiB is expected, as 20Gi or 1Ti"
        );
    }

    #[test]
    fn a_pick_list_shows_what_things_are() {
        let from = [("a", "small"), ("long", "")];
        let from =
            from.map(|(n, text)| CloudChoice { name: n.into(), description: text.into(), ..CloudChoice::default() });
        assert_eq!(items(&from, Some("none")), ["none", "a     small", "long"]);
        // Nothing to choose: no question.
        assert_eq!(pick("Flavor", &from[..1], None).expect("no question").as_deref(), Some("a"));
        assert_eq!(pick("Flavor", &[], None).expect("no question"), None);
        assert_eq!(pick("Key", &[], Some("none")).expect("no question"), None);
    }
}
