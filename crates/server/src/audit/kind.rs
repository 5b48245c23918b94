//! Which requests are in the audit log.

use axum::http::Method;
use stackyard_api::AuditKind;

/// What a request is about, by its method and the pattern of its path; nothing if it is not in the audit log.
pub(crate) fn kind(method: &Method, path: &str) -> Option<AuditKind> {
    let below = path.strip_prefix("/api/v1/yards/{yard}").unwrap_or(path);
    if is_read(method) {
        return match below {
            "/stacks/{stack}/exec" => Some(AuditKind::Exec),
            "/secrets/{name}" | "/stacks/{stack}/definition" => Some(AuditKind::Secret),
            _ => None,
        };
    }
    // To plan is to ask, with a body that is too large for a query.
    if path.ends_with("/plan") || path.ends_with("/check") {
        return None;
    }
    Some(match below {
        "/secrets/{name}" | "/pools/{pool}/ssh-key" | "/api/v1/tokens" | "/api/v1/tokens/{id}" | "/api/v1/joins" => {
            AuditKind::Secret
        }
        "" | "/runs" | "/stacks/{stack}" => AuditKind::Definition,
        "/stacks/{stack}/scale" | "/stacks/{stack}/rollback" | "/stacks/{stack}/update" => AuditKind::Definition,
        "/api/v1/session" | "/api/v1/session/token" => AuditKind::SignIn,
        _ => AuditKind::Change,
    })
}

/// Whether a request only reads.
pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_kinds() {
        for (method, path, is) in [
            (Method::GET, "/api/v1/yards/{yard}/stacks/{stack}/exec", Some(AuditKind::Exec)),
            (Method::GET, "/api/v1/yards/{yard}/stacks/{stack}/definition", Some(AuditKind::Secret)),
            (Method::GET, "/api/v1/yards/{yard}/secrets", None),
            (Method::GET, "/api/v1/yards/{yard}/secrets/{name}", Some(AuditKind::Secret)),
            (Method::HEAD, "/api/v1/yards/{yard}/secrets/{name}", Some(AuditKind::Secret)),
            (Method::PUT, "/api/v1/yards/{yard}/secrets/{name}", Some(AuditKind::Secret)),
            (Method::GET, "/api/v1/yards/{yard}", None),
            (Method::DELETE, "/api/v1/yards/{yard}", Some(AuditKind::Definition)),
            (Method::POST, "/api/v1/yards/{yard}/stacks/{stack}/update/plan", None),
            (Method::POST, "/api/v1/hosts/{id}/drain", Some(AuditKind::Change)),
            (Method::DELETE, "/api/v1/session", Some(AuditKind::SignIn)),
        ] {
            assert_eq!(kind(&method, path), is, "{method} {path}");
        }
    }
}
