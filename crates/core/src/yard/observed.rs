//! What the cloud has of a yard.

use super::Key;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A field's value, in a form that can be compared and read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = FieldValue)]
pub enum Value {
    /// One text.
    Text(String),
    /// Several, in an order that says nothing: sorted.
    Set(Vec<String>),
}

impl Value {
    /// A set, sorted and each once.
    pub fn set(items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut items: Vec<String> = items.into_iter().map(Into::into).collect();
        items.sort();
        items.dedup();
        Self::Set(items)
    }
}

macro_rules! text {
    ($($type:ty),*) => { $(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::Text(value.to_string())
            }
        }
    )* };
}
text!(String, &str, &String, bool, u32, u64, super::words::Size, std::net::IpAddr, ipnet::IpNet);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if text.is_empty() => f.write_str("none"),
            Self::Text(text) => f.write_str(text),
            Self::Set(items) if items.is_empty() => f.write_str("none"),
            Self::Set(items) => f.write_str(&items.join(", ")),
        }
    }
}

/// Fields by name.
pub type Fields = BTreeMap<&'static str, Value>;

/// Field that observation sets to `true` on a volume that holds no data: it is still being made,
/// or is being removed already. No manifest has it, so it is never compared.
pub const NO_DATA: &str = "no data";

/// Field that observation sets to `true` on a volume that has another one's mark and is no double of a
/// request whose answer got lost: Cinder gives a restored backup the metadata of its volume.
pub const COPY: &str = "copy";

/// Field that observation sets to `true` on a server whose boot volume stays when it is replaced: it
/// never ran, and so has written nothing there; or it is being removed already, as by another client,
/// and one that is gone leaves its boot volume to the next one.
pub const DISK_STAYS: &str = "disk stays";

/// How a resource is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "detail")]
pub enum State {
    /// As it should be.
    Ready,
    /// Getting there: the cloud's word for it.
    Pending(String),
    /// Stopped, and can be started: the cloud's word for it.
    Stopped(String),
    /// A host that was drained to be removed, and can be taken back.
    SetApart,
    /// It works, and is to be made anew all the same: why.
    Marked(String),
    /// Of no use any more: why.
    Broken(String),
    /// It is not this user's: what was made with it works, and nothing new can be made with it. So it is with the
    /// keypair of another user of the project.
    Elsewhere,
}

/// The field of a resource whose mark an older version wrote: the yard as that mark names it.
pub const OLDER_MARK: &str = "mark";

/// A resource of a yard that the cloud has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Which one it is.
    pub key: Key,
    /// Its id.
    pub id: String,
    /// When it was made, as text that sorts by time; empty where the cloud does not say.
    pub created: String,
    /// Whether something uses it: of doubles, such a one stays.
    pub held: bool,
    /// How it is.
    pub state: State,
    /// Its fields.
    pub fields: Fields,
    /// Resources of the yard that cannot go before it; first the one that it goes with, if it
    /// has no life of its own (a rule's group, an attachment's server).
    pub uses: Vec<Key>,
}

impl Seen {
    /// Whether observation says so of the resource, with [`NO_DATA`], [`COPY`] or [`DISK_STAYS`].
    pub(crate) fn has(&self, field: &str) -> bool {
        matches!(self.fields.get(field), Some(Value::Text(text)) if text == "true")
    }

    /// Of doubles the least stays: what is used, then the oldest.
    pub(crate) fn rank(&self) -> (bool, &str, &str) {
        (!self.held, &self.created, &self.id)
    }
}

/// All that the cloud has of a yard, doubles included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Observed {
    /// In no particular order.
    pub resources: Vec<Seen>,
    /// What marks of the yard begin with, see [`super::Mark::owner`]; empty where no cloud was asked.
    pub owner: String,
}

impl Observed {
    /// The resource with this key; of doubles the one that stays.
    pub fn get(&self, key: &Key) -> Option<&Seen> {
        self.resources.iter().filter(|s| s.key == *key).min_by_key(|s| s.rank())
    }
}
