//! `stackyard init`

use super::super::{Context, End};
use super::CloudArgs;
use anyhow::{Context as _, bail};
use serde_json::json;
use stackyard_server::Offer;
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
    let ask = !context.printer.is_json() && std::io::stdin().is_terminal();
    let flavor = pick("flavor", &offer.flavors, ask)?;
    let image = pick("image", &offer.images, ask)?;
    let external = pick("external network", &offer.externals, ask)?;
    let text = manifest(&cloud.config().name, flavor, image, external);
    let writing = || format!("writing {}", args.file.display());
    let mut file = OpenOptions::new().write(true).create_new(true).open(&args.file).with_context(writing)?;
    file.write_all(text.as_bytes()).with_context(writing)?;
    context.printer.result(&json!({"event": "result", "file": args.file}), || {
        format!("{0} is written. Edit it, then see `stackyard plan -f {0}`.", args.file.display())
    })?;
    Ok(End::Done)
}

/// Lets the user choose; without a terminal, and where there is one only, the first.
fn pick<'a>(noun: &str, from: &'a [(String, String)], ask: bool) -> anyhow::Result<Option<&'a str>> {
    if !ask || from.len() < 2 {
        return Ok(from.first().map(|(name, _)| name.as_str()));
    }
    let width = from.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (i, (name, what)) in from.iter().enumerate() {
        eprintln!("{:>4}  {name:width$}  {what}", i + 1);
    }
    loop {
        eprint!("Which {noun}? [1] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        if std::io::stdin().read_line(&mut answer)? == 0 {
            bail!("no answer");
        }
        let answer = answer.trim();
        let index = if answer.is_empty() { Some(1) } else { answer.parse::<usize>().ok() };
        let by_name = from.iter().find(|(name, _)| name == answer);
        if let Some((name, _)) = index.and_then(|i| from.get(i.checked_sub(1)?)).or(by_name) {
            return Ok(Some(name));
        }
        eprintln!("There is no {answer:?}.");
    }
}

fn manifest(cloud: &str, flavor: Option<&str>, image: Option<&str>, external: Option<&str>) -> String {
    // Names of a cloud may hold anything: JSON's texts are YAML's, too.
    let quoted = |name: Option<&str>| json!(name.unwrap_or("CHANGE-ME")).to_string();
    let (flavor, image) = (quoted(flavor), quoted(image));
    // The OS_* variables are no entry of clouds.yaml.
    let comment = if cloud == "envvars" { "# " } else { "" };
    let cloud = json!(cloud);
    let router = external.map(|e| format!(", router: {{external: {}}}", json!(e))).unwrap_or_default();
    let floating = match external {
        Some(_) => "  floatingIPs:\n    - {server: first}           # an address outside that leads to the server\n",
        None => "",
    };
    format!(
        "# A yard: `stackyard plan` shows what `stackyard up` would do.\n\
         apiVersion: stackyard.dev/v1\n\
         kind: Yard\n\
         metadata: {{name: my-yard}}       # its resources carry this name: do not change it later\n\
         spec:\n  \
           {comment}cloud: {cloud}\n  \
           networks:\n    \
             - {{name: front, cidr: 10.20.0.0/24{router}}}\n  \
           securityGroups:\n    \
             - name: web\n      \
               rules:\n        \
                 - {{proto: tcp, port: 22}}\n        \
                 - {{proto: tcp, port: 80}}\n        \
                 - {{proto: icmp}}\n  \
           # keypairs:\n  \
           #   - {{name: me, publicKeyFile: ~/.ssh/id_ed25519.pub}}\n  \
           # volumes:\n  \
           #   - {{name: data, size: 10Gi}}\n  \
           servers:\n    \
             - name: first\n      \
               # count: 2                  # first-1 and first-2\n      \
               flavor: {flavor}\n      \
               image: {image}\n      \
               network: front\n      \
               securityGroups: [web]\n      \
               # key: me\n      \
               # bootVolume: {{size: 10Gi}}  # boot from a volume, for flavors without a disk\n      \
               # volumes: [data]\n      \
               # userData: |\n      \
               #   #cloud-config\n      \
               #   packages: [nginx]\n\
         {floating}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_written_can_be_read() {
        for external in [Some("public: \"1\""), None] {
            let text = manifest("local", Some("m1 \\ tiny"), Some("yes"), external);
            let yard = stackyard_catalog::manifest::read("yard.yaml", text.clone(), Path::new(".")).expect(&text);
            let server = &yard.manifest.spec.servers[0];
            assert_eq!((server.flavor.as_str(), server.image.as_deref()), ("m1 \\ tiny", Some("yes")));
            assert_eq!(yard.manifest.spec.floating_ips.len(), usize::from(external.is_some()));
        }
    }

    #[test]
    fn without_a_terminal_the_first_is_picked() {
        let from = [("a".to_owned(), String::new()), ("b".to_owned(), String::new())];
        assert_eq!(pick("flavor", &from, false).expect("no question"), Some("a"));
        assert_eq!(pick("flavor", &[], true).expect("no question"), None);
    }
}
