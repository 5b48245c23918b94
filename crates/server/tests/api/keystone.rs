//! People whom a cloud's Keystone lets in: what they may do, and see.

use super::support::{Browser, Running};
use reqwest::StatusCode;
use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};
use stackyard_api::AuditFilter;
use stackyard_fake::Fake;
use stackyard_server::daemon::Settings;
use std::time::Duration;

const OK: StatusCode = StatusCode::OK;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

/// A cloud with the projects `p`, in which the server works as cloud `fake`, `q`, as cloud `other`, and `none`,
/// in which it does not work.
async fn ground() -> (Fake, Running) {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    fake.world().take_time(Duration::ZERO);
    {
        let mut identity = fake.identity();
        identity.grant("u", "q", &["admin"]);
        let people = [("ann", "p", "admin"), ("olga", "p", "member"), ("vera", "p", "reader"), ("otto", "q", "member")];
        for (name, project, role) in people {
            identity.add_user(name, "geheim");
            identity.grant(name, project, &[role]);
        }
        identity.grant("ann", "none", &["admin"]);
        identity.grant("vera", "none", &["auditor"]);
    }
    let settings = Settings { sign_in_clouds: Some(vec!["fake".to_owned()]), ..Settings::default() };
    let running = Running::start_with(&fake, &[("fake", "p"), ("other", "q")], settings).await;
    (fake, running)
}

fn password(user: &str, project: &str) -> Value {
    json!({"password": {"user": user, "password": "geheim", "project": project}})
}

fn manifest(yard: &str, cloud: &str) -> String {
    format!(
        "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: {yard}}}\nspec:\n  cloud: {cloud}\n  networks:\n    \
         - {{name: front, cidr: 10.20.0.0/24}}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keystone_lets_people_in_with_the_roles_that_they_have() {
    let (fake, running) = ground().await;
    let (status, ways) = running.call("GET", "/api/v1/sign-in", None, None).await;
    assert_eq!((status, ways), (OK, json!({"clouds": ["fake"]})));
    let out = Browser::out(&running);
    for (user, project, role) in [
        ("ann", "p", "admin"),
        ("olga", "p", "operator"),
        ("vera", "p", "viewer"),
        ("otto", "q", "operator"),
        // Where the server does not work itself, nobody administers it.
        ("ann", "none", "operator"),
    ] {
        let browser = Browser::sign_in_with(&running, &password(user, project)).await;
        let actor: Value = browser.get("/api/v1/session").await.json().await.unwrap();
        let told = (&actor["name"], &actor["role"], &actor["cloud"], &actor["project"]);
        assert_eq!(told, (&json!(format!("{user}@Default")), &json!(role), &json!("fake"), &json!(project)));
        assert!(actor["expires"].is_string());
    }
    // Who is let in and has no role that counts here.
    let answer = out.post("/api/v1/session", &password("vera", "none")).await;
    assert_eq!(answer.status(), FORBIDDEN);
    let text = answer.text().await.unwrap();
    assert!(text.contains("auditor") && text.contains("member"), "{text}");

    for (wrong, status) in [
        (password("olga", "q"), UNAUTHORIZED),
        (password("nobody", "p"), UNAUTHORIZED),
        (json!({"password": {"user": "olga", "password": "wrong", "project": "p"}}), UNAUTHORIZED),
        (json!({"password": {"user": "olga", "domain": "Other", "password": "geheim", "project": "p"}}), UNAUTHORIZED),
        (json!({"password": {"user": "", "password": "geheim", "project": "p"}}), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({"password": {"cloud": "other", "user": "olga", "password": "geheim", "project": "p"}}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({"password": {"user": "olga", "password": "geheim"}}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = out.post("/api/v1/session", &wrong).await;
        assert_eq!(answer.status(), status, "{wrong}");
        assert!(answer.headers().get(SET_COOKIE).is_none());
        let text = answer.text().await.unwrap();
        assert!(!text.contains("geheim"), "{text}");
    }
    fake.identity().disable("olga");
    assert_eq!(out.post("/api/v1/session", &password("olga", "p")).await.status(), UNAUTHORIZED);
    fake.identity().set_down(true);
    let answer = out.post("/api/v1/session", &password("vera", "p")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(answer.text().await.unwrap().contains("Keystone of cloud fake"));

    let entries = running.admin.audit(&AuditFilter::default(), None, 100).await.unwrap();
    let mut signed_in = entries.iter().filter(|e| e.verb == "POST /api/v1/session").map(|e| e.actor.as_str());
    assert_eq!(signed_in.next_back(), Some("user ann@Default of fake/p"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_credential_signs_in_to_its_project() {
    let (fake, running) = ground().await;
    let id = fake.identity().add_credential("vera", "ci", "p", "geheim");
    for by in
        [json!({"credential": id, "secret": "geheim"}), json!({"credential": "ci", "user": "vera", "secret": "geheim"})]
    {
        let browser = Browser::sign_in_with(&running, &json!({"application_credential": by})).await;
        let actor: Value = browser.get("/api/v1/session").await.json().await.unwrap();
        assert_eq!(
            (&actor["name"], &actor["role"], &actor["project"]),
            (&json!("vera@Default"), &json!("viewer"), &json!("p"))
        );
        assert_eq!(browser.post("/api/v1/joins", &json!({"yard": "shop"})).await.status(), FORBIDDEN);
    }
    let wrong = json!({"application_credential": {"credential": id, "secret": "wrong"}});
    assert_eq!(Browser::out(&running).post("/api/v1/session", &wrong).await.status(), UNAUTHORIZED);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_the_yards_of_their_project_alone() {
    let (_fake, running) = ground().await;
    let admin = &running.admin;
    admin.keep_yard("shop", &manifest("shop", "fake"), None).await.unwrap();
    let theirs = admin.keep_yard("depot", &manifest("depot", "other"), None).await.unwrap().revision;
    admin.set_secret("depot", "key", "geheim").await.unwrap();
    let (ours, others) = (running.host("shop", "web-1").await.host, running.host("depot", "web-1").await.host);
    let olga = Browser::sign_in_with(&running, &password("olga", "p")).await;
    let list = async |browser: &Browser<'_>, path: &str, key: &str| {
        let all: Value = browser.get(path).await.json().await.unwrap();
        let all = all.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned());
        all.collect::<Vec<_>>()
    };
    assert_eq!(list(&olga, "/api/v1/yards", "name").await, ["shop"]);
    assert_eq!(list(&olga, "/api/v1/hosts", "yard").await, ["shop"]);
    assert_eq!(list(&olga, "/api/v1/clouds", "name").await, ["fake"]);
    assert_eq!(olga.get(&format!("/api/v1/hosts/{ours}")).await.status(), OK);
    assert_eq!(olga.get("/api/v1/yards/shop/graph").await.status(), OK);
    assert_eq!(olga.get("/api/v1/clouds/fake/offer").await.status(), OK);
    for cloud in ["other", "none"] {
        assert_eq!(olga.get(&format!("/api/v1/clouds/{cloud}/offer")).await.status(), FORBIDDEN, "{cloud}");
        let draft = olga.post(&format!("/api/v1/clouds/{cloud}/draft"), &json!({})).await;
        assert_eq!(draft.status(), FORBIDDEN, "{cloud}");
    }
    let revision = format!("/api/v1/yards/depot/manifests/{theirs}");
    for path in [
        "/api/v1/yards/depot",
        "/api/v1/yards/depot/graph",
        "/api/v1/yards/depot/secrets",
        "/api/v1/yards/depot/runs",
        "/api/v1/yards/%64epot",
        "/api/v1/yards/none",
        &revision,
        &format!("/api/v1/hosts/{others}"),
        "/api/v1/hosts/depot%2Fweb-1",
    ] {
        assert_eq!(olga.get(path).await.status(), NOT_FOUND, "{path}");
    }
    // What is of no yard is the admins'.
    for path in ["/api/v1/tokens", "/api/v1/audit"] {
        assert_eq!(olga.get(path).await.status(), FORBIDDEN, "{path}");
    }
    let plan = |yard: &str, cloud: &str| json!({"manifest": manifest(yard, cloud)});
    for (path, body, status) in [
        ("/api/v1/joins", json!({"yard": "depot"}), FORBIDDEN),
        ("/api/v1/joins", json!({"yard": "none"}), FORBIDDEN),
        ("/api/v1/joins", json!({"yard": "shop"}), StatusCode::CREATED),
        ("/api/v1/yards/depot/runs", plan("depot", "fake"), FORBIDDEN),
        ("/api/v1/yards/depot/plan", json!({"remove": true}), FORBIDDEN),
        // Not on somebody else's cloud either.
        ("/api/v1/yards/shop/plan", plan("shop", "other"), FORBIDDEN),
        ("/api/v1/yards/fresh/plan", plan("fresh", "other"), FORBIDDEN),
        ("/api/v1/yards/fresh/check", plan("fresh", "fake"), OK),
        ("/api/v1/yards/fresh/plan", plan("fresh", "fake"), OK),
    ] {
        let answer = olga.post(path, &body).await;
        assert_eq!(answer.status(), status, "{path} {body}: {}", answer.text().await.unwrap());
    }
    assert_eq!(olga.post(&format!("/api/v1/hosts/{others}/drain"), &json!({"on": true})).await.status(), NOT_FOUND);

    // A yard that the server moves to another project shows nothing of what it was.
    admin.keep_yard("depot", &manifest("depot", "fake"), None).await.unwrap();
    assert_eq!(olga.get("/api/v1/yards/depot").await.status(), OK);
    assert_eq!(olga.get(&revision).await.status(), NOT_FOUND);
    let back = json!({"revision": theirs});
    assert_eq!(olga.post("/api/v1/yards/depot/plan", &back).await.status(), NOT_FOUND);

    // A name that another project's yard had is not free.
    admin.keep_yard("gone", &manifest("gone", "other"), None).await.unwrap();
    admin.yard_is_gone("gone").await.unwrap();
    assert_eq!(olga.post("/api/v1/yards/gone/plan", &plan("gone", "fake")).await.status(), FORBIDDEN);

    let otto = Browser::sign_in_with(&running, &password("otto", "q")).await;
    assert!(list(&otto, "/api/v1/yards", "name").await.is_empty());
    let ann = Browser::sign_in_with(&running, &password("ann", "p")).await;
    assert_eq!(list(&ann, "/api/v1/yards", "name").await, ["depot", "shop"]);
    assert_eq!(ann.get("/api/v1/tokens").await.status(), OK);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yard_is_brought_up_by_somebody_of_its_project() {
    let (_fake, running) = ground().await;
    let olga = Browser::sign_in_with(&running, &password("olga", "p")).await;
    let begun = olga.post("/api/v1/yards/fresh/runs", &json!({"manifest": manifest("fresh", "fake")})).await;
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let run: Value = begun.json().await.unwrap();
    assert_eq!(run["actor"], "user olga@Default of fake/p");
    let events = olga.get(&format!("/api/v1/yards/fresh/runs/{}/events", run["id"].as_str().unwrap())).await;
    assert!(events.text().await.unwrap().contains("\"state\":\"done\""));
    let vera = Browser::sign_in_with(&running, &password("vera", "p")).await;
    assert_eq!(vera.get("/api/v1/yards/fresh").await.status(), OK);
    assert_eq!(vera.post("/api/v1/yards/fresh/runs", &json!({"remove": true})).await.status(), FORBIDDEN);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_some_hours_is_as_good_as_a_session() {
    let (_fake, running) = ground().await;
    let path = "/api/v1/session/token";
    let (status, got) = running.call("POST", path, None, Some(&password("vera", "p"))).await;
    assert_eq!(status, StatusCode::CREATED, "{got}");
    let token = got["token"].as_str().unwrap();
    let (status, actor) = running.call("GET", "/api/v1/session", Some(token), None).await;
    assert_eq!((status, &actor["name"], &actor["role"]), (OK, &json!("vera@Default"), &json!("viewer")));
    assert_eq!(actor["expires"], got["expires"]);
    assert_eq!(running.call("GET", "/api/v1/tokens", Some(token), None).await.0, FORBIDDEN);
    // Its numbers are about the yards of all projects.
    assert_eq!(running.call("GET", "/metrics", Some(token), None).await.0, FORBIDDEN);
    assert_eq!(running.call("POST", "/api/v1/joins", Some(token), Some(&json!({"yard": "shop"}))).await.0, FORBIDDEN);
    // It is no cookie, and a token for the API needs no other.
    let cookie = format!("__Host-stackyard={token}");
    assert_eq!(Browser { running: &running, cookie }.get("/api/v1/yards").await.status(), UNAUTHORIZED);
    let api = json!({"token": running.token("v", stackyard_api::Role::Viewer).await});
    assert_eq!(running.call("POST", path, None, Some(&api)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = running.call("DELETE", "/api/v1/session", Some(token), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(running.call("GET", "/api/v1/session", Some(token), None).await.0, UNAUTHORIZED);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_keystones_token_by_signing_out_and_with_the_rules() {
    let (fake, running) = ground().await;
    let olga = Browser::sign_in_with(&running, &password("olga", "p")).await;
    // The client counts a token that ends within a minute as ended.
    fake.identity().tokens_last(Duration::from_secs(62));
    let vera = Browser::sign_in_with(&running, &password("vera", "p")).await;
    let actor: Value = vera.get("/api/v1/session").await.json().await.unwrap();
    let ends: jiff::Timestamp = actor["expires"].as_str().unwrap().parse().unwrap();
    assert!(ends.duration_since(jiff::Timestamp::now()).as_secs() <= 62, "{ends}");
    assert_eq!(vera.sign_out().await.status(), StatusCode::NO_CONTENT);
    assert_eq!(vera.get("/api/v1/yards").await.status(), UNAUTHORIZED);
    assert_eq!(olga.get("/api/v1/yards").await.status(), OK);
    let cookie = olga.cookie.clone();

    let home = running.stop().await;
    let running = Running::start_in(home, stackyard_server::hub::HubTiming::default()).await;
    let olga = Browser { running: &running, cookie };
    assert_eq!(olga.get("/api/v1/yards").await.status(), OK);
    let cookie = olga.cookie.clone();
    let home = running.stop().await;
    let settings = Settings { sign_in_clouds: Some(Vec::new()), ..Settings::default() };
    let running = Running::start_as(home, settings, stackyard_server::hub::HubTiming::default()).await;
    let olga = Browser { running: &running, cookie };
    assert_eq!(olga.get("/api/v1/yards").await.status(), UNAUTHORIZED);
    assert_eq!(olga.post("/api/v1/session", &password("olga", "p")).await.status(), StatusCode::CONFLICT);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tries_passwords_is_stopped() {
    let (_fake, running) = ground().await;
    let browser = Browser::out(&running);
    let mut statuses = Vec::new();
    for n in 0..32 {
        let guess = json!({"password": {"user": "olga", "password": format!("{n}"), "project": "p"}});
        statuses.push(browser.post("/api/v1/session", &guess).await.status());
    }
    assert_eq!(statuses[..30], [UNAUTHORIZED; 30]);
    assert_eq!(statuses[30..], [StatusCode::TOO_MANY_REQUESTS; 2]);
    running.stop().await;
}
