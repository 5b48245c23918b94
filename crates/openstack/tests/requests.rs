//! The request layer against a server that misbehaves.

mod scripted;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scripted::{Reply, Server, ok, quick, status, with};
use serde_json::json;
use stackyard_openstack::{
    Auth, Cloud, Error, Image, Network, NewNetwork, NewServerGroup, Options, Scope, Secret, Server as Vm, ServerGroup,
    Service, Subnet,
};

const DAY: i64 = 86_400;

fn network(id: &str, name: &str) -> serde_json::Value {
    json!({"id": id, "name": name, "status": "ACTIVE", "router:external": false})
}

#[tokio::test]
async fn logs_in_and_follows_pages_by_their_query_only() {
    let server = Server::start(DAY, |r, _| match (r.line().as_str(), r.query.as_str()) {
        ("GET /network/v2.0/networks", "name=x") => ok(json!({
            "networks": [network("1", "x")],
            // The link names an inner host and path that nobody reaches.
            "networks_links": [{"rel": "next", "href": "http://inner.invalid:1/v2.0/networks?name=x&marker=1"}],
        })),
        ("GET /network/v2.0/networks", "name=x&marker=1") => ok(json!({
            "networks": [network("2", "x")],
            "networks_links": [{"rel": "next", "href": "http://inner.invalid:1/v2.0/networks?name=x&marker=2"}, {"rel": "previous", "href": "x"}],
        })),
        // The page after the last is empty.
        ("GET /network/v2.0/networks", _) => ok(json!({"networks": [], "networks_links": []})),
        ("GET /image/v2/images", "") => ok(json!({"images": [{"id": "a", "name": "t", "status": "active", "os_hash": "h"}], "next": "/v2/images?marker=a"})),
        ("GET /image/v2/images", "marker=a") => ok(json!({"images": [{"id": "b", "name": null, "status": "queued"}]})),
        _ => status(404, json!({})),
    })
    .await;
    let cloud = server.cloud().await;
    let found: Vec<Network> = cloud.list(&[("name", "x")]).await.expect("networks");
    assert_eq!(found.iter().map(|n| n.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let images: Vec<Image> = cloud.list(&[]).await.expect("images");
    assert_eq!((images.len(), images[0].property("os_hash")), (2, Some("h")));
    assert!(matches!(cloud.find::<Network>("x").await, Err(Error::Ambiguous { count: 2, .. })));

    let log = server.log();
    let login: serde_json::Value = serde_json::from_slice(&log[0].body).expect("json");
    assert_eq!(login["auth"]["identity"]["password"]["user"]["password"], "pa55word");
    assert_eq!(login["auth"]["scope"]["project"], json!({"name": "shop", "domain": {"name": "Default"}}));
    assert!(log[1..].iter().all(|r| r.header("x-auth-token") == Some("token-1")));
    assert_eq!(cloud.project_id().await.expect("project"), "p1");
    assert_eq!(cloud.token().await.expect("token").roles, ["member"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let server = Server::start(DAY, |r, _| match r.line().as_str() {
        "GET /network/v2.0/subnets" => ok(json!({"subnets": [
            {"id": "s1", "name": null, "description": null, "network_id": "1", "cidr": "10.0.0.0/24", "ip_version": 4},
            {"id": "s2", "network_id": "1", "cidr": 7, "ip_version": 4},
        ]})),
        _ => status(404, json!({})),
    })
    .await;
    let error = server.cloud().await.list::<Subnet>(&[]).await.expect_err("a CIDR is no number");
    let text = error.to_string();
    assert!(text.starts_with("GET network subnet \"s2\": the answer cannot be read: "), "{text}");
}

#[tokio::test]
async fn a_cloud_without_retries_is_asked_once() {
    let server = Server::start(DAY, |_, _| status(503, json!({}))).await;
    let cloud = server.cloud().await;
    let before = cloud.counts().total;
    assert!(cloud.without_retries().list::<Network>(&[]).await.is_err());
    assert_eq!(cloud.counts().total, before + 1);
}

#[tokio::test]
async fn transient_answers_are_retried_where_that_is_safe() {
    let server = Server::start(DAY, |r, _| match (r.line().as_str(), r.before) {
        // The service says that it did nothing: even a POST is sent again.
        ("POST /network/v2.0/networks", 0) => with(503, ("retry-after", "0"), json!({})),
        ("POST /network/v2.0/networks", 1) => with(429, ("retry-after", "0"), json!({})),
        ("POST /network/v2.0/networks", _) => status(201, json!({"network": network("n", "made")})),
        // A gateway's answer says nothing: a POST may have been done.
        ("POST /network/v2.0/subnets", _) => status(504, json!({})),
        ("GET /network/v2.0/networks/n", 0) => Reply::Drop,
        ("GET /network/v2.0/networks/n", 1) => Reply::Cut,
        ("GET /network/v2.0/networks/n", 2) => status(502, json!({})),
        ("GET /network/v2.0/networks/n", _) => ok(json!({"network": network("n", "made")})),
        ("DELETE /network/v2.0/networks/n", 0) => Reply::Drop,
        ("DELETE /network/v2.0/networks/n", _) => {
            status(404, json!({"NeutronError": {"message": "gone", "type": "NetworkNotFound", "detail": ""}}))
        }
        ("POST /network/v2.0/ports", _) => Reply::Drop,
        ("GET /network/v2.0/routers", _) => with(503, ("retry-after", "3600"), json!({})),
        _ => status(500, json!({})),
    })
    .await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = events.clone();
    let observer: stackyard_openstack::Observer = Arc::new(move |e| heard.lock().expect("events").push(e.clone()));
    let cloud = Cloud::connect(server.config(), Options { observer: Some(observer), ..quick() }).await.expect("login");

    let made: Network = cloud.create(&NewNetwork { name: "made".into(), ..Default::default() }).await.expect("created");
    assert_eq!((made.name.as_str(), server.count("POST /network/v2.0/networks")), ("made", 3));
    assert_eq!(cloud.get::<Network>("n").await.expect("got").id, "n");
    assert_eq!(server.count("GET /network/v2.0/networks/n"), 4);
    // Lost on the way back, gone when asked again: done.
    assert!(!cloud.delete::<Network>("n").await.expect("removed"));

    let error = cloud.create::<Subnet>(&Default::default()).await.expect_err("504");
    assert_eq!((error.status(), server.count("POST /network/v2.0/subnets")), (Some(504), 1));
    let error = cloud.create::<stackyard_openstack::Port>(&Default::default()).await.expect_err("dropped");
    assert!(matches!(&error, Error::Transport(e) if !e.unsent && e.attempts == 1), "{error}");
    assert_eq!(server.count("POST /network/v2.0/ports"), 1);
    // An hour is too long to wait.
    let started = Instant::now();
    assert!(cloud.list::<stackyard_openstack::Router>(&[]).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(2));

    let counts = cloud.counts();
    assert_eq!((counts.total, counts.mutating), (u64::try_from(server.log().len()).expect("count"), 3 + 2 + 1 + 1));
    let events = events.lock().expect("events");
    assert_eq!(events.len(), server.log().len());
    let (reason, _) = events[1].retry.clone().expect("a retry");
    assert!(reason.contains("503"), "{reason}");
    assert_eq!((events[1].service, events[1].attempt, events[2].attempt), ("network", 1, 2));
}

#[tokio::test]
async fn a_connection_that_was_never_made_is_retried_and_then_told() {
    let server = Server::start(DAY, |_, _| ok(json!({}))).await;
    let mut config = server.config();
    // A port where nobody listens.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    config.auth_url = format!("http://{}/v3", free.local_addr().expect("address"));
    drop(free);
    let error = Cloud::connect(config, quick()).await.expect_err("refused");
    let text = error.to_string();
    assert!(matches!(&error, Error::Transport(e) if e.unsent && e.attempts == 4), "{text}");
    assert!(
        text.contains("logging in to cloud scripted") && text.contains("refused") && text.contains("4 attempts"),
        "{text}"
    );
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn one_caller_renews_a_refused_token() {
    let server = Server::start(DAY, |r, _| match r.header("x-auth-token") {
        Some("token-1") => status(401, json!({"error": {"message": "token-1 is over"}})),
        _ if r.path.ends_with("/v2.0/subnets") => status(401, json!({"error": {"message": "never"}})),
        _ => ok(json!({"networks": []})),
    })
    .await;
    let cloud = server.cloud().await;
    let list = || async { cloud.list::<Network>(&[]).await.map(|l| l.len()) };
    let (a, b, c, d) = tokio::join!(list(), list(), list(), list());
    for outcome in [a, b, c, d] {
        assert_eq!(outcome.expect("listed"), 0);
    }
    assert_eq!(server.count("POST /identity/v3/auth/tokens"), 2);
    // A token that is refused twice is an error, not a loop.
    let error = cloud.list::<Subnet>(&[]).await.expect_err("401");
    assert_eq!((error.status(), server.count("POST /identity/v3/auth/tokens")), (Some(401), 3));
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed_beforehand() {
    let server = Server::start(30, |r, _| match r.header("x-auth-token") {
        Some("token-1") => status(401, json!({})),
        _ => ok(json!({"networks": []})),
    })
    .await;
    let cloud = server.cloud().await;
    cloud.list::<Network>(&[]).await.expect("listed");
    assert_eq!(server.count("GET /network/v2.0/networks"), 1);
}

#[tokio::test]
async fn an_older_nova_gets_the_microversion_it_speaks() {
    let vm = json!({"id": "s", "name": "a.b", "status": "ERROR", "fault": {"code": 500, "message": "No valid host", "details": null}});
    let server = Server::start(DAY, move |r, _| match (r.line().as_str(), r.header("openstack-api-version")) {
        ("GET /compute/v2.1/", _) => ok(json!({"version": {"id": "v2.1", "version": "2.60", "min_version": "2.1"}})),
        (_, Some("compute 2.79")) => {
            status(406, json!({"computeFault": {"code": 406, "message": "Version 2.79 is not supported"}}))
        }
        ("GET /compute/v2.1/servers/detail", Some("compute 2.60")) if r.query == "name=%5Ea%5C.b%24" => {
            ok(json!({"servers": [vm]}))
        }
        ("GET /compute/v2.1/servers/s", Some("compute 2.60")) => ok(json!({"server": vm})),
        _ => status(400, json!({"badRequest": {"message": "unexpected"}})),
    })
    .await;
    let cloud = server.cloud().await;
    let found: Vm = cloud.need("a.b").await.expect("found");
    assert_eq!(found.id, "s");
    // Remembered: the second call asks for 2.60 at once.
    let error = cloud.wait_for::<Vm>("s", &["ACTIVE"], Duration::from_secs(5)).await.expect_err("failed");
    assert_eq!(error.to_string(), "server \"a.b\" is in state ERROR: No valid host");
    assert_eq!(server.log().iter().filter(|r| r.header("openstack-api-version") == Some("compute 2.79")).count(), 1);
}

#[tokio::test]
async fn a_server_group_is_created_as_the_microversion_writes_it() {
    for (newest, wanted) in [
        ("2.1", json!({"name": "g", "policies": ["affinity"]})),
        ("2.60", json!({"name": "g", "policies": ["affinity"]})),
        ("2.63", json!({"name": "g", "policies": ["affinity"]})),
        ("2.64", json!({"name": "g", "policy": "affinity"})),
        ("2.96", json!({"name": "g", "policy": "affinity"})),
    ] {
        let server = Server::start(DAY, move |r, _| {
            let number = |v: &str| v.split_once('.').and_then(|(_, minor)| minor.parse::<u32>().ok());
            let asked = r.header("x-openstack-nova-api-version").and_then(number);
            match r.line().as_str() {
                "GET /compute/v2.1/" => ok(json!({"version": {"id": "v2.1", "version": newest}})),
                _ if asked > number(newest) => status(406, json!({})),
                "POST /compute/v2.1/os-server-groups" => {
                    let body: serde_json::Value = serde_json::from_slice(&r.body).expect("json");
                    let mut group = body["server_group"].clone();
                    group["id"] = "1".into();
                    ok(json!({"server_group": group}))
                }
                _ => status(404, json!({})),
            }
        })
        .await;
        let new = NewServerGroup { name: "g".into(), policy: "affinity".into() };
        // Whether it is the first that this cloud hears of microversions, or not.
        let cloud = server.cloud().await;
        for _ in 0..2 {
            let made: ServerGroup = cloud.create(&new).await.expect("created");
            assert_eq!(made.policy(), "affinity");
        }
        let log = server.log();
        let sent: serde_json::Value = serde_json::from_slice(&log.last().expect("sent").body).expect("json");
        assert_eq!(sent, json!({"server_group": wanted}), "{newest}");
        assert!(cloud.speaks(Service::Compute, "2.1"));
    }
}

#[tokio::test]
async fn a_service_in_several_regions_is_not_chosen_by_chance() {
    let services = |origin: &str| {
        let endpoint = |region: &str, path: &str| json!({"interface": "public", "region": region, "region_id": region, "url": format!("{origin}{path}")});
        json!([
            {"type": "compute", "endpoints": [endpoint("one", "/compute"), endpoint("two", "/compute-2")]},
            {"type": "network", "endpoints": [endpoint("two", "/network-2"), endpoint("one", "/network")]},
            {"type": "image", "endpoints": [endpoint("one", "/image")]},
            {"type": "identity", "endpoints": [endpoint("two", "/elsewhere"), endpoint("one", "/elsewhere")]},
            {"type": "object-store", "endpoints": [endpoint("*", "/swift/v1/AUTH_p1")]},
        ])
    };
    let server = Server::start(DAY, move |r, origin| match r.line().as_str() {
        "POST /keystone/v3/auth/tokens" => {
            let mut token = scripted::token(origin, DAY);
            token["token"]["catalog"] = services(origin);
            with(201, ("x-subject-token", "token-1"), token)
        }
        _ => ok(json!({"networks": [], "images": [], "projects": []})),
    })
    .await;
    let connect = async |region: Option<&str>| {
        let mut config = server.config();
        config.auth_url = format!("{}/keystone/v3", server.origin);
        config.region = region.map(str::to_owned);
        Cloud::connect(config, quick()).await.expect("login")
    };
    let cloud = connect(None).await;
    for error in [
        cloud.list::<Network>(&[]).await.expect_err("two regions"),
        cloud.endpoint(Service::Compute).await.expect_err("two regions"),
        cloud.region_id().await.expect_err("two regions"),
        cloud.has(Service::Network).await.expect_err("two regions"),
    ] {
        let (text, hint) = (error.to_string(), error.hint().expect("a hint"));
        assert!(text.ends_with("is in several regions and none is chosen: one, two"), "{text}");
        assert!(hint.contains("region_name") && hint.contains("OS_REGION_NAME"), "{hint}");
    }
    // What is in one region only leaves no choice, and Keystone is where the token is from.
    cloud.list::<Image>(&[]).await.expect("images");
    assert!(!cloud.has(Service::Volume).await.expect("no volumes"));
    assert_eq!(cloud.endpoint(Service::Identity).await.expect("Keystone"), format!("{}/keystone/v3", server.origin));
    for (region, compute, network) in
        [("one", "/compute/v2.1", "/network/v2.0"), ("two", "/compute-2/v2.1", "/network-2/v2.0")]
    {
        let cloud = connect(Some(region)).await;
        assert_eq!(cloud.endpoint(Service::Compute).await.expect("Nova"), format!("{}{compute}", server.origin));
        assert_eq!(cloud.endpoint(Service::Network).await.expect("Neutron"), format!("{}{network}", server.origin));
        assert_eq!(cloud.region_id().await.expect("region"), region);
        assert!(cloud.has(Service::ObjectStore).await.expect("of all regions"));
    }
    let error = connect(Some("three")).await.list::<Network>(&[]).await.expect_err("no such region");
    assert!(error.to_string().ends_with("in region three; it has the regions one, two"), "{error}");
}

#[tokio::test]
async fn a_refusal_of_a_limited_credential_says_what_it_lacks() {
    let server = Server::start(DAY, |r, origin| match r.line().as_str() {
        "POST /keystone/v3/auth/tokens" => {
            let mut token = scripted::token(origin, DAY);
            token["token"]["application_credential"] = json!({"id": "c", "name": "ci", "restricted": true,
                "access_rules": [{"id": "1", "service": "compute", "method": "GET", "path": "/v2.1/servers"}]});
            with(201, ("x-subject-token", "token-1"), token)
        }
        _ => status(401, json!({"error": {"message": "The request you have made requires authentication."}})),
    })
    .await;
    let limited = {
        let mut config = server.config();
        config.auth_url = format!("{}/keystone/v3", server.origin);
        Cloud::connect(config, quick()).await.expect("login")
    };
    let hint = limited.list::<Network>(&[]).await.expect_err("401").hint().expect("a hint");
    for words in ["access rules", "GET /network/v2.0/networks of network", "service_type", "[keystone_authtoken]"] {
        assert!(hint.contains(words), "{hint}");
    }
    // Other tokens are refused for other reasons.
    let hint = server.cloud().await.list::<Network>(&[]).await.expect_err("401").hint().expect("a hint");
    assert!(!hint.contains("access rules"), "{hint}");
}

#[tokio::test]
async fn an_answer_from_elsewhere_names_the_place() {
    let server = Server::start(DAY, |r, _| match r.line().as_str() {
        "POST /moved/v3/auth/tokens" => with(301, ("location", "https://new.example/v3/auth/tokens"), json!({})),
        _ => with(308, ("location", "https://new.example:9696/v2.0/networks"), json!({})),
    })
    .await;
    let mut config = server.config();
    config.auth_url = format!("{}/moved/v3", server.origin);
    let error = Cloud::connect(config, quick()).await.expect_err("301");
    assert!(
        error.to_string().contains("301 Moved Permanently: it is at https://new.example/v3/auth/tokens"),
        "{error}"
    );
    assert_eq!(
        error.hint().expect("a hint"),
        "set auth_url to the new address in clouds.yaml (https://new.example/v3)"
    );
    let error = server.cloud().await.list::<Network>(&[]).await.expect_err("308");
    assert!(error.to_string().contains("it is at https://new.example:9696/v2.0/networks"), "{error}");
    assert!(error.hint().expect("a hint").contains("endpoint_override"), "{:?}", error.hint());
    // Neither password nor token went there: all that was sent came here.
    assert!(server.log().iter().all(|r| r.header("host").is_none_or(|h| h.starts_with("127.0.0.1"))));
}

#[tokio::test]
async fn errors_say_who_said_what_and_keep_secrets() {
    let server = Server::start(DAY, |r, _| match r.line().as_str() {
        "POST /network/v2.0/networks" => with(
            409,
            ("x-openstack-request-id", "req-42"),
            json!({"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources: ['network'].", "detail": ""}}),
        ),
        _ => Reply::Answer(404, Vec::new(), b"<html><body><h1>404 Not Found</h1>nothing</body></html>".to_vec()),
    })
    .await;
    let cloud = server.cloud().await;
    let error =
        cloud.create::<Network>(&NewNetwork { name: "web".into(), ..Default::default() }).await.expect_err("quota");
    assert_eq!(
        error.to_string(),
        "POST network network \"web\": 409 Conflict: Quota exceeded for resources: ['network']. (req-42)"
    );
    assert!(error.is_quota() && error.is_conflict());
    let error = cloud.get::<Image>("x").await.expect_err("404");
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "GET image image \"x\": 404 Not Found: 404 Not Found nothing");
    let error = cloud.endpoint(Service::LoadBalancer).await.expect_err("no endpoint");
    assert!(
        error.to_string().contains("no public endpoint for load-balancer in region R; it has compute, image"),
        "{error}"
    );
    for text in [format!("{cloud:?} {:?}", server.config()), format!("{:?}", cloud.token().await.expect("token"))] {
        assert!(!text.contains("pa55word") && !text.contains("token-1"), "{text}");
    }
    assert!(matches!(cloud.need::<Image>("none").await, Err(e) if e.is_not_found()));
}

#[tokio::test]
async fn an_upload_begins_anew_and_tells_its_progress() {
    let server = Server::start(DAY, |r, _| match (r.line().as_str(), r.before) {
        ("PUT /image/v2/images/i/file", 0) => status(503, json!({})),
        ("PUT /image/v2/images/i/file", _) => Reply::Answer(204, Vec::new(), Vec::new()),
        _ => status(404, json!({})),
    })
    .await;
    let cloud = server.cloud().await;
    let file = tempfile::NamedTempFile::new().expect("file");
    let content: Vec<u8> = (0..700_000_u32).map(|i| u8::try_from(i % 251).unwrap_or(0)).collect();
    std::fs::write(file.path(), &content).expect("write");
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = sent.clone();
    cloud.upload_image("i", file.path(), move |n| seen.lock().expect("seen").push(n)).await.expect("uploaded");
    let log = server.log();
    let puts: Vec<_> = log.iter().filter(|r| r.method == "PUT").collect();
    assert_eq!(puts.len(), 2);
    assert!(puts.iter().all(|r| r.body == content && r.header("content-length") == Some("700000")));
    let sent = sent.lock().expect("sent");
    assert_eq!(sent.last(), Some(&700_000));
    assert_eq!(sent.iter().filter(|n| **n == 700_000).count(), 2);
}

#[tokio::test]
async fn an_image_is_changed_by_a_patch_that_may_be_sent_again() {
    let server = Server::start(DAY, |r, _| match (r.line().as_str(), r.before) {
        ("PATCH /image/v2/images/i", 0) => Reply::Drop,
        ("PATCH /image/v2/images/i", _) => ok(json!({"id": "i", "name": "new", "status": "active"})),
        _ => status(404, json!({})),
    })
    .await;
    let image = server.cloud().await.change_image("i", &[("name", "new")]).await.expect("changed");
    assert_eq!(image.name.as_deref(), Some("new"));
    let log = server.log();
    let patches: Vec<_> = log.iter().filter(|r| r.method == "PATCH").collect();
    assert_eq!(patches.len(), 2);
    for patch in patches {
        assert_eq!(patch.header("content-type"), Some("application/openstack-images-v2.1-json-patch"));
        let body: serde_json::Value = serde_json::from_slice(&patch.body).expect("json");
        assert_eq!(body, json!([{"op": "replace", "path": "/name", "value": "new"}]));
    }
}

#[tokio::test]
async fn a_given_token_is_used_as_it_is() {
    let server = Server::start(DAY, |r, origin| match (r.line().as_str(), r.header("x-subject-token")) {
        ("GET /identity/v3/auth/tokens", Some("given")) => ok(scripted::token(origin, DAY)),
        ("GET /network/v2.0/networks", _) => ok(json!({"networks": []})),
        _ => status(401, json!({"error": {"message": "no"}})),
    })
    .await;
    let mut config = server.config();
    config.auth = Auth::Token(Secret::new("given"));
    config.scope = Scope::Default;
    let cloud = Cloud::connect(config, quick()).await.expect("login");
    cloud.list::<Network>(&[]).await.expect("listed");
    assert!(server.log().iter().all(|r| r.header("x-auth-token") == Some("given")));
    assert_eq!(server.count("POST /identity/v3/auth/tokens"), 0);
}

#[tokio::test]
async fn keystone_is_found_where_its_versions_say() {
    let server = Server::start(DAY, |r, _| match r.path.as_str() {
        "/keystone" => status(
            300,
            json!({"versions": {"values": [
            {"id": "v3.14", "links": [{"rel": "self", "href": "http://inner.invalid/identity/v3/"}]}]}}),
        ),
        _ => status(404, json!({})),
    })
    .await;
    let mut config = server.config();
    config.auth_url = format!("{}/keystone", server.origin);
    Cloud::connect(config, quick()).await.expect("login");
    assert_eq!(
        server.log().iter().map(|r| r.line()).collect::<Vec<_>>(),
        ["POST /keystone/v3/auth/tokens", "GET /keystone", "POST /identity/v3/auth/tokens",]
    );
}

#[tokio::test]
async fn objects_and_signed_requests() {
    let server = Server::start(DAY, |r, _| match r.line().as_str() {
        "GET /swift/v1/AUTH_p1/c%20d" => ok(json!([{"name": "a/b", "bytes": 1, "hash": "h"}])),
        "GET /swift/v1/AUTH_p1/c%20d/a/%C3%A4%3F" => Reply::Answer(200, Vec::new(), b"data".to_vec()),
        "PUT /bucket/a/%C3%A4%3F" if r.query.contains("X-Amz-Signature=") && r.header("x-auth-token").is_none() => {
            Reply::Answer(200, Vec::new(), Vec::new())
        }
        "GET /bucket/none" => Reply::Answer(
            404,
            Vec::new(),
            b"<Error><Code>NoSuchKey</Code><Message>The key is not there.</Message></Error>".to_vec(),
        ),
        _ => status(404, json!({})),
    })
    .await;
    let cloud = server.cloud().await;
    assert_eq!(cloud.objects("c d", "").await.expect("listed")[0].name, "a/b");
    assert_eq!(cloud.get_object("c d", "a/ä?").await.expect("got"), b"data");
    assert!(!cloud.delete_object("c d", "none").await.expect("removed"));
    let bucket = cloud.s3(&server.origin, "us-east-1", "bucket", "AKIA", &Secret::new("s3cr3t")).expect("bucket");
    bucket.put("a/ä?", b"data".to_vec()).await.expect("put");
    let query = server.log().last().expect("request").query.clone();
    assert!(query.contains("X-Amz-Credential=AKIA%2F") && query.contains("us-east-1%2Fs3%2Faws4_request"), "{query}");
    let error = bucket.get("none").await.expect_err("404");
    assert_eq!(error.to_string(), "GET s3 object \"bucket/none\": 404 Not Found: The key is not there.");
    assert!(!format!("{error:?}").contains("X-Amz"));
}

#[tokio::test]
async fn what_hangs_is_given_up() {
    let server = Server::start(DAY, |r, _| match r.before {
        0 => Reply::Hang,
        _ => ok(json!({"networks": []})),
    })
    .await;
    let options = Options { timeout: Duration::from_millis(300), ..quick() };
    let cloud = Cloud::connect(server.config(), options).await.expect("login");
    cloud.list::<Network>(&[]).await.expect("the second try");
    assert_eq!(server.count("GET /network/v2.0/networks"), 2);
}
