//! What all resources share: to list, find, get, create, change, remove them and to wait for them.
//! A resource's own file says only how its service names things and what it may have.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::{Error, Result};
use crate::json;

/// How a service names one kind of resource.
#[derive(Debug)]
pub struct Kind {
    /// Which service.
    pub service: Service,
    /// For people, as `security group`.
    pub noun: &'static str,
    /// Path of the collection behind the version, as `/security-groups`.
    pub path: &'static str,
    /// Path to list, where it differs, as `/servers/detail`.
    pub list: &'static str,
    /// Key around one, as `security_group`; empty where there is none.
    pub one: &'static str,
    /// Key around many.
    pub many: &'static str,
    /// How to ask for a name.
    pub by_name: ByName,
    /// Microversion for all its calls.
    pub microversion: Option<&'static str>,
}

/// How a service filters by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByName {
    /// `?name=`, exactly.
    Query,
    /// `?name=`, a regular expression (Nova's servers).
    Regex,
    /// Not at all: all are listed.
    Scan,
}

/// One kind of resource.
pub trait Resource: DeserializeOwned + Send {
    /// What it takes to create one.
    type New: Serialize + Sync;
    /// How its service names it.
    const KIND: Kind;
    /// Its id.
    fn id(&self) -> &str;
    /// Its name; not unique.
    fn name(&self) -> &str;
    /// Its status, in the service's words; empty where there is none.
    fn status(&self) -> &str {
        ""
    }
    /// Why it is in an error state.
    fn reason(&self) -> Option<String> {
        None
    }
    /// The creation request for a service that speaks no microversion as new as this one.
    fn older(_new: &Self::New) -> Option<(&'static str, Value)> {
        None
    }
    /// Takes one out of its wrapping in a list.
    fn unwrap(value: Value) -> Value {
        value
    }
}

/// The creation request of a resource that [`Cloud::create`] cannot create.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Never {}

/// Whether a field of a request is left out.
pub trait Unset {
    /// Whether it is.
    fn is_unset(&self) -> bool {
        false
    }
}
impl<T> Unset for Option<T> {
    fn is_unset(&self) -> bool {
        self.is_none()
    }
}
impl<T> Unset for Vec<T> {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}
impl<K, V> Unset for BTreeMap<K, V> {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}
impl Unset for String {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}
impl Unset for bool {}
impl Unset for u32 {}
impl Unset for u64 {}

/// Defines what it takes to create or change something: empty fields are not sent, and `Default`
/// and the struct update syntax keep callers short.
macro_rules! request {
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, serde::Serialize)]
        pub struct $name {
            $($(#[$fmeta])* #[serde(skip_serializing_if = "crate::resource::Unset::is_unset")] pub $field: $type,)*
        }
    };
}
pub(crate) use request;

/// How long a removed one may still be shown. Nova lists a server as `DELETED` while it deletes its
/// allocation in Placement, and for good if that fails (`ComputeManager._delete_instance`).
const DELETED: Duration = Duration::from_secs(10);

/// First and longest pause between two looks at a resource that is waited for.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

impl Cloud {
    /// All resources that fit `query`, every page of them.
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Transport`], [`Error::Decode`].
    pub async fn list<T: Resource>(&self, query: &[(&str, &str)]) -> Result<Vec<T>> {
        let kind = T::KIND;
        let path = if kind.list.is_empty() { kind.path } else { kind.list };
        let mut next: Option<String> = None;
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        loop {
            let mut call = self
                .call(Method::GET, kind.service, path)
                .on(&format!("{}s", kind.noun), "")
                .microversion(kind.microversion);
            // A link's address may be an inner one: only its query is believed.
            call = match &next {
                None => call.queries(query),
                Some(link) => link_query(link).into_iter().fold(call, |call, (k, v)| call.query(&k, v)),
            };
            let mut page: Value = call.read().await?;
            let link = next_link(&page, kind.many);
            let Some(Value::Array(items)) = page.get_mut(kind.many).map(Value::take) else {
                return Err(Error::Decode {
                    what: format!("GET {} {}s", kind.service, kind.noun),
                    message: format!("there is no list {:?}", kind.many),
                });
            };
            let empty = items.is_empty();
            for item in items {
                all.push(decode::<T>(T::unwrap(item), "GET")?);
            }
            match link {
                // Some services link to the page after the last; some link in a circle.
                Some(link) if !empty && seen.insert(link.clone()) => next = Some(link),
                _ => return Ok(all),
            }
        }
    }

    /// The resource with this id.
    ///
    /// # Errors
    /// As of [`Cloud::list`]; one that is not there is status 404.
    pub async fn get<T: Resource>(&self, id: &str) -> Result<T> {
        let kind = T::KIND;
        let call = self.call(Method::GET, kind.service, format!("{}/{}", kind.path, segment(id)));
        let value = call.on(kind.noun, id).microversion(kind.microversion).read().await?;
        decode(inner(value, kind.one), "GET")
    }

    /// The only resource with this name or id, if there is one.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] and as of [`Cloud::list`].
    pub async fn find<T: Resource>(&self, wanted: &str) -> Result<Option<T>> {
        let kind = T::KIND;
        let get = async || match self.get::<T>(wanted).await {
            Ok(found) => Ok(Some(found)),
            // Nova answers 400 to an id that cannot be one.
            Err(e) if matches!(e.status(), Some(400 | 404)) => Ok(None),
            Err(e) => Err(e),
        };
        if is_id(wanted)
            && let Some(found) = get().await?
        {
            return Ok(Some(found));
        }
        let pattern = match kind.by_name {
            ByName::Query => Some(wanted.to_owned()),
            ByName::Regex => Some(exactly(wanted)),
            ByName::Scan => None,
        };
        let query: Vec<_> = pattern.as_deref().map(|p| ("name", p)).into_iter().collect();
        let mut named: Vec<T> = self.list(&query).await?;
        named.retain(|t| t.name() == wanted || (kind.by_name == ByName::Scan && t.id() == wanted));
        match named.len() {
            0 | 1 => Ok(named.pop()),
            count => Err(Error::Ambiguous { noun: kind.noun, wanted: wanted.to_owned(), count }),
        }
    }

    /// The same; that there is none is an error.
    ///
    /// # Errors
    /// [`Error::NotFound`] and as of [`Cloud::find`].
    pub async fn need<T: Resource>(&self, wanted: &str) -> Result<T> {
        self.find(wanted).await?.ok_or_else(|| Error::NotFound { noun: T::KIND.noun, wanted: wanted.to_owned() })
    }

    /// Creates one. It may not be ready yet: see [`Cloud::wait_for`].
    ///
    /// # Errors
    /// As of [`Cloud::list`].
    pub async fn create<T: Resource>(&self, new: &T::New) -> Result<T> {
        let kind = T::KIND;
        let body = wrap(new, kind.one, kind.noun)?;
        let name = body
            .get("name")
            .or_else(|| body.get(kind.one)?.get("name"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let call = self.call(Method::POST, kind.service, kind.path).on(kind.noun, &name);
        let mut call = call.microversion(kind.microversion).json(&body);
        if let Some((since, older)) = T::older(new) {
            call = call.json_below(since, &wrap(&older, kind.one, kind.noun)?);
        }
        decode(inner(call.read().await?, kind.one), "POST")
    }

    /// Creates several in one request, all or none (Neutron).
    ///
    /// # Errors
    /// As of [`Cloud::list`].
    pub async fn create_many<T: Resource>(&self, new: &[T::New]) -> Result<Vec<T>> {
        let kind = T::KIND;
        let body = wrap(&new, kind.many, kind.noun)?;
        let call = self.call(Method::POST, kind.service, kind.path).on(&format!("{}s", kind.noun), "");
        let value = call.microversion(kind.microversion).json(&body).read().await?;
        let Value::Array(made) = inner(value, kind.many) else {
            return Err(Error::Decode {
                what: format!("POST {} {}s", kind.service, kind.noun),
                message: format!("there is no list {:?}", kind.many),
            });
        };
        made.into_iter().map(|item| decode(item, "POST")).collect()
    }

    /// Changes fields of one (PUT, as Neutron, Cinder and Octavia do it).
    ///
    /// # Errors
    /// As of [`Cloud::list`].
    pub async fn update<T: Resource>(&self, id: &str, change: &(impl Serialize + Sync)) -> Result<T> {
        let kind = T::KIND;
        let body = wrap(change, kind.one, kind.noun)?;
        let call = self.call(Method::PUT, kind.service, format!("{}/{}", kind.path, segment(id)));
        let value = call.on(kind.noun, id).microversion(kind.microversion).json(&body).read().await?;
        decode(inner(value, kind.one), "PUT")
    }

    /// The same of Neutron's, if nobody has changed it since it had this `revision_number`.
    ///
    /// # Errors
    /// As of [`Cloud::list`]; status 412 if it has another one by now.
    pub async fn update_at<T: Resource>(&self, id: &str, revision: i64, change: &(impl Serialize + Sync)) -> Result<T> {
        let kind = T::KIND;
        let body = wrap(change, kind.one, kind.noun)?;
        let call = self.call(Method::PUT, kind.service, format!("{}/{}", kind.path, segment(id)));
        // Neutron's own form (neutron-lib, `api/definitions/revisionifmatch.py`), which is no quoted entity tag.
        let call = call.header("If-Match", format!("revision_number={revision}"));
        let value = call.on(kind.noun, id).microversion(kind.microversion).json(&body).read().await?;
        decode(inner(value, kind.one), "PUT")
    }

    /// Removes one: whether it was there. It may take its time: see [`Cloud::wait_gone`].
    ///
    /// # Errors
    /// As of [`Cloud::list`], but 404 is none.
    pub async fn delete<T: Resource>(&self, id: &str) -> Result<bool> {
        let kind = T::KIND;
        let call = self.call(Method::DELETE, kind.service, format!("{}/{}", kind.path, segment(id)));
        call.on(kind.noun, id).microversion(kind.microversion).gone().await
    }

    /// Waits until the status is one of `wanted` (compared without case).
    ///
    /// # Errors
    /// [`Error::Failed`] once the status is an error, [`Error::Late`] after `limit`, and as of
    /// [`Cloud::list`].
    pub async fn wait_for<T: Resource>(&self, id: &str, wanted: &[&str], limit: Duration) -> Result<T> {
        let is = |t: &T| wanted.iter().any(|w| w.eq_ignore_ascii_case(t.status()));
        self.wait_until(id, &wanted.join(" or "), limit, is).await
    }

    /// Waits until `fits`; `wanted` says in words what that is.
    ///
    /// # Errors
    /// As of [`Cloud::wait_for`].
    pub async fn wait_until<T: Resource>(
        &self,
        id: &str,
        wanted: &str,
        limit: Duration,
        fits: impl Fn(&T) -> bool + Send,
    ) -> Result<T> {
        let started = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let now: T = self.get(id).await?;
            if fits(&now) {
                return Ok(now);
            }
            let label = if now.name().is_empty() { id } else { now.name() }.to_owned();
            if is_failure(now.status()) {
                return Err(Error::Failed {
                    noun: T::KIND.noun,
                    name: label,
                    state: now.status().to_owned(),
                    reason: now.reason(),
                });
            }
            if started.elapsed() > limit {
                return Err(late::<T>(label, now.status(), wanted, limit));
            }
            tokio::time::sleep(pause).await;
            pause = pause.mul_f64(1.3).min(PAUSES.1);
        }
    }

    /// Waits until it is not there any more.
    ///
    /// # Errors
    /// As of [`Cloud::wait_for`]: an error state ends the wait, too.
    pub async fn wait_gone<T: Resource>(&self, id: &str, limit: Duration) -> Result<()> {
        let started = Instant::now();
        let mut deleted = None;
        let mut pause = PAUSES.0;
        loop {
            let now: T = match self.get(id).await {
                Ok(now) => now,
                Err(e) if e.is_not_found() => return Ok(()),
                Err(e) => return Err(e),
            };
            let label = if now.name().is_empty() { id } else { now.name() }.to_owned();
            match now.status() {
                s if is_deleted(s) => {
                    let since = deleted.get_or_insert_with(Instant::now);
                    if since.elapsed() > DELETED {
                        return Ok(());
                    }
                }
                // What is removed may be in error before; a removal that failed says so.
                s if s.to_ascii_lowercase().contains("error_deleting") || s.eq_ignore_ascii_case("delete_failed") => {
                    return Err(Error::Failed {
                        noun: T::KIND.noun,
                        name: label,
                        state: s.to_owned(),
                        reason: now.reason(),
                    });
                }
                s if started.elapsed() > limit => return Err(late::<T>(label, s, "gone", limit)),
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause = pause.mul_f64(1.3).min(PAUSES.1);
        }
    }
}

fn late<T: Resource>(name: String, state: &str, wanted: &str, limit: Duration) -> Error {
    let state = if state.is_empty() { "there".to_owned() } else { state.to_owned() };
    Error::Late { noun: T::KIND.noun, name, state, wanted: wanted.to_owned(), seconds: limit.as_secs() }
}

/// Whether a service says that nothing but a record is left.
fn is_deleted(status: &str) -> bool {
    status.eq_ignore_ascii_case("deleted") || status.eq_ignore_ascii_case("delete_complete")
}

/// Error states of all services: `ERROR`, `error_deleting`, `CREATE_FAILED`, `killed`.
fn is_failure(status: &str) -> bool {
    let status = status.to_ascii_lowercase();
    status.starts_with("error") || status.ends_with("failed") || status == "killed"
}

fn wrap(body: &impl Serialize, key: &str, noun: &str) -> Result<Value> {
    let body = serde_json::to_value(body)
        .map_err(|e| Error::Decode { what: format!("request for {noun}"), message: e.to_string() })?;
    Ok(if key.is_empty() { body } else { Value::Object(Map::from_iter([(key.to_owned(), body)])) })
}

fn inner(mut value: Value, key: &str) -> Value {
    match value.get_mut(key) {
        Some(found) if !key.is_empty() => found.take(),
        _ => value,
    }
}

fn decode<T: Resource>(value: Value, method: &str) -> Result<T> {
    let kind = T::KIND;
    let text = |field: &str| value.get(field).and_then(Value::as_str).filter(|t| !t.is_empty());
    // Among thousands in a listing, people look for one.
    let which = text("id").or_else(|| text("name")).map(|which| format!(" {which:?}")).unwrap_or_default();
    json::read_value(value).map_err(|e| Error::Decode {
        what: format!("{method} {} {}{which}", kind.service, kind.noun),
        message: e.to_string(),
    })
}

/// The link to the next page: Nova, Cinder, Neutron and Octavia `<many>_links`, Glance `next`,
/// Keystone `links.next`.
fn next_link(page: &Value, many: &str) -> Option<String> {
    if let Some(links) = page.get(format!("{many}_links")).and_then(Value::as_array) {
        return links.iter().find(|l| l["rel"] == "next")?["href"].as_str().map(str::to_owned);
    }
    let next = page.get("next").or_else(|| page.get("links")?.get("next"))?;
    next.as_str().map(str::to_owned)
}

fn link_query(link: &str) -> Vec<(String, String)> {
    let base = Url::parse("http://x/").ok();
    let url = Url::options().base_url(base.as_ref()).parse(link).ok();
    url.map(|u| u.query_pairs().into_owned().collect()).unwrap_or_default()
}

/// 32 hexadecimal digits, with or without dashes.
fn is_id(text: &str) -> bool {
    let digits = text.bytes().filter(|b| *b != b'-').count();
    digits == 32 && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// A regular expression for exactly this text.
fn exactly(text: &str) -> String {
    let mut out = String::from("^");
    for c in text.chars() {
        if !(c.is_alphanumeric() || matches!(c, '_' | '-' | ' ')) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('$');
    out
}
