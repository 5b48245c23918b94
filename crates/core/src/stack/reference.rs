//! Names of images, by the grammar of the registries: `github.com/distribution/reference`, `reference.go`.
//!
//! An engine's API has the name in the path of a request. Within the grammar there is nothing that a URL reads in
//! another way: no `..`, `?`, `#`, `%`, blanks or control characters.

/// The most bytes that a name may have without its tag and digest.
const MOST: usize = 255;

/// Whether a text can name an image: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. Ids of images are such texts, too.
pub fn is_image_reference(text: &str) -> bool {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = match named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((name, tag)) => (name, Some(tag)),
        None => (named, None),
    };
    let is_path = |path: &str| path.split('/').all(is_component);
    let begins_with_host = || name.split_once('/').is_some_and(|(host, path)| is_host(host) && is_path(path));
    name.len() <= MOST
        && (is_path(name) || begins_with_host())
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

/// Whether letters and digits of `is_part` stand between separators, and at both ends.
fn is_separated(text: &str, separators: &[&str], is_part: impl Fn(char) -> bool) -> bool {
    let mut rest = text;
    loop {
        let part = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (has_part, behind) = (part > 0, &rest[part..]);
        if !has_part || behind.is_empty() {
            return has_part;
        }
        let end = behind.find(&is_part).unwrap_or(behind.len());
        let (separator, after) = behind.split_at(end);
        let dashes = separators.contains(&"-") && separator.bytes().all(|b| b == b'-');
        if !dashes && !separators.contains(&separator) {
            return false;
        }
        rest = after;
    }
}

fn is_component(text: &str) -> bool {
    is_separated(text, &[".", "_", "__", "-"], |c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let is_name = |h: &str| h.split('.').all(|label| is_separated(label, &["-"], |c| c.is_ascii_alphanumeric()));
    port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
        && v6.map_or_else(|| is_name(host), |v6| v6.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(is_word) && text.len() <= 128 && text.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, digits)) = text.split_once(':') else { return false };
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(is_word)
        && (32..=MOST).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_image_reference;

    #[test]
    fn names_of_images_are_told_from_what_leads_elsewhere() {
        let id = "0123456789abcdef".repeat(4);
        for good in [
            "app",
            "app:1",
            "4f53cda18c2b",
            "team/app_x/b__c/d---e/f.g:v1.2-rc_3",
            "registry.example/team/app:1",
            "Registry.Example:5000/app",
            "localhost/app",
            "10.0.0.1:5000/app:1",
            "[fd00::1]:5000/app:1",
            &format!("sha256:{id}"),
            &format!("app@sha256:{id}"),
            &format!("registry.example/app:1@sha256:{id}"),
        ] {
            assert!(is_image_reference(good), "{good}");
        }
        let long = "a".repeat(256);
        for wrong in [
            "",
            "../events?",
            "../containers/db/json?",
            "../images/big:tag/get?",
            "..",
            ".",
            "a/../b",
            "a/./b",
            "a..b",
            "a//b",
            "/a",
            "a/",
            "app?x=1",
            "app#x",
            "app%2fx",
            "app:%2e%2e",
            "app\\x",
            "app x",
            "app\n",
            "app\0",
            "App",
            "app:",
            "app:-1",
            "app:1/..",
            "app@sha256:12",
            "app@../events?",
            "a_-b",
            "a___b",
            "-a",
            "a-",
            "host:x/app",
            "[::1/app",
            "[../x]/app",
            "ä",
            long.as_str(),
        ] {
            assert!(!is_image_reference(wrong), "{wrong:?}");
        }
    }
}
