//! The HTTP API, `/api/v1`.
//!
//! ```text
//! connection ─> begin (its id) ─> identify (who calls) ─> record (audit log) ─> guard (whose it is) ─> limit (its body) ─> handler (needs a role)
//! ```
//!
//! One file a noun, each with its `routes()`. What the handlers' annotations say is the OpenAPI
//! document, `openapi/stackyard.json` (docs/dev/adding-an-endpoint.md). Over HTTPS and over the Unix
//! socket it is the same router.

mod agent;
mod archive;
mod audit;
mod body;
mod cloud;
mod container_event;
mod doctor;
mod endless;
mod etag;
mod event;
mod extract;
mod follow;
mod graph;
pub(crate) mod host;
pub(crate) mod install;
pub(crate) mod join;
mod local;
mod metrics;
mod net;
mod page;
mod secret;
mod server;
mod server_console;
mod session;
mod ssh;
mod stack;
mod stack_stream;
mod stack_top;
mod stack_update;
mod token;
mod volume;
mod yard;
mod yard_plan;
mod yard_run;
mod yard_scope;
mod yard_status;

pub(crate) use body::GREAT_AT_ONCE;
pub(crate) use endless::ENDLESS;
pub(crate) use extract::{Body, Path, Query};
pub(crate) use metrics::open_router;

use crate::api_error::ApiError;
use crate::app::App;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use stackyard_api::ExecInput;
use utoipa::OpenApi;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Object, PathItem, RefOr, Required};
use utoipa_axum::router::OpenApiRouter;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stackyard",
        description = "Hosts, yards and stacks. Errors are problem details (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        version = "1"
    ),
    components(schemas(ExecInput))
)]
struct Document;

/// All that is documented.
fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(server::routes())
        .merge(session::routes())
        .merge(token::routes())
        .merge(audit::routes())
        .merge(event::routes())
        .merge(join::routes())
        .merge(host::routes())
        .merge(cloud::routes())
        .merge(local::routes())
        .merge(yard::routes())
        .merge(yard_plan::routes())
        .merge(yard_run::routes())
        .merge(yard_scope::routes())
        .merge(yard_status::routes())
        .merge(graph::routes())
        .merge(net::routes())
        .merge(doctor::routes())
        .merge(server_console::routes())
        .merge(stack::routes())
        .merge(archive::routes())
        .merge(stack_stream::routes())
        .merge(stack_top::routes())
        .merge(container_event::routes())
        .merge(stack_update::routes())
        .merge(volume::routes())
        .merge(secret::routes())
        .merge(ssh::routes())
        .merge(agent::routes())
        .merge(install::routes())
}

/// The API as a service.
pub(crate) fn router(app: &App) -> Router {
    let (router, _) = documented().split_for_parts();
    router
        .merge(metrics::routes())
        .fallback(crate::console::serve)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(app.clone(), body::limit))
        .layer(from_fn_with_state(app.clone(), crate::access::guard))
        .layer(from_fn_with_state(app.clone(), audit::record))
        .layer(from_fn_with_state(app.clone(), crate::access::identify))
        .layer(from_fn(no_store))
        .layer(from_fn_with_state(app.clone(), metrics::count))
        .layer(from_fn(crate::request::begin))
        .with_state(app.clone())
}

async fn not_so(request: axum::extract::Request) -> ApiError {
    let detail = format!("{} cannot be done with {}", request.method(), request.uri().path());
    ApiError::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Answers hold tokens and states: nobody on the way is to keep them.
async fn no_store(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let mut response = next.run(request).await;
    let value = axum::http::HeaderValue::from_static("no-store");
    response.headers_mut().entry(axum::http::header::CACHE_CONTROL).or_insert(value);
    response
}

/// Tells the parameters of a path that its handlers' annotations do not: each is a text.
fn name_parameters(path: &str, item: &mut PathItem) {
    let names = path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'));
    let names: Vec<&str> = names.collect();
    for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
        let told = operation.parameters.get_or_insert_default();
        for name in &names {
            let known = |p: &RefOr<Parameter>| match p {
                RefOr::T(p) => p.name == *name && p.parameter_in == ParameterIn::Path,
                RefOr::Ref(_) => false,
            };
            if !told.iter().any(known) {
                let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Path);
                let parameter = parameter.required(Required::True).schema(Some(Object::with_type(Type::String)));
                told.push(RefOr::T(parameter.build()));
            }
        }
    }
}

/// Says that problems have a media type of their own (RFC 9457, section 3).
fn name_problems(item: &mut PathItem) {
    let is_problem = |content: &RefOr<Content>| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => schema.ref_location.ends_with("/Problem"),
        _ => false,
    };
    let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten();
    for response in operations.flat_map(|o| o.responses.responses.values_mut()) {
        let RefOr::T(response) = response else { continue };
        if response.content.get("application/json").is_some_and(is_problem)
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert("application/problem+json".to_owned(), content);
        }
    }
}

/// The OpenAPI document, as it is committed.
pub fn openapi() -> String {
    let mut document = documented().to_openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let cookie = ApiKeyValue::with_description(
        crate::auth::COOKIE,
        "of `POST /api/v1/session`, for the console: good for requests of its own pages alone",
    );
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
    let schemes = &mut document.components.get_or_insert_default().security_schemes;
    schemes.insert("token".to_owned(), bearer.into());
    schemes.insert("session".to_owned(), cookie.into());
    for (path, item) in &mut document.paths.paths {
        name_parameters(path, item);
        name_problems(item);
    }
    // Whatever takes a token for the API takes a session; hosts have tokens of their own.
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|i| [&mut i.get, &mut i.put, &mut i.post, &mut i.delete]).flatten();
    for operation in operations.filter(|o| o.tags.iter().flatten().all(|t| t != "agent")) {
        if let Some(security) =
            operation.security.as_mut().filter(|_| operation.operation_id.as_deref() != Some("join_use"))
        {
            security.push(SecurityRequirement::new("session", Vec::<String>::new()));
        }
    }
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
