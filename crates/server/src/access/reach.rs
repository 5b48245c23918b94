//! How far a caller reaches: over all, or over what is of the project that they signed in to.
//!
//! Tokens and the socket are the server's own and reach everything. Somebody who signed in with Keystone
//! reaches the yards whose cloud, as the server's clouds.yaml has it, is in their project, with the hosts,
//! stacks and secrets of those; an admin reaches everything. [`guard`] refuses all else before any handler
//! runs: an endpoint that is about no yard is theirs only if it is listed here.

use super::caller;
use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::Caller;
use crate::runs::FILE;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stackyard_api::Role;
use stackyard_catalog::manifest;
use stackyard_store::Person;
use std::collections::HashMap;

/// About no yard, and for everybody who signed in. Lists leave out what is not theirs, bodies that name a
/// yard, and paths that name a cloud, are looked at by their handlers.
const EVERYBODYS: [&str; 14] = [
    "/api/v1/clouds",
    "/api/v1/clouds/{cloud}/draft",
    "/api/v1/clouds/{cloud}/offer",
    "/api/v1/events",
    "/api/v1/health",
    "/api/v1/hosts",
    "/api/v1/joins",
    "/api/v1/server",
    "/api/v1/session",
    "/api/v1/sign-in",
    "/api/v1/ssh-joins",
    "/api/v1/stacks",
    "/api/v1/version",
    "/api/v1/yards",
];

/// Whose a yard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum YardOwnership {
    /// The caller may see it.
    Theirs,
    /// There is none of this name, and there was none.
    Nobodys,
    /// Another project's, or nobody knows whose.
    Others,
}

/// How far a caller reaches.
#[derive(Debug)]
pub(crate) struct CallerScope {
    app: App,
    /// Absent for those who reach everything.
    person: Option<Person>,
}

impl CallerScope {
    /// How far `caller` reaches.
    pub fn of(app: &App, caller: &Caller) -> Self {
        let person = match caller {
            Caller::Person { role, person, .. } if *role < Role::Admin => Some(person.clone()),
            _ => None,
        };
        Self { app: app.clone(), person }
    }

    /// Whether a cloud is theirs.
    ///
    /// # Errors
    /// 502 if that cannot be told.
    pub async fn has_cloud(&self, cloud: Option<&str>) -> Result<bool, ApiError> {
        match &self.person {
            Some(person) => self.app.keystones().reaches(person, cloud).await,
            None => Ok(true),
        }
    }

    /// Refuses a cloud that is not theirs.
    ///
    /// # Errors
    /// 403, 502.
    pub async fn need_cloud(&self, cloud: Option<&str>) -> Result<(), ApiError> {
        match &self.person {
            Some(person) if !self.has_cloud(cloud).await? => Err(ApiError::forbidden(format!(
                "{} is not in project {}, which you signed in to; `GET /api/v1/clouds` tells those that are",
                cloud.map_or_else(
                    || "the cloud that a manifest without `cloud` means".to_owned(),
                    |c| format!("cloud {c}")
                ),
                person.project_name
            ))),
            _ => Ok(()),
        }
    }

    /// Whether a manifest is of a cloud that is theirs.
    ///
    /// # Errors
    /// 502.
    pub async fn has_manifest(&self, text: &str) -> Result<bool, ApiError> {
        match manifest::gist(FILE, text) {
            _ if self.person.is_none() => Ok(true),
            Ok(gist) => self.has_cloud(gist.cloud.as_deref()).await,
            Err(_) => Ok(false),
        }
    }

    /// Whose a yard is: its manifest says, or the last one that it had.
    ///
    /// # Errors
    /// 500, 502.
    pub async fn whose(&self, yard: &str) -> Result<YardOwnership, ApiError> {
        if self.person.is_none() {
            return Ok(YardOwnership::Theirs);
        }
        let store = self.app.store();
        if let Some(text) = self.app.manifest_of(yard).await? {
            return Ok(if self.has_manifest(&text).await? { YardOwnership::Theirs } else { YardOwnership::Others });
        }
        if let Some(last) = store.manifests(yard, None, 1).await?.first()
            && let Some(last) = store.manifest(yard, last.revision).await?
        {
            return Ok(if self.has_manifest(&last.text).await? {
                YardOwnership::Theirs
            } else {
                YardOwnership::Others
            });
        }
        let bare = store.hosts(Some(yard), None).await?.is_empty()
            && store.stacks(Some(yard)).await?.is_empty()
            && store.secrets(yard).await?.is_empty();
        Ok(if bare { YardOwnership::Nobodys } else { YardOwnership::Others })
    }

    /// Refuses a yard that is not theirs.
    ///
    /// # Errors
    /// 403, 500, 502.
    pub async fn need_yard(&self, yard: &str) -> Result<(), ApiError> {
        match self.whose(yard).await? {
            YardOwnership::Theirs => Ok(()),
            _ => Err(self.not_theirs(yard)),
        }
    }

    fn not_theirs(&self, yard: &str) -> ApiError {
        let project = self.person.as_ref().map(|p| p.project_name.as_str()).unwrap_or_default();
        ApiError::forbidden(format!("yard {yard} is none of project {project}, which you signed in to"))
    }

    /// Leaves out what is of yards that are not theirs.
    ///
    /// # Errors
    /// 500, 502.
    pub async fn only<T>(&self, all: Vec<T>, yard: impl Fn(&T) -> &str) -> Result<Vec<T>, ApiError> {
        if self.person.is_none() {
            return Ok(all);
        }
        let mut theirs: HashMap<String, bool> = HashMap::new();
        for one in &all {
            if !theirs.contains_key(yard(one)) {
                let is = self.whose(yard(one)).await? == YardOwnership::Theirs;
                theirs.insert(yard(one).to_owned(), is);
            }
        }
        Ok(all.into_iter().filter(|one| theirs.get(yard(one)) == Some(&true)).collect())
    }

    /// Whether a request may go on to its handler.
    async fn allows(&self, method: &Method, path: &str, parameters: &HashMap<String, String>) -> Result<(), ApiError> {
        if self.person.is_none() {
            return Ok(());
        }
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if let Some(yard) = parameters.get("yard") {
            let below = path.strip_prefix("/api/v1/yards/{yard}").unwrap_or_default();
            let makes = *method == Method::PUT && below.is_empty() || ["/plan", "/check", "/runs"].contains(&below);
            return match self.whose(yard).await? {
                YardOwnership::Theirs => Ok(()),
                YardOwnership::Nobodys if makes && !reads => Ok(()),
                YardOwnership::Others if !reads => Err(self.not_theirs(yard)),
                _ => Err(ApiError::not_found(format!("there is no yard {yard} in the project that you signed in to"))),
            };
        }
        if let (true, Some(id)) = (path.starts_with("/api/v1/hosts/"), parameters.get("id")) {
            let host = crate::host::find(&self.app, id).await?;
            return match self.whose(&host.yard).await? {
                YardOwnership::Theirs => Ok(()),
                _ => Err(crate::host::missing(id)),
            };
        }
        // What is not of the API is for machines that join, and tells nothing; but metrics count what all yards have.
        if EVERYBODYS.contains(&path) || !path.starts_with("/api/") && path != "/metrics" {
            return Ok(());
        }
        Err(ApiError::forbidden(format!("{path} is about the whole server: this needs the role admin")))
    }
}

impl FromRequestParts<App> for CallerScope {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Ok(Self::of(app, &caller(parts)))
    }
}

/// Lets a request through to its handler only if its caller reaches so far.
pub(crate) async fn guard(
    State(app): State<App>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    // What is not matched is a page of the console.
    if let (Some(Caller::Person { .. }), Some(path)) = (request.extensions().get::<Caller>(), path) {
        let given = parameters.iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let reach = CallerScope::of(&app, request.extensions().get().unwrap_or(&Caller::Nobody));
        if let Err(problem) = reach.allows(request.method(), &path, &given).await {
            return problem.into_response();
        }
    }
    next.run(request).await
}
