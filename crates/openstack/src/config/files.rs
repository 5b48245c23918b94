//! Where configuration comes from: folders and variables.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::regions;
use super::yaml::{self, Value};
use crate::error::{Error, Result};

/// Folders to search and variables to read; [`Sources::of_process`] has those of this process.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Folders that may hold clouds.yaml, secure.yaml and clouds-public.yaml, the first file found wins.
    pub folders: Vec<PathBuf>,
    /// Environment variables by name.
    pub variables: BTreeMap<String, String>,
}

impl Sources {
    /// `.`, `$XDG_CONFIG_HOME/openstack`, `~/.config/openstack`, `/etc/openstack` and this process's OS_* variables.
    pub fn of_process() -> Self {
        let folders = [Some(".".into()), user_folder(), home_folder(), Some("/etc/openstack".into())];
        Self {
            folders: folders.into_iter().flatten().collect(),
            variables: std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .filter(|(k, _)| k.starts_with("OS_"))
                .collect(),
        }
    }

    /// The same, but clouds.yaml is this file if one is given.
    #[must_use]
    pub fn with_file(mut self, file: Option<&Path>) -> Self {
        if let Some(file) = file {
            self.variables.insert("OS_CLIENT_CONFIG_FILE".to_owned(), file.display().to_string());
        }
        self
    }

    pub(super) fn var(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|v| !v.is_empty()).cloned()
    }

    /// The OS_* variables as an entry, if they name an address.
    pub(super) fn variables(&self) -> Option<Value> {
        self.var("OS_AUTH_URL")?;
        let map = self
            .variables
            .iter()
            .filter(|(name, value)| {
                !value.is_empty() && !name.starts_with("OS_CLIENT_") && !name.starts_with("OS_CLOUD")
            })
            .filter_map(|(name, value)| {
                let key = name.strip_prefix("OS_")?.to_ascii_lowercase();
                // The command line's OS_USER_ID and OS_USERNAME, and Keystone v2's words, all end up here.
                Some((key, Value::Text { text: value.clone(), plain: false }))
            })
            .collect();
        Some(Value::Map(map))
    }

    /// Every cloud of clouds.yaml with secure.yaml laid over.
    pub(super) fn clouds(&self) -> Result<Clouds> {
        let file = self.file(Some("OS_CLIENT_CONFIG_FILE"), "clouds")?;
        let secure = self.file(Some("OS_CLIENT_SECURE_FILE"), "secure")?;
        let mut clouds = read_clouds(file.as_deref(), "clouds")?;
        clouds.merge(read_clouds(secure.as_deref(), "clouds")?);
        let public = self.file(None, "clouds-public")?;
        let clouds = with_profiles(clouds, &read_clouds(public.as_deref(), "public-clouds")?);
        Ok(Clouds { file, clouds, searched: self.folders.clone() })
    }

    fn file(&self, variable: Option<&str>, stem: &str) -> Result<Option<PathBuf>> {
        if let Some((variable, path)) = variable.and_then(|v| Some((v, expand(self.var(v)?)))) {
            if !path.exists() {
                return Err(Error::config(variable, format!("{} does not exist", path.display())));
            }
            return Ok(Some(path));
        }
        let names = ["yaml", "yml", "json"].map(|ext| format!("{stem}.{ext}"));
        Ok(self.folders.iter().flat_map(|dir| names.iter().map(move |n| dir.join(n))).find(|path| path.is_file()))
    }
}

/// The user's folder for OpenStack clients, where `cloud up` writes its entry too.
pub(crate) fn user_folder() -> Option<PathBuf> {
    directory("XDG_CONFIG_HOME").map(|dir| dir.join("openstack")).or_else(home_folder)
}

fn home_folder() -> Option<PathBuf> {
    Some(directory("HOME")?.join(".config/openstack"))
}

fn directory(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// `~/` at the start of a path.
pub(super) fn expand(path: String) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// Lays each cloud over the profile that it names, if it is one of `public`. It then names none any more.
fn with_profiles(clouds: Value, public: &Value) -> Value {
    let Value::Map(clouds) = clouds else { return clouds };
    let over = |(name, cloud): (String, Value)| {
        let profile = cloud.get("profile").or_else(|| cloud.get("cloud")).and_then(Value::text);
        match profile.and_then(|profile| public.get(profile)).cloned() {
            Some(mut base) => {
                // Regions of the entry replace those of the profile.
                if let Value::Map(base) = &mut base
                    && regions::KEYS.iter().any(|key| cloud.get(key).is_some())
                {
                    base.retain(|key, _| !regions::KEYS.contains(&key.as_str()));
                }
                base.merge(cloud);
                if let Value::Map(base) = &mut base {
                    base.retain(|key, _| !["profile", "cloud"].contains(&key.as_str()));
                }
                (name, base)
            }
            None => (name, cloud),
        }
    };
    Value::Map(clouds.into_iter().map(over).collect())
}

/// The mapping `key` of a file.
fn read_clouds(file: Option<&Path>, key: &str) -> Result<Value> {
    let empty = || Value::Map(BTreeMap::new());
    let Some(path) = file else { return Ok(empty()) };
    let text =
        fs::read_to_string(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
    let root = yaml::parse(&text).map_err(|e| Error::config(path.display().to_string(), e))?;
    let root = root.map_or(Value::Null, |n| n.value());
    if !matches!(root, Value::Map(_) | Value::Null) {
        return Err(Error::config(path.display().to_string(), format!("the file is {}, not a mapping", root.kind())));
    }
    match root.get(key) {
        None => Ok(empty()),
        Some(Value::Map(clouds)) => {
            let clouds = clouds.iter().map(|(name, cloud)| (name.clone(), cloud.clone().without_dashes()));
            Ok(Value::Map(clouds.collect()))
        }
        Some(_) => Err(Error::config(path.display().to_string(), format!("`{key}` is not a mapping"))),
    }
}

/// What the files hold.
pub(super) struct Clouds {
    file: Option<PathBuf>,
    clouds: Value,
    searched: Vec<PathBuf>,
}

impl Clouds {
    pub(super) fn names(&self) -> Vec<String> {
        self.clouds.keys()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.clouds.get(name)
    }

    /// The file that was read.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(super) fn file(&self) -> String {
        self.file.as_ref().map_or_else(|| "clouds.yaml".to_owned(), |f| f.display().to_string())
    }

    pub(super) fn place(&self, name: &str) -> String {
        format!("{}, cloud {name}", self.file())
    }

    pub(super) fn missing(&self, name: &str) -> Error {
        let Some(_) = &self.file else {
            let looked: Vec<_> = self.searched.iter().map(|f| f.join("clouds.yaml").display().to_string()).collect();
            let wanted = if name.is_empty() { String::new() } else { format!(" for cloud {name:?}") };
            return Error::config("clouds.yaml", format!("no such file{wanted} (looked for {})", looked.join(", ")))
                .with_hint(
                    "`stackyard cloud up` brings up a cloud on this machine and writes it; or set OS_AUTH_URL and the \
                     other OS_* variables",
                );
        };
        if name.is_empty() {
            return Error::config(self.file(), "there is no cloud in it");
        }
        Error::config(self.file(), format!("there is no cloud {name:?}"))
            .with_hint(format!("it has {}", self.names().join(", ")))
    }
}
