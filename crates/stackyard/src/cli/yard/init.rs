//! `stackyard init`

use super::super::{Context, End};
use super::CloudArgs;
use anyhow::{Context as _, bail};
use dialoguer::Select;
use serde_json::json;
use stackyard_server::{Offer, Offered};
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// Arguments of `stackyard init`.
#[derive(clap::Args)]
pub struct Args {
    /// The manifest to write; it must not exist
    #[arg(short, long, value_name = "FILE", default_value = "yard.yaml")]
    file: PathBuf,

    #[command(flatten)]
    cloud: CloudArgs,
}

/// Writes a commented manifest with names that the cloud really has.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    if args.file.exists() {
        bail!("{} exists; give another name with -f", args.file.display());
    }
    let cloud = args.cloud.connect(None, &context.printer.onlooker()).await?;
    let offer = Offer::of(&cloud).await?;
    let ask = !context.printer.is_json() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let choice = if ask { Choice::asked(&offer)? } else { Choice::plain(&offer) };
    let text = manifest(&cloud.config().name, &offer, &choice);
    let writing = || format!("writing {}", args.file.display());
    let mut file = OpenOptions::new().write(true).create_new(true).open(&args.file).with_context(writing)?;
    file.write_all(text.as_bytes()).with_context(writing)?;
    context.printer.result(&json!({"event": "result", "file": args.file}), || {
        format!("{0} is written. Edit it, then see `stackyard plan -f {0}`.", args.file.display())
    })?;
    Ok(End::Done)
}

/// What goes into the manifest.
#[derive(Debug, Default)]
struct Choice {
    image: Option<String>,
    /// One that the image fits on.
    flavor: Option<String>,
    /// One that is there; a new one if absent.
    network: Option<String>,
    /// Where a new network leads.
    external: Option<String>,
    key: Option<String>,
}

impl Choice {
    /// The first of everything, and a network of the yard's own.
    fn plain(offer: &Offer) -> Self {
        let first = |from: &[Offered]| from.first().map(|o| o.name.clone());
        let image = first(&offer.images);
        let flavor = first(&offer.flavors_for(image.as_deref()));
        Self { flavor, image, external: first(&offer.externals), ..Self::default() }
    }

    /// Lets the user choose on the terminal; where there is nothing to choose, does not ask.
    fn asked(offer: &Offer) -> anyhow::Result<Self> {
        let image = pick("Image", &offer.images, None)?;
        let flavor = pick("Flavor", &offer.flavors_for(image.as_deref()), None)?;
        let network = pick("Network", &offer.networks, Some("a new one of the yard's own"))?;
        let external = match network {
            Some(_) => None,
            None => pick("External network", &offer.externals, None)?,
        };
        let key = pick("SSH key", &offer.keypairs, Some("none"))?;
        Ok(Self { flavor, image, network, external, key })
    }
}

/// Lets the user pick one, or `other`, which comes first.
fn pick(prompt: &str, from: &[Offered], other: Option<&str>) -> anyhow::Result<Option<String>> {
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
            .context("nothing was chosen, and nothing was written")?,
    };
    Ok(index.checked_sub(before).and_then(|i| from.get(i)).map(|o| o.name.clone()))
}

fn items(from: &[Offered], other: Option<&str>) -> Vec<String> {
    let width = from.iter().map(|o| o.name.chars().count()).max().unwrap_or(0);
    let line = |o: &Offered| format!("{:width$}  {}", o.name, o.what).trim_end().to_owned();
    other.map(str::to_owned).into_iter().chain(from.iter().map(line)).collect()
}

/// What else there is, for a comment.
fn others(chosen: Option<&str>, from: &[Offered]) -> String {
    const MOST: usize = 6;
    let names: Vec<&str> = from.iter().map(|o| o.name.as_str()).filter(|n| Some(*n) != chosen).collect();
    let shown = names.iter().take(MOST).map(|n| n.replace(char::is_control, " ")).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => String::new(),
        n if n > MOST => format!("   # or {shown} ..."),
        _ => format!("   # or {shown}"),
    }
}

fn manifest(cloud: &str, offer: &Offer, choice: &Choice) -> String {
    // Names of a cloud may hold anything: JSON's texts are YAML's, too.
    let quoted = |name: &str| json!(name).to_string();
    let or_change = |name: Option<&str>| quoted(name.unwrap_or("CHANGE-ME"));
    let mut out = String::from(
        "# A yard: `stackyard plan` shows what `stackyard up` would do.\n\
         apiVersion: stackyard.dev/v1\n\
         kind: Yard\n\
         metadata: {name: my-yard}       # its resources carry this name: do not change it later\n\
         spec:\n",
    );
    let mut line = |text: &str| out += &format!("  {text}\n");
    // The OS_* variables are no entry of clouds.yaml.
    let comment = if cloud == "envvars" { "# " } else { "" };
    line(&format!("{comment}cloud: {}", quoted(cloud)));
    if choice.network.is_none() {
        let router =
            choice.external.as_deref().map(|e| format!(", router: {{external: {}}}", quoted(e))).unwrap_or_default();
        line("networks:");
        line(&format!(
            "  - {{name: front, cidr: 10.20.0.0/24{router}}}{}",
            others(choice.external.as_deref(), &offer.externals)
        ));
    }
    line("securityGroups:");
    line("  - name: web");
    line("    rules:");
    line("      - {proto: tcp, port: 22}");
    line("      - {proto: tcp, port: 80}");
    line("      - {proto: icmp}");
    line("# keypairs:");
    line("#   - {name: me, publicKeyFile: ~/.ssh/id_ed25519.pub}");
    line("# volumes:");
    line("#   - {name: data, size: 10Gi}");
    line("servers:");
    line("  - name: first");
    line("    # count: 2                  # first-1 and first-2");
    let (image, flavor) = (choice.image.as_deref(), choice.flavor.as_deref());
    line(&format!("    image: {}{}", or_change(image), others(image, &offer.images)));
    line(&format!("    flavor: {}{}", or_change(flavor), others(flavor, &offer.flavors_for(image))));
    match choice.network.as_deref() {
        Some(network) => {
            line(&format!("    network: {}{}", quoted(network), others(Some(network), &offer.networks)));
        }
        None => line("    network: front"),
    }
    line("    securityGroups: [web]");
    match choice.key.as_deref() {
        Some(key) => line(&format!("    key: {}{}", quoted(key), others(Some(key), &offer.keypairs))),
        None => line(&format!("    # key: me{}", others(None, &offer.keypairs))),
    }
    line("    # bootVolume: {size: 10Gi}  # boot from a volume, for flavors without a disk");
    line("    # volumes: [data]");
    line("    # userData: |");
    line("    #   #cloud-config");
    line("    #   packages: [nginx]");
    if offer.balances {
        line("# loadBalancers:");
        line("#   - {name: web, listeners: [{port: 80, servers: [first]}]}");
    }
    if offer.stores {
        line("# objectContainers:");
        line("#   - {name: files}");
    }
    if choice.external.is_some() {
        line("floatingIPs:");
        line("  - {server: first}           # an address outside that leads to the server");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn named(names: &[&str]) -> Vec<Offered> {
        let offered = |n: &&str| Offered { name: (*n).to_owned(), what: "what it is".to_owned(), ..Offered::default() };
        names.iter().map(offered).collect()
    }

    fn offer() -> Offer {
        Offer {
            flavors: named(&["m1 \\ tiny", "m1.large"]),
            images: named(&["yes", "debian\n- evil: true"]),
            externals: named(&["public: \"1\""]),
            networks: named(&["office # 2"]),
            keypairs: named(&["me"]),
            balances: true,
            stores: true,
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let offer = offer();
        let none = Offer::default();
        let existing = Choice {
            network: Some("office # 2".into()),
            external: None,
            key: Some("me".into()),
            ..Choice::plain(&offer)
        };
        for (offer, choice) in [(&offer, Choice::plain(&offer)), (&none, Choice::plain(&none)), (&offer, existing)] {
            let text = manifest("local", offer, &choice);
            let yard = stackyard_catalog::manifest::read("yard.yaml", text.clone(), Path::new(".")).expect(&text);
            let spec = &yard.manifest.spec;
            let server = &spec.servers[0];
            assert_eq!(server.flavor, choice.flavor.as_deref().unwrap_or("CHANGE-ME"));
            assert_eq!(server.image.as_deref(), Some(choice.image.as_deref().unwrap_or("CHANGE-ME")));
            assert_eq!(server.network.as_deref(), Some(choice.network.as_deref().unwrap_or("front")));
            assert_eq!(server.key, choice.key);
            assert_eq!(spec.floating_ips.len(), usize::from(choice.external.is_some()));
            assert_eq!(spec.networks.len(), usize::from(choice.network.is_none()));
            assert_eq!(text.contains("loadBalancers"), offer.balances);
        }
    }

    #[test]
    fn what_is_commented_out_can_be_read_too() {
        let offer = offer();
        let text = manifest("local", &offer, &Choice::plain(&offer));
        let lines = text.lines().map(|l| match l.trim_start().strip_prefix("# ") {
            Some(rest) if l.starts_with("  ") => format!("{}{rest}", &l[..l.len() - l.trim_start().len()]),
            _ => l.to_owned(),
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let text = text.replace("publicKeyFile: ~/.ssh/id_ed25519.pub", "publicKey: ssh-ed25519 AAAA me");
        let text = text.replace("count: 2", "tags: [a]");
        let yard = stackyard_catalog::manifest::read("yard.yaml", text.clone(), Path::new(".")).expect(&text);
        let spec = &yard.manifest.spec;
        assert_eq!((spec.load_balancers.len(), spec.object_containers.len(), spec.volumes.len()), (1, 1, 1));
        assert_eq!(spec.servers[0].user_data.as_deref(), Some("#cloud-config\npackages: [nginx]\n"));
    }

    #[test]
    fn the_flavor_fits_the_image() {
        let sized = |name: &str, disk, ram| Offered { name: name.into(), disk, ram, ..Offered::default() };
        let offer = Offer {
            flavors: vec![sized("nano", 1, 192), sized("host", 6, 1024), sized("diskless", 0, 2048)],
            images: vec![sized("debian", 2, 512), sized("huge", 2, 4096)],
            ..Offer::default()
        };
        assert_eq!(Choice::plain(&offer).flavor.as_deref(), Some("host"));
        assert_eq!(offer.flavors_for(Some("debian")).len(), 2);
        assert_eq!(offer.flavors_for(Some("huge")).len(), 3, "none fits: the user must see that");
    }

    #[test]
    fn a_pick_list_shows_what_things_are() {
        let from = [("a", "small"), ("long", "")];
        let from = from.map(|(n, what)| Offered { name: n.into(), what: what.into(), ..Offered::default() });
        assert_eq!(items(&from, Some("none")), ["none", "a     small", "long"]);
        // Nothing to choose: no question.
        assert_eq!(pick("Flavor", &from[..1], None).expect("no question").as_deref(), Some("a"));
        assert_eq!(pick("Flavor", &[], None).expect("no question"), None);
        assert_eq!(pick("Key", &[], Some("none")).expect("no question"), None);
    }
}
