//! What a host gets as user data: our part beside the user's own, as a MIME message that
//! cloud-init takes apart.
//!
//! Ours are a boot hook and a script. Unlike cloud-config these are merged with nothing, so that
//! whatever the user's part is (cloud-config, a script, a template, an archive, a MIME message),
//! it means what it would mean alone.

use base64::Engine as _;
use stackyard_core::agent::{AgentConfig, DataVolume, Filesystem};
use stackyard_core::yard::intend::HostJoin;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Nova takes so many bytes of user data, in base64.
const LIMIT: usize = 65_535;
/// Bytes that are kept for the server's certificate, its addresses and the token.
const OURS: usize = 2048;

/// Writes the agent's configuration, before Docker starts.
const AGENT: &str = include_str!("agent.sh");
/// Installs agent and Docker on images that do not bring them.
const INSTALL: &str = include_str!("install.sh");
/// Runs somebody else's command.
const COMMAND: &str = include_str!("command.sh");

/// A first boot.
pub(crate) struct UserData<'a> {
    /// The user's own user data.
    pub own: Option<&'a str>,
    /// Volume of the host's own: id and where it is mounted.
    pub disk: Option<(&'a str, &'a str)>,
}

impl UserData<'_> {
    /// For a host that gets an agent. `config` has no volume yet.
    pub(crate) fn agent(&self, mut config: AgentConfig) -> String {
        config.data_volume = self.disk.map(|(id, mount)| DataVolume {
            id: id.to_owned(),
            mount: mount.to_owned(),
            filesystem: Filesystem::default(),
        });
        let json = serde_json::to_string_pretty(&config).unwrap_or_default();
        self.message(&[
            (
                "text/cloud-boothook",
                "stackyard-agent.sh",
                AGENT.replace("@CONFIG@", &encode(&json)),
            ),
            (
                "text/x-shellscript",
                "stackyard-install.sh",
                install(&config),
            ),
        ])
    }

    /// For a host that runs somebody else's command.
    pub(crate) fn command(&self, command: &str) -> String {
        let (volume, mount) = self.disk.unwrap_or_default();
        let script = COMMAND
            .replace("@COMMAND@", &encode(command))
            .replace("@VOLUME@", volume)
            .replace("@MOUNT@", mount);
        self.message(&[("text/x-shellscript", "stackyard-join.sh", script)])
    }

    fn message(&self, ours: &[(&str, &str, String)]) -> String {
        let mut boundary = "=_stackyard".to_owned();
        while self.own.is_some_and(|own| own.contains(&boundary)) {
            boundary.push('_');
        }
        let mut out =
            format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n");
        for (kind, name, text) in ours {
            let _ = write!(
                out,
                "\n--{boundary}\nContent-Type: {kind}; charset=\"us-ascii\"\nMIME-Version: 1.0\n\
                 Content-Disposition: attachment; filename=\"{name}\"\n\n{text}"
            );
        }
        if let Some(own) = self.own {
            let _ = write!(out, "\n--{boundary}\n{}", own_part(own));
        }
        let _ = write!(out, "\n--{boundary}--\n");
        out
    }
}

/// The user's own. cloud-init finds out what a plain text is by its first line; a MIME message
/// becomes a part with parts of its own.
fn own_part(own: &str) -> String {
    let start = own.trim_start().to_ascii_lowercase();
    if start.starts_with("content-type:") || start.starts_with("mime-version:") {
        return own.trim_start().to_owned();
    }
    let head = "MIME-Version: 1.0\nContent-Disposition: attachment; filename=\"user-data\"\n";
    if own.is_ascii() {
        return format!("Content-Type: text/plain; charset=\"us-ascii\"\n{head}\n{own}");
    }
    format!(
        "Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n{head}\n{}",
        encode(own)
    )
}

/// The script that makes any machine a host, for its shell.
pub fn install(config: &AgentConfig) -> String {
    INSTALL
        .replace("@CA@", &encode(&config.ca))
        .replace("@SERVERS@", &config.server.join(" "))
        .replace(
            "@CONFIG@",
            &encode(&serde_json::to_string_pretty(config).unwrap_or_default()),
        )
}

/// What is wrong with user data, if Nova would refuse it.
pub(crate) fn too_large(text: &str) -> Option<String> {
    let size = text.len().div_ceil(3) * 4;
    let over = || {
        format!(
            "the user data has {size} bytes with what Stackyard adds, in base64; Nova takes {LIMIT}"
        )
    };
    (size > LIMIT).then(over)
}

/// The same before tokens and commands are there.
pub(crate) fn will_be_too_large(
    own: Option<&str>,
    join: &HostJoin,
    has_disk: bool,
) -> Option<String> {
    let boot = UserData {
        own,
        disk: has_disk.then_some(("00000000-0000-4000-8000-000000000000", "/var/lib/docker")),
    };
    let filler = "x".repeat(OURS);
    too_large(&match join {
        HostJoin::Docker => boot.agent(AgentConfig {
            server: Vec::new(),
            ca: filler,
            token: None,
            name: String::new(),
            labels: BTreeMap::new(),
            data_volume: None,
            mtu: None,
        }),
        HostJoin::Command(command) => boot.command(command.text.as_deref().unwrap_or(&filler)),
        HostJoin::Ssh { .. } => own.unwrap_or_default().to_owned(),
    })
}

/// Base64 in lines of 76 characters (RFC 2045, section 6.8).
fn encode(text: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    let mut out = String::with_capacity(encoded.len() + encoded.len() / 76 + 1);
    for (i, c) in encoded.chars().enumerate() {
        if i > 0 && i % 76 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn config() -> AgentConfig {
        AgentConfig {
            server: vec!["https://192.0.2.1:7443".into()],
            ca: "-----BEGIN CERTIFICATE-----\n".into(),
            token: Some("geheim".into()),
            name: "web-1".into(),
            labels: BTreeMap::new(),
            data_volume: None,
            mtu: None,
        }
    }

    /// Parts as Python's email package, which cloud-init uses, sees them: type, name, content.
    fn parts(message: &str) -> Vec<(String, String, String)> {
        let script = "
import email, json, sys
out = []
for part in email.message_from_string(sys.stdin.buffer.read().decode()).walk():
    if part.get_content_maintype() != 'multipart':
        out.append([part.get_content_type(), part.get_filename() or '', part.get_payload(decode=True).decode()])
print(json.dumps(out))";
        let mut python = Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        python
            .stdin
            .take()
            .unwrap()
            .write_all(message.as_bytes())
            .unwrap();
        let output = python.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn the_users_own_part_is_untouched() {
        let mime = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"a\"\n\n--a\n\
                    Content-Type: text/cloud-config\n\nruncmd: [b]\n--a\nContent-Type: text/x-shellscript\n\n\
                    #!/bin/sh\ntrue\n--a--\n";
        for own in [
            "#cloud-config\nruncmd: [a]\n",
            "#!/bin/sh\necho \"=_stackyard\"\n",
            "#cloud-config\n# grün\n",
        ] {
            let parts = parts(
                &UserData {
                    own: Some(own),
                    disk: None,
                }
                .agent(config()),
            );
            let kinds: Vec<&str> = parts.iter().map(|p| p.0.as_str()).collect();
            assert_eq!(
                kinds,
                ["text/cloud-boothook", "text/x-shellscript", "text/plain"]
            );
            assert_eq!(parts[2].2.trim_end(), own.trim_end());
        }
        let parts = parts(
            &UserData {
                own: Some(mime),
                disk: None,
            }
            .command("true"),
        );
        let seen: Vec<(&str, &str)> = parts
            .iter()
            .map(|p| (p.0.as_str(), p.2.trim_end()))
            .skip(1)
            .collect();
        assert_eq!(
            seen,
            [
                ("text/cloud-config", "runcmd: [b]"),
                ("text/x-shellscript", "#!/bin/sh\ntrue")
            ]
        );
        assert_eq!(
            super::UserData {
                own: None,
                disk: None
            }
            .command("true")
            .matches("--=_stackyard")
            .count(),
            2
        );
    }

    #[test]
    fn an_agents_configuration_arrives() {
        let disk = ("7d1c2f4e-0b8f-4c60-a6a2-5c0f5e3f9d11", "/data");
        let parts = parts(
            &UserData {
                own: None,
                disk: Some(disk),
            }
            .agent(config()),
        );
        let text: String = parts[0]
            .2
            .lines()
            .skip_while(|l| !l.contains("<<'STACKYARD'"))
            .skip(1)
            .take_while(|l| *l != "STACKYARD")
            .collect();
        let json = base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap();
        let seen: AgentConfig = serde_json::from_slice(&json).unwrap();
        let volume = seen.data_volume.clone().unwrap();
        assert_eq!((volume.id.as_str(), volume.mount.as_str()), disk);
        assert_eq!(
            AgentConfig {
                data_volume: None,
                ..seen
            },
            config()
        );
        assert!(parts[0].2.starts_with("#cloud-boothook\n#!/bin/sh\n"));
    }

    #[test]
    fn scripts_are_shell() {
        let command = UserData {
            own: None,
            disk: None,
        }
        .command("echo 'it works' | sudo cat\n");
        for (_, name, text) in parts(&command).into_iter().chain(parts(
            &UserData {
                own: None,
                disk: None,
            }
            .agent(config()),
        )) {
            let mut sh = Command::new("sh")
                .arg("-n")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            assert!(sh.wait().unwrap().success(), "{name}");
        }
    }

    #[test]
    fn what_nova_refuses_is_known_beforehand() {
        let own = format!("#!/bin/sh\n# {}", "x".repeat(46_000));
        assert!(
            will_be_too_large(Some(&own), &HostJoin::Docker, true)
                .unwrap()
                .contains("65535")
        );
        assert_eq!(
            will_be_too_large(Some(&own[..30_000]), &HostJoin::Docker, true),
            None
        );
        assert_eq!(too_large(&"x".repeat(49_149)), None);
        assert!(too_large(&"x".repeat(49_152)).is_some());
    }
}
