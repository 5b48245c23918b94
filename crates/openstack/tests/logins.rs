//! Every way to log in, from clouds.yaml or the OS_* variables to what Keystone gets.

#![allow(dead_code, reason = "the scripted server can do more than this suite needs")]

mod scripted;

use std::collections::BTreeMap;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use scripted::{Server, ok, quick, status};
use serde_json::{Value, json};
use stackyard_openstack::{Cloud, CloudConfig, Network, Sources};
use tokio_rustls::TlsAcceptor;

/// A folder with clouds.yaml and secure.yaml, in which `ORIGIN` is the server's address.
fn sources(origin: &str, clouds: &str, secure: &str, variables: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().expect("dir");
    for (name, text) in [("clouds.yaml", clouds), ("secure.yaml", secure)] {
        if !text.is_empty() {
            std::fs::write(dir.path().join(name), text.replace("ORIGIN", origin)).expect("write");
        }
    }
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(k, v)| ((*k).to_owned(), v.replace("ORIGIN", origin))).collect();
    let folders = vec![dir.path().to_owned()];
    (dir, Sources { folders, variables })
}

/// Logs in, asks for something, and hands back the login's body.
async fn login(cloud: Option<&str>, clouds: &str, secure: &str, variables: &[(&str, &str)]) -> Value {
    let server = Server::start(86_400, |r, origin| match (r.line().as_str(), r.header("x-auth-token")) {
        ("GET /network/v2.0/networks", Some("token-1" | "given")) => ok(json!({"networks": []})),
        ("GET /identity/v3/auth/tokens", Some("given")) => ok(scripted::token(origin, 86_400)),
        _ => status(401, json!({"error": {"message": "no"}})),
    })
    .await;
    let (_dir, sources) = sources(&server.origin, clouds, secure, variables);
    let config = CloudConfig::load_from(cloud, &sources).expect("a configuration");
    let cloud = Cloud::connect(config, quick()).await.expect("login");
    cloud.list::<Network>(&[]).await.expect("networks");
    let log = server.log();
    assert_eq!(log.len(), 2, "{log:?}");
    serde_json::from_slice(&log[0].body).unwrap_or(json!({"read": log[0].header("x-subject-token")}))
}

const CLOUDS: &str = r#"
clouds:
  password:
    auth:
      auth_url: ORIGIN/identity/v3
      username: ann
      user_domain_name: Users
      password: pa55
      project_name: shop
      project_domain_id: d1
  credential:
    auth_type: v3applicationcredential
    auth: {auth_url: ORIGIN/identity, application_credential_id: c1}
  named-credential:
    auth:
      auth_url: ORIGIN/identity
      application_credential_name: ci
      application_credential_secret: s3
      user_id: u1
  token:
    auth_type: v3token
    auth: {auth_url: ORIGIN/identity, token: given, project_id: p1}
  bare-token:
    auth_type: token
    auth: {auth_url: ORIGIN/identity, token: given}
"#;

#[tokio::test]
async fn by_password() {
    let user = json!({"name": "ann", "domain": {"name": "Users"}, "password": "pa55"});
    let wanted = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": "shop", "domain": {"id": "d1"}}},
    }});
    assert_eq!(login(Some("password"), CLOUDS, "", &[]).await, wanted);
    // Chosen by the environment.
    assert_eq!(login(None, CLOUDS, "", &[("OS_CLOUD", "password")]).await, wanted);
}

#[tokio::test]
async fn by_application_credential() {
    let secure = "clouds: {credential: {auth: {application_credential_secret: s3}}}";
    let wanted = |credential: Value| {
        // It brings its own project: a scope would be refused.
        json!({"auth": {"identity": {"methods": ["application_credential"], "application_credential": credential}}})
    };
    assert_eq!(login(Some("credential"), CLOUDS, secure, &[]).await, wanted(json!({"id": "c1", "secret": "s3"})));
    assert_eq!(
        login(Some("named-credential"), CLOUDS, "", &[]).await,
        wanted(json!({"name": "ci", "user": {"id": "u1"}, "secret": "s3"}))
    );
}

#[tokio::test]
async fn by_token() {
    assert_eq!(
        login(Some("token"), CLOUDS, "", &[]).await,
        json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "given"}}, "scope": {"project": {"id": "p1"}}}})
    );
    // Without a scope it is used as it is.
    assert_eq!(login(Some("bare-token"), CLOUDS, "", &[]).await, json!({"read": "given"}));
}

#[tokio::test]
async fn by_variables() {
    let address = ("OS_AUTH_URL", "ORIGIN/identity/v3");
    let password = [
        address,
        ("OS_USERNAME", "ann"),
        ("OS_PASSWORD", "pa55"),
        ("OS_PROJECT_NAME", "shop"),
        ("OS_USER_DOMAIN_NAME", "Users"),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
        ("OS_IDENTITY_API_VERSION", "3"),
    ];
    let user = json!({"name": "ann", "domain": {"name": "Users"}, "password": "pa55"});
    assert_eq!(
        login(None, "", "", &password).await,
        json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "shop", "domain": {"name": "Default"}}},
        }})
    );
    let credential = [
        address,
        ("OS_AUTH_TYPE", "v3applicationcredential"),
        ("OS_APPLICATION_CREDENTIAL_ID", "c1"),
        ("OS_APPLICATION_CREDENTIAL_SECRET", "s3"),
    ];
    let identity =
        json!({"methods": ["application_credential"], "application_credential": {"id": "c1", "secret": "s3"}});
    assert_eq!(login(None, "", "", &credential).await, json!({"auth": {"identity": identity}}));
    let token = [address, ("OS_AUTH_TYPE", "token"), ("OS_TOKEN", "given"), ("OS_PROJECT_ID", "p1")];
    assert_eq!(login(None, "", "", &token).await["auth"]["scope"], json!({"project": {"id": "p1"}}));
}

/// A CA and an acceptor with a certificate of it for 127.0.0.1.
fn authority() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("CA").pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("key");
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("certificate");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![leaf.der().clone()], key).expect("server");
    (ca, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn over_tls_with_a_ca_of_ones_own() {
    let (ca, tls) = authority();
    let server = Server::start_tls(tls, |_, _| ok(json!({"networks": []}))).await;
    let files = tempfile::tempdir().expect("dir");
    let path = files.path().join("ca.pem");
    std::fs::write(&path, ca).expect("write");
    let entry = |more: &str| {
        format!(
            "clouds: {{c: {{auth: {{auth_url: ORIGIN/identity/v3, username: a, password: b, project_name: p}}{more}}}}}"
        )
    };
    let connect = async |clouds: String, variables: &[(&str, &str)]| {
        let (_dir, sources) = sources(&server.origin, &clouds, "", variables);
        Cloud::connect(CloudConfig::load_from(None, &sources).expect("a configuration"), quick()).await
    };
    let trusted = entry(&format!(", cacert: {}", path.display()));
    let cloud = connect(trusted, &[]).await.expect("a trusted CA");
    cloud.list::<Network>(&[]).await.expect("networks");
    let place = path.display().to_string();
    let variables = [
        ("OS_AUTH_URL", "ORIGIN/identity/v3"),
        ("OS_USERNAME", "a"),
        ("OS_PASSWORD", "b"),
        ("OS_PROJECT_NAME", "p"),
        ("OS_CACERT", &place),
    ];
    connect(String::new(), &variables).await.expect("a CA by variable");
    connect(entry(", verify: false"), &[]).await.expect("no verification");
    connect(entry(", verify: false, cacert: /nonexistent/ca.pem"), &[]).await.expect("no verification, so no CA");

    let before = server.log().len();
    let error = connect(entry(""), &[]).await.expect_err("an unknown CA");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(error.hint().is_some_and(|h| h.contains("cacert")), "{:?}", error.hint());
    // The password was not sent.
    assert_eq!(server.log().len(), before);
    std::fs::write(&path, "no PEM").expect("write");
    let error = connect(entry(&format!(", cacert: {}", path.display())), &[]).await.expect_err("no PEM");
    assert!(error.to_string().contains("ca.pem"), "{error}");
}
