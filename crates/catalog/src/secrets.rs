//! Secrets of a package: declared by it, made once at random, kept by the caller.
//!
//! Nothing here shows a value: no type implements Display, and Debug lists names only.

use crate::diag::{Log, Problems, did_you_mean};
use crate::question::is_variable;
use crate::yaml::{self, FieldReading, Fields, Node};
use base64::Engine;
use rand::TryRng;
use rand::rngs::SysRng;
use std::collections::BTreeMap;
use std::fmt;

/// How a secret is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// Letters and digits.
    Password {
        /// Characters.
        length: usize,
    },
    /// Hexadecimal digits.
    Hex {
        /// Characters.
        length: usize,
    },
    /// A random UUID (RFC 9562, version 4).
    Uuid,
    /// A Fernet key: 32 bytes in URL-safe base64.
    Fernet,
}

/// A secret that a package needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    /// Name in templates.
    pub name: String,
    /// How it is made.
    pub kind: SecretKind,
}

const DEFAULT_LENGTH: i64 = 32;

impl SecretSpec {
    pub(crate) fn read(node: &Node, log: &Log) -> Option<Self> {
        let fields = Fields::of(node, "secrets", log)?;
        let name = fields.need("name", node)?.string("secrets.name", log)?;
        let fields = fields.named(format!("secret `{name}`"));
        if !is_variable(&name) {
            log.problem(&node.place, format!("the secret name `{name}` is not [A-Za-z_][A-Za-z0-9_]*"));
        }
        let kind = fields.need("type", node)?;
        let text = kind.string(&fields.at("type"), log)?;
        let length = fields.int("length").unwrap_or(DEFAULT_LENGTH);
        let length = match usize::try_from(length) {
            Ok(length @ 8..=1024) => length,
            _ => {
                log.problem(&node.place, format!("{}: `length` is not from 8 to 1024", fields.path));
                return None;
            }
        };
        let path = fields.path.clone();
        fields.finish(true, &[]);
        let kind = match text.as_str() {
            "password" => SecretKind::Password { length },
            "hex" => SecretKind::Hex { length },
            "uuid" => SecretKind::Uuid,
            "fernet" => SecretKind::Fernet,
            _ => {
                let hint = did_you_mean(&text, ["password", "hex", "uuid", "fernet"]);
                let hint = hint.unwrap_or_else(|| "there are password, hex, uuid, fernet".into());
                log.problem_hint(&kind.place, format!("{path}: unknown type `{text}`"), Some(hint));
                return None;
            }
        };
        Some(Self { name, kind })
    }

    fn make(&self) -> Result<String, RandomError> {
        Ok(match self.kind {
            SecretKind::Password { length } => {
                const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
                let mut password = String::with_capacity(length);
                while password.len() < length {
                    // 248 = 4 * 62: bytes above would favour some letters.
                    for byte in random::<64>()?.into_iter().filter(|b| *b < 248).take(length - password.len()) {
                        password.push(char::from(LETTERS[usize::from(byte) % 62]));
                    }
                }
                password
            }
            SecretKind::Hex { length } => {
                let mut hex = String::with_capacity(length + 64);
                while hex.len() < length {
                    hex.extend(random::<32>()?.iter().map(|b| format!("{b:02x}")));
                }
                hex.truncate(length);
                hex
            }
            SecretKind::Uuid => uuid::Builder::from_random_bytes(random::<16>()?).into_uuid().to_string(),
            SecretKind::Fernet => base64::engine::general_purpose::URL_SAFE.encode(random::<32>()?),
        })
    }
}

fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|e| RandomError(e.to_string()))?;
    Ok(bytes)
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot make a secret: the operating system gave no random bytes: {0}")]
pub struct RandomError(String);

/// Secrets by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    values: BTreeMap<String, String>,
    /// The package that they were made for.
    package: Option<String>,
}

/// The key of [`Secrets::package`] in a file; no secret can have this name.
const PACKAGE: &str = ".package";

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.values.keys().map(|k| (k, "******"))).finish()
    }
}

impl Secrets {
    /// Makes those that are declared and not there; never changes one that is.
    /// Secrets that are no longer declared stay: an older version may need them again.
    ///
    /// Returns the names of the new ones; when there are any, the caller must write the
    /// set to disk (mode 0600) before anything uses it.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes.
    pub fn generate(&mut self, specs: &[SecretSpec]) -> Result<Vec<String>, RandomError> {
        let mut made = Vec::new();
        for spec in specs {
            if !self.values.contains_key(&spec.name) {
                self.values.insert(spec.name.clone(), spec.make()?);
                made.push(spec.name.clone());
            }
        }
        Ok(made)
    }

    /// Those that are declared.
    #[must_use]
    pub fn only(&self, specs: &[SecretSpec]) -> Self {
        let declared = specs.iter().filter_map(|s| Some((s.name.clone(), self.values.get(&s.name)?.clone())));
        Self { values: declared.collect(), package: self.package.clone() }
    }

    /// The package that they were made for, if that was noted: `CATALOG/NAME`, or `NAME` of one in a directory.
    pub fn package(&self) -> Option<&str> {
        self.package.as_deref()
    }

    /// Notes the package that they are made for.
    pub fn set_package(&mut self, package: &str) {
        self.package = Some(package.to_owned());
    }

    /// The value of a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Names of all secrets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Names and values, for those who hide them: redaction of logs, templates.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// A YAML mapping with all values in clear: write it with mode 0600.
    pub fn to_yaml(&self) -> String {
        let package = self.package.iter().map(|package| (PACKAGE, package));
        let values = self.values.iter().map(|(k, v)| (k.as_str(), v));
        package.chain(values).map(|(k, v)| format!("{k}: {}\n", serde_json::Value::from(v.as_str()))).collect()
    }

    /// Reads what [`Secrets::to_yaml`] wrote; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// When the text is not a YAML mapping of texts. No message shows a value.
    pub fn from_yaml(file: &str, text: &str) -> Result<Self, Problems> {
        let node = yaml::parse(file, text)?;
        let log = Log::default();
        let mut values = BTreeMap::new();
        match node.as_map() {
            // The usual message would show the text, which may be a secret.
            None if !node.is_null() => log.problem(&node.place, "secrets: a mapping is expected"),
            _ => {}
        }
        for (key, value) in node.as_map().map(|m| m.entries.as_slice()).unwrap_or_default() {
            match value.as_text() {
                Some(text) => {
                    values.insert(key.text.clone(), text.to_owned());
                }
                None => log.problem(&value.place, format!("the secret `{}` is not text", key.text)),
            }
        }
        log.finish()?;
        let package = values.remove(PACKAGE);
        Ok(Self { values, package })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, kind: SecretKind) -> SecretSpec {
        SecretSpec { name: name.into(), kind }
    }

    #[test]
    fn makes_what_is_missing_and_keeps_the_rest() {
        let specs = [
            spec("p", SecretKind::Password { length: 100 }),
            spec("h", SecretKind::Hex { length: 33 }),
            spec("u", SecretKind::Uuid),
            spec("f", SecretKind::Fernet),
        ];
        let mut secrets = Secrets::default();
        assert_eq!(secrets.generate(&specs[..2]).expect("made"), ["p", "h"]);
        let before = secrets.clone();
        assert_eq!(secrets.generate(&specs).expect("made"), ["u", "f"]);
        assert_eq!(before.get("p"), secrets.get("p"));
        assert_eq!(secrets.generate(&specs).expect("made"), Vec::<String>::new());
        let p = secrets.get("p").expect("there");
        assert!(p.len() == 100 && p.chars().all(|c| c.is_ascii_alphanumeric()));
        let h = secrets.get("h").expect("there");
        assert!(h.len() == 33 && h.chars().all(|c| c.is_ascii_hexdigit()));
        assert_eq!(secrets.get("u").and_then(|u| u.parse::<uuid::Uuid>().ok()).map(|u| u.get_version_num()), Some(4));
        let key = base64::engine::general_purpose::URL_SAFE.decode(secrets.get("f").expect("there"));
        assert_eq!(key.map(|k| k.len()), Ok(32));
        assert_eq!(Secrets::from_yaml("s", &secrets.to_yaml()).expect("read"), secrets);
    }

    #[test]
    fn a_package_is_noted_and_gets_no_more_than_it_declares() {
        let mut secrets = Secrets::from_yaml("s", "a: one\nb: two\n").expect("read");
        assert_eq!(secrets.package(), None);
        secrets.set_package("main/db");
        let again = Secrets::from_yaml("s", &secrets.to_yaml()).expect("read");
        assert_eq!((again.package(), again.names().collect::<Vec<_>>()), (Some("main/db"), vec!["a", "b"]));
        let declared = again.only(&[spec("b", SecretKind::Uuid), spec("c", SecretKind::Uuid)]);
        assert_eq!(declared.iter().collect::<Vec<_>>(), [("b", "two")]);
    }

    #[test]
    fn shows_nothing() {
        let secrets = Secrets::from_yaml("s", "a: hunter2\n").expect("read");
        assert_eq!(format!("{secrets:?}"), r#"{"a": "******"}"#);
        let error = Secrets::from_yaml("s", "a: [hunter2]\n").expect_err("refused");
        assert_eq!(error.to_string(), "s:1:4: the secret `a` is not text");
    }
}
