//! What the host knows about reaching package mirrors: certificates, pip's settings, Debian's
//! sources. None of it counts for an image's content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where Debian keeps all trusted certificates in one file.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Files that the builder adds to the context of images with pip locks, whatever the recipe's
/// folder holds under these names. A stage that is thrown away copies both to `/build`.
pub const EXTRA: [&str; 2] = ["ca-bundle.crt", "pip.env"];

/// Path of the certificates within such a stage.
const BUNDLE_INSIDE: &str = "/build/ca-bundle.crt";

/// The host's trusted certificates (PEM); empty when there are none to be found.
///
/// Looks where pip and OpenSSL would: `PIP_CERT`, `SSL_CERT_FILE`, Debian's bundle.
pub fn certificates() -> Vec<u8> {
    ["PIP_CERT", "SSL_CERT_FILE"]
        .iter()
        .filter_map(std::env::var_os)
        .chain([CERTIFICATES.into()])
        .find_map(|path| std::fs::read(path).ok().filter(|pem| !pem.is_empty()))
        .unwrap_or_default()
}

/// Shell text that exports the host's pip settings inside a build (`pip.env`): what pip's
/// configuration files say globally, and the `PIP_*` variables, which go before them.
///
/// Settings that are paths of the host are left out. May hold credentials of an index.
pub fn pip_env() -> String {
    let home = std::env::home_dir().unwrap_or_default();
    let own = std::env::var_os("PIP_CONFIG_FILE").map(PathBuf::from);
    // in pip's order: later ones go before earlier ones
    let files = [PathBuf::from("/etc/pip.conf"), home.join(".pip/pip.conf"), home.join(".config/pip/pip.conf")];
    let mut settings = BTreeMap::new();
    for file in files.into_iter().chain(own) {
        pip_conf(&std::fs::read_to_string(file).unwrap_or_default(), &mut settings);
    }
    settings.extend(std::env::vars().filter(|(key, _)| key.starts_with("PIP_")));
    let mut text = String::new();
    for (key, value) in settings {
        let name = key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if name && !matches!(key.as_str(), "PIP_CERT" | "PIP_CONFIG_FILE") && !is_host_path(&value) {
            text.push_str(&format!("export {key}='{}'\n", value.replace('\'', r"'\''")));
        }
    }
    text.push_str(&format!("if [ -s {BUNDLE_INSIDE} ]; then export PIP_CERT={BUNDLE_INSIDE}; fi\n"));
    text
}

/// The settings of a pip.conf that concern the way to an index, as variables.
fn pip_conf(text: &str, settings: &mut BTreeMap<String, String>) {
    const WANTED: [&str; 7] =
        ["index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries"];
    let (mut global, mut last) = (false, None);
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = bare.strip_prefix('[') {
            global = section.trim_end_matches(']') == "global";
            last = None;
        } else if line.starts_with([' ', '\t']) {
            // a value's next line
            if let Some(value) = last.as_ref().and_then(|key: &String| settings.get_mut(key)) {
                *value = format!("{value} {bare}").trim_start().to_owned();
            }
        } else if let Some((key, value)) = bare.split_once(['=', ':']) {
            let key = key.trim().to_lowercase().replace('_', "-");
            last = (global && WANTED.contains(&key.as_str()))
                .then(|| format!("PIP_{}", key.to_uppercase().replace('-', "_")));
            if let Some(key) = last.clone() {
                settings.insert(key, value.trim().to_owned());
            }
        }
    }
}

fn is_host_path(value: &str) -> bool {
    value
        .split_ascii_whitespace()
        .any(|word| word.starts_with(['/', '~', '.']) || word.starts_with("file:") || Path::new(word).is_absolute())
}

/// Proxy settings of this process, for the builder's predefined arguments (they stay out of
/// an image's history).
pub fn proxies() -> impl Iterator<Item = (String, String)> {
    ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"]
        .into_iter()
        .flat_map(|key| [key.to_owned(), key.to_ascii_uppercase()])
        .filter_map(|key| std::env::var(&key).ok().filter(|v| !v.is_empty()).map(|value| (key, value)))
}

/// The host's apt sources (one-line form) for Debian release `suite` and its updates.
///
/// Empty when the host is another distribution or release: mmdebstrap then takes Debian's own
/// mirrors. Sources that need a key of their own other than Debian's are left out.
pub fn apt_sources(suite: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut files = vec![std::path::PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => one_line(&text, suite, &mut found),
            Some("sources") => deb822(&text, suite, &mut found),
            _ => {}
        }
    }
    found.dedup();
    // a host with nothing but, say, its security archive would give a broken root
    if found.iter().any(|line| line.split(' ').nth(2) == Some(suite)) { found } else { Vec::new() }
}

/// Whether `word` is `suite` or belongs to it: `bookworm`, `bookworm-updates`, `bookworm-security`.
fn belongs(word: &str, suite: &str) -> bool {
    matches!(word.strip_prefix(suite), Some("" | "-updates" | "-security"))
}

fn one_line(text: &str, suite: &str, found: &mut Vec<String>) {
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else { continue };
        let rest = rest.trim();
        let (options, rest) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            Some((options, rest)) => (options, rest),
            None => ("", rest),
        };
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let debians = !options.contains("signed-by") || options.contains("debian-archive");
        if let [uri, word, components @ ..] = words.as_slice()
            && debians
            && belongs(word, suite)
            && components.contains(&"main")
        {
            found.push(format!("deb {uri} {word} main"));
        }
    }
}

fn deb822(text: &str, suite: &str, found: &mut Vec<String>) {
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            stanza
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map_or("", |(_, value)| value.trim())
        };
        let words = |name: &str| field(name).split_ascii_whitespace().collect::<Vec<_>>();
        let signed = field("Signed-By");
        if !words("Types").contains(&"deb")
            || !words("Components").contains(&"main")
            || field("Enabled").eq_ignore_ascii_case("no")
            || !(signed.is_empty() || signed.contains("debian-archive"))
        {
            continue;
        }
        for uri in words("URIs") {
            for word in words("Suites").into_iter().filter(|word| belongs(word, suite)) {
                found.push(format!("deb {uri} {word} main"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_both_forms() {
        let mut found = Vec::new();
        one_line(
            "# x\ndeb http://mirror/debian bookworm main contrib\ndeb-src http://mirror/debian bookworm main\n\
             deb [arch=amd64 signed-by=/k/other.gpg] http://other bookworm main\n\
             deb [signed-by=/k/debian-archive-keyring.gpg] http://s/security bookworm-security main\n\
             deb http://mirror/debian bookworm-backports main\n",
            "bookworm",
            &mut found,
        );
        assert_eq!(found, ["deb http://mirror/debian bookworm main", "deb http://s/security bookworm-security main"]);
        found.clear();
        deb822(
            "Types: deb\n# c\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
             Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
             Types: deb\nURIs: https://node\nSuites: nodistro\nComponents: main\n",
            "bookworm",
            &mut found,
        );
        assert_eq!(found, ["deb http://mirror/debian bookworm main", "deb http://mirror/debian bookworm-updates main"]);
    }

    #[test]
    fn pips_files_become_variables() {
        let mut settings = BTreeMap::new();
        pip_conf(
            "[global]\n# why\ncert = /etc/ssl/x\nindex_url: https://a:b@index/simple\nextra-index-url =\n    https://one\n    \
             https://two\n[install]\ntimeout = 5\n",
            &mut settings,
        );
        let settings: Vec<_> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(settings, ["PIP_EXTRA_INDEX_URL=https://one https://two", "PIP_INDEX_URL=https://a:b@index/simple"]);
    }

    #[test]
    fn paths_of_the_host_stay_there() {
        assert!(is_host_path("/opt/wheels"));
        assert!(is_host_path("https://a /opt/wheels"));
        assert!(is_host_path("file:///x"));
        assert!(!is_host_path("https://user:pw@index/simple"));
        assert!(!is_host_path("180"));
    }
}
