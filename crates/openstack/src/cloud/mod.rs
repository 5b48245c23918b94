//! One cloud, logged in: the token and its renewal, addresses, microversions.
//!
//! A token is renewed a minute before it ends and when a service answers 401, by one caller while
//! the others wait; the refused request is then sent once more. A service that answers 406 to a
//! microversion is asked for its newest, which is remembered and used from then on: callers name
//! the version they know and get at most that.

mod call;

pub use call::Call;
pub(crate) use call::{path, segment};

use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::auth::{self, Token};
use crate::catalog::{self, Service, SeveralRegions};
use crate::config::{Auth, CloudConfig, Interface, Scope};
use crate::error::{Error, Result};
use crate::http::{self, Answer, Counts, Http, Options, Payload, Prepared};

/// A cloud that can be asked. Cheap to clone; clones share token, connections and counters.
#[derive(Clone)]
pub struct Cloud {
    inner: Arc<Inner>,
    /// Exchanges for one request at most, if fewer than usual.
    attempts: Option<u32>,
}

struct Inner {
    config: CloudConfig,
    http: Http,
    token: RwLock<Option<Arc<Token>>>,
    renewing: tokio::sync::Mutex<()>,
    /// Newest microversion of services that refused a newer one.
    ceilings: Mutex<HashMap<Service, String>>,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("name", &self.inner.config.name).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Logs in.
    ///
    /// # Errors
    /// [`Error::Config`] for unreadable certificates, [`Error::Transport`] if Keystone does not
    /// answer, [`Error::Api`] if it refuses.
    pub async fn connect(config: CloudConfig, options: Options) -> Result<Self> {
        let http = Http::new(&config, options)?;
        let inner = Inner {
            config,
            http,
            token: RwLock::new(None),
            renewing: tokio::sync::Mutex::new(()),
            ceilings: Mutex::new(HashMap::new()),
        };
        let cloud = Self { inner: Arc::new(inner), attempts: None };
        cloud.token().await?;
        Ok(cloud)
    }

    /// The same cloud, with requests that are sent once: for what can be done without.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        Self { inner: self.inner.clone(), attempts: Some(1) }
    }

    /// Whether requests are sent once, as of [`Cloud::without_retries`].
    pub fn is_without_retries(&self) -> bool {
        self.attempts == Some(1)
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &CloudConfig {
        &self.inner.config
    }

    /// Exchanges so far.
    pub fn counts(&self) -> Counts {
        self.inner.http.counts()
    }

    /// The valid token, renewed if it is about to end: user, project, roles.
    ///
    /// # Errors
    /// As of [`Cloud::connect`].
    pub async fn token(&self) -> Result<Arc<Token>> {
        match self.current() {
            Some(token) if !token.is_stale() => Ok(token),
            _ => self.renew(None).await,
        }
    }

    /// Id of the token's project.
    ///
    /// # Errors
    /// [`Error::Config`] if the token is for none.
    pub async fn project_id(&self) -> Result<String> {
        self.token().await?.project.as_ref().map(|p| p.id.clone()).ok_or_else(|| {
            Error::config(format!("cloud {}", self.inner.config.name), "the token is for no project")
                .with_hint("set project_name or project_id")
        })
    }

    /// Id of the region that is used: that of Nova's endpoint in the catalog, else the configured one; empty where
    /// neither says.
    ///
    /// # Errors
    /// As of [`Cloud::connect`], when the token had to be renewed; [`Error::Config`] if Nova is in several regions and
    /// none is chosen.
    pub async fn region_id(&self) -> Result<String> {
        let (token, config) = (self.token().await?, &self.inner.config);
        let found =
            token.catalog.region_of(Service::Compute, interface_of(config, Service::Compute), config.region.as_deref());
        let found = found.map_err(|several| self.ambiguous(Service::Compute, &several))?;
        Ok(found.or(config.region.as_deref()).unwrap_or_default().to_owned())
    }

    /// Whether the catalog has `service`, or the configuration overrides its address.
    ///
    /// # Errors
    /// As of [`Cloud::connect`], when the token had to be renewed; [`Error::Config`] if the service is in several
    /// regions and none is chosen.
    pub async fn has(&self, service: Service) -> Result<bool> {
        let token = self.token().await?;
        match self.address(service, &token) {
            Ok(_) => Ok(true),
            Err(Error::NoEndpoint { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Address of `service` with its version, without slash at the end.
    ///
    /// # Errors
    /// [`Error::NoEndpoint`]; [`Error::Config`] if it is in several regions and none is chosen.
    pub async fn endpoint(&self, service: Service) -> Result<String> {
        let token = self.token().await?;
        self.address(service, &token)
    }

    /// A request to `service`; `path` starts with a slash and follows the version.
    pub fn call(&self, method: Method, service: Service, path: impl Into<String>) -> Call<'_> {
        Call::new(self, method, service, path.into())
    }

    pub(crate) fn http(&self) -> &Http {
        &self.inner.http
    }

    fn current(&self) -> Option<Arc<Token>> {
        self.inner.token.read().clone()
    }

    /// Logs in again unless somebody else did since `refused` was.
    async fn renew(&self, refused: Option<&Arc<Token>>) -> Result<Arc<Token>> {
        let _alone = self.inner.renewing.lock().await;
        if let Some(token) = self.current()
            && !token.is_stale()
            && !refused.is_some_and(|r| Arc::ptr_eq(r, &token))
        {
            return Ok(token);
        }
        let token = Arc::new(self.authenticate().await?);
        *self.inner.token.write() = Some(token.clone());
        Ok(token)
    }

    async fn authenticate(&self) -> Result<Token> {
        let config = &self.inner.config;
        let base = catalog::normal(Service::Identity, &config.auth_url, None);
        let token = match self.authenticate_at(&base).await {
            Err(Error::Api(e)) if e.status == 404 => match self.discover_identity().await {
                Some(found) if found != base => self.authenticate_at(&found).await,
                _ => Err(Error::Api(e)),
            },
            other => other,
        };
        token.map_err(|error| match error {
            // Keystone says 401 or 404 of a token that it does not know (any more), as it does of much else.
            Error::Api(mut e)
                if matches!(config.auth, Auth::Token(_))
                    && (e.status == 401 || e.status == 404 && e.message.to_lowercase().contains("token")) =>
            {
                e.hint = Some(
                    "the token has expired or is not of this cloud: get another one (`openstack token issue`)"
                        .to_owned(),
                );
                Error::Api(e)
            }
            other => other,
        })
    }

    async fn authenticate_at(&self, base: &str) -> Result<Token> {
        let config = &self.inner.config;
        // A token that is to be used as it is can only be read, not exchanged.
        let given = match (&config.auth, &config.scope) {
            (Auth::Token(token), Scope::Default) => Some(token.reveal()),
            _ => None,
        };
        let mut headers = HeaderMap::new();
        let (method, payload) = match given {
            Some(token) => {
                let value = HeaderValue::from_str(token)
                    .map_err(|_| Error::config(&config.name, "the token has characters that no token has"))?;
                headers.insert("x-subject-token", value);
                (Method::GET, Payload::Empty)
            }
            None => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                (Method::POST, Payload::Bytes(auth::request(config).to_string().into_bytes()))
            }
        };
        let request = Prepared {
            method,
            url: url(&format!("{base}/auth/tokens"))?,
            headers,
            payload,
            service: Service::Identity.name(),
            what: format!("logging in to cloud {}", config.name),
            idempotent: true,
            mutating: false,
            timeout: None,
            attempts: None,
            streamed: false,
        };
        let answer = self.inner.http.send(&request, given).await?;
        if !answer.status.is_success() {
            return Err(http::refused(&request, &answer));
        }
        let decode = |message: String| Error::Decode { what: request.what.clone(), message };
        let token = match given {
            Some(token) => token.to_owned(),
            None => answer
                .headers
                .get("x-subject-token")
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned)
                .ok_or_else(|| decode("there is no X-Subject-Token in it".to_owned()))?,
        };
        Token::read(token, &answer.body).map_err(decode)
    }

    /// Keystone's version document, where the usual place of v3 was wrong.
    async fn discover_identity(&self) -> Option<String> {
        let root = &self.inner.config.auth_url;
        let document = self.document(root, Service::Identity).await?;
        let versions = document.pointer("/versions/values")?.as_array()?;
        let v3 = versions.iter().find(|v| v["id"].as_str().is_some_and(|id| id.starts_with("v3")))?;
        let href = v3["links"].as_array()?.iter().find(|l| l["rel"] == "self")?["href"].as_str()?;
        // Behind a proxy the document tends to name the inner host: only its path is believed.
        let mut found = url(root).ok()?;
        found.set_path(url(href).ok()?.path());
        Some(found.as_str().trim_end_matches('/').to_owned())
    }

    async fn document(&self, address: &str, service: Service) -> Option<Value> {
        let request = Prepared {
            method: Method::GET,
            url: url(address).ok()?,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            service: service.name(),
            what: format!("GET {service} versions"),
            idempotent: true,
            mutating: false,
            timeout: None,
            attempts: None,
            streamed: false,
        };
        let token = self.current();
        let answer = self.inner.http.send(&request, token.as_ref().map(|t| t.secret.reveal())).await.ok()?;
        serde_json::from_slice(&answer.body).ok()
    }

    fn address(&self, service: Service, token: &Token) -> Result<String> {
        let config = &self.inner.config;
        let project = token.project.as_ref().map(|p| p.id.as_str());
        if let Some(url) = service.setting_in(&config.endpoint_overrides) {
            return Ok(catalog::normal(service, url, project));
        }
        let interface = interface_of(config, service);
        match token.catalog.find(service, interface, config.region.as_deref()) {
            Ok(Some(url)) => Ok(catalog::normal(service, url, project)),
            // An unscoped token has no catalog, but it came from somewhere.
            Ok(None) | Err(_) if service == Service::Identity => {
                Ok(catalog::normal(service, &config.auth_url, project))
            }
            Ok(None) => Err(Error::NoEndpoint {
                cloud: config.name.clone(),
                service: service.name(),
                interface: interface.word(),
                region: config.region.clone(),
                known: token.catalog.known(config.region.as_deref()),
            }),
            Err(several) => Err(self.ambiguous(service, &several)),
        }
    }

    fn ambiguous(&self, service: Service, several: &SeveralRegions) -> Error {
        let message = format!("{service} is in several regions and none is chosen: {}", several.0.join(", "));
        Error::config(format!("cloud {}", self.inner.config.name), message)
            .with_hint("set region_name in clouds.yaml, or OS_REGION_NAME, to one of them")
    }

    /// Sends a call: address, token, microversion, and what to do about 401 and 406.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<(Prepared, Answer)> {
        let mut token = self.token().await?;
        let (mut renewed, mut lowered) = (false, false);
        loop {
            let mut request = call.prepare(&self.address(call.service, &token)?)?;
            request.attempts = self.attempts;
            if let Some(version) = call.microversion {
                let ceiling = self.ceiling(call.service);
                let version = ceiling.as_deref().map_or(version, |c| lower(version, c));
                if let Some((since, older)) = &call.older
                    && is_below(version, since)
                {
                    request.payload = older.clone();
                }
                for (name, value) in call.service.microversion_headers(version) {
                    if let Ok(value) = HeaderValue::from_str(&value) {
                        request.headers.insert(name, value);
                    }
                }
            }
            let answer = self.inner.http.send(&request, Some(token.secret.reveal())).await?;
            match answer.status.as_u16() {
                401 if !renewed => {
                    renewed = true;
                    token = self.renew(Some(&token)).await?;
                }
                406 if !lowered && call.microversion.is_some() => {
                    lowered = true;
                    match self.newest(call.service, &token).await {
                        Some(newest) => {
                            self.inner.ceilings.lock().insert(call.service, newest);
                        }
                        None => return Err(http::refused(&request, &answer)),
                    }
                }
                200..=299 => return Ok((request, answer)),
                401 => return Err(limited(http::refused(&request, &answer), &request, &token)),
                _ => return Err(http::refused(&request, &answer)),
            }
        }
    }

    /// Whether a service speaks a microversion, as far as its answers have told.
    pub fn speaks(&self, service: Service, microversion: &str) -> bool {
        self.ceiling(service).is_none_or(|newest| !is_below(&newest, microversion))
    }

    fn ceiling(&self, service: Service) -> Option<String> {
        self.inner.ceilings.lock().get(&service).cloned()
    }

    /// The newest microversion that `service` speaks, from its version document.
    async fn newest(&self, service: Service, token: &Token) -> Option<String> {
        let address = self.address(service, token).ok()?;
        // The document is at the version's root, not below the project.
        let mut root = url(&address).ok()?;
        let path = root.path().to_owned();
        let mut kept: Vec<&str> = Vec::new();
        for segment in path.split('/').filter(|s| !s.is_empty()) {
            kept.push(segment);
            if catalog::is_version(segment) {
                break;
            }
        }
        root.set_path(&format!("/{}/", kept.join("/")));
        let document = self.document(root.as_str(), service).await?;
        let version = document.get("version").or_else(|| document.get("versions")?.as_array()?.last())?;
        let newest = version.get("version").or_else(|| version.get("max_version"))?.as_str()?;
        (!newest.is_empty()).then(|| newest.to_owned())
    }
}

/// Which endpoints of a service are used.
fn interface_of(config: &CloudConfig, service: Service) -> Interface {
    service.setting_in(&config.interfaces).copied().unwrap_or(config.interface)
}

/// The lower of two microversions.
fn lower<'a>(a: &'a str, b: &'a str) -> &'a str {
    if is_below(b, a) { b } else { a }
}

/// Whether a microversion is older than another one.
fn is_below(version: &str, other: &str) -> bool {
    let number = |v: &str| {
        v.split_once('.').and_then(|(x, y)| Some((x.parse::<u32>().ok()?, y.parse::<u32>().ok()?))).unwrap_or((0, 0))
    };
    number(version) < number(other)
}

/// A service refuses a token of an application credential with access rules if none of these allows the request, and
/// if it cannot tell (keystonemiddleware, `auth_token/__init__.py`, `validate_allowed_request`). It does not say so.
fn limited(error: Error, request: &Prepared, token: &Token) -> Error {
    match error {
        Error::Api(mut e) if token.access_rules > 0 => {
            e.hint = Some(format!(
                "the application credential has access rules: use one without them, or add one for {} {} of {}; if it is \
                 there, an operator must set service_type in [keystone_authtoken] of that service",
                request.method,
                request.url.path(),
                request.service
            ));
            Error::Api(e)
        }
        other => other,
    }
}

pub(crate) fn url(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|e| Error::config(text, format!("no address: {e}")))
}
