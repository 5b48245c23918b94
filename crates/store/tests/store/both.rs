//! The same tests on SQLite and PostgreSQL.

use crate::place::{Place, number};
use serde_json::json;
use stackyard_core::agent::Facts;
use stackyard_store::{
    AuditFilter, Drain, Error, Host, Join, NewEntry, NewHost, NewRun, Outcome, Person, Redeemed, Replace, Run, Stack,
    Store, Token,
};
use std::collections::BTreeMap;

/// Runs each test once on either database; PostgreSQL is started once for all of them.
macro_rules! both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let place = super::Place::sqlite();
                super::$name(&place.open().await).await;
            })*
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn postgres() {
            let place = Place::postgres();
            let store = place.open().await;
            $(
                eprintln!("postgres: {}", stringify!($name));
                $name(&store).await;
            )*
        }
    };
}

both! {
    a_host_joins_once
    of_many_that_join_at_once_one_does
    spent_and_unknown_tokens_join_nothing
    a_name_is_one_hosts
    a_host_is_replaced
    hosts_change_and_go
    a_host_keeps_the_address_that_it_joined_with
    a_host_gets_another_token
    tokens_come_and_go
    sessions_go_with_their_tokens
    people_have_sessions
    a_manifest_is_kept_at_its_revision
    manifests_have_a_history
    runs_begin_and_end
    stacks_are_kept_at_their_revision
    secrets_are_set_and_removed
    the_audit_log_has_pages
    the_audit_log_is_filtered
    the_audit_log_is_pruned_from_its_old_end
    settings_are_kept
}

fn a_join(yard: &str) -> Join {
    let n = number();
    Join {
        id: format!("join-{n}"),
        hash: format!("hash-{n}"),
        yard: yard.to_owned(),
        pool: "web".to_owned(),
        name: None,
        labels: BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]),
        machine_labels: n.is_multiple_of(2),
        replaces: None,
        created: 1_000,
        expires: 2_000,
        used: None,
        host: None,
        nonce: None,
    }
}

fn a_host(name: &str) -> NewHost {
    let n = number();
    let facts = Facts { hostname: name.to_owned(), cpus: 4, memory: 8 << 30, ..Facts::default() };
    let labels = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
    let (id, token_hash, nonce) = (format!("host-{n}"), format!("token-{n}"), format!("nonce-{n}"));
    NewHost { id, name: name.to_owned(), token_hash, labels, facts, nonce }
}

async fn joined(store: &Store, yard: &str, name: &str) -> Host {
    let join = a_join(yard);
    store.add_join(&join, 0).await.unwrap();
    match store.redeem(&join.hash, &a_host(name), 1_500).await.unwrap() {
        Redeemed::Joined(host) => *host,
        other => panic!("{other:?}"),
    }
}

async fn a_host_joins_once(store: &Store) {
    let join = a_join("once");
    store.add_join(&join, 0).await.unwrap();
    let new = a_host("web-1");
    let Redeemed::Joined(host) = store.redeem(&join.hash, &new, 1_500).await.unwrap() else { panic!("not joined") };
    assert_eq!((host.yard.as_str(), host.pool.as_str(), host.name.as_str()), ("once", "web", "web-1"));
    assert_eq!((host.joined, host.last_seen, host.drain, host.removed), (1_500, None, Drain::No, None));
    assert_eq!(host.labels, join.labels);
    assert_eq!(host.facts, new.facts);
    assert_eq!(store.host_of_token(&new.token_hash).await.unwrap().as_ref(), Some(&*host));
    let Redeemed::Spent(spent) = store.redeem(&join.hash, &a_host("web-2"), 1_600).await.unwrap() else {
        panic!("joined twice")
    };
    assert_eq!((spent.used, spent.host, spent.nonce), (Some(1_500), Some(new.id), Some(new.nonce)));
    assert_eq!(store.hosts(Some("once"), None).await.unwrap(), [*host]);
}

async fn of_many_that_join_at_once_one_does(store: &Store) {
    let join = a_join("race");
    store.add_join(&join, 0).await.unwrap();
    let tries = (0..20).map(|n| {
        let (store, hash) = (store.clone(), join.hash.clone());
        tokio::spawn(async move { store.redeem(&hash, &a_host(&format!("web-{n}")), 1_500).await })
    });
    let mut joined = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.unwrap().unwrap() {
            Redeemed::Joined(_) => joined += 1,
            Redeemed::Spent(_) => {}
            Redeemed::Unknown => panic!("unknown"),
        }
    }
    assert_eq!(joined, 1);
    assert_eq!(store.hosts(Some("race"), None).await.unwrap().len(), 1);
}

async fn spent_and_unknown_tokens_join_nothing(store: &Store) {
    let join = a_join("late");
    store.add_join(&join, 0).await.unwrap();
    let late = store.redeem(&join.hash, &a_host("web-1"), 2_000).await.unwrap();
    assert!(matches!(late, Redeemed::Spent(j) if j.used.is_none()));
    assert_eq!(store.redeem("nobody's", &a_host("web-1"), 1_500).await.unwrap(), Redeemed::Unknown);
    assert!(store.hosts(Some("late"), None).await.unwrap().is_empty());
    // One that ended long ago is forgotten when another is made.
    store.add_join(&a_join("late"), 2_001).await.unwrap();
    assert_eq!(store.join(&join.hash).await.unwrap(), None);
}

async fn a_name_is_one_hosts(store: &Store) {
    joined(store, "names", "web-1").await;
    let join = a_join("names");
    store.add_join(&join, 0).await.unwrap();
    let error = store.redeem(&join.hash, &a_host("web-1"), 1_500).await.unwrap_err();
    assert!(matches!(&error, Error::Exists { .. }), "{error:?}");
    // The token is still good.
    assert!(matches!(store.redeem(&join.hash, &a_host("web-2"), 1_500).await.unwrap(), Redeemed::Joined(_)));
    // Another yard has names of its own.
    joined(store, "other-names", "web-1").await;
}

async fn a_host_is_replaced(store: &Store) {
    let old = joined(store, "heal", "web-1").await;
    let asked = |actor: &str, at| Replace { actor: actor.to_owned(), at };
    assert!(store.mark_to_replace(&old.id, &asked("ann", 1_600)).await.unwrap());
    assert!(store.unmark_to_replace(&old.id).await.unwrap());
    assert!(!store.unmark_to_replace(&old.id).await.unwrap());
    assert_eq!(store.host(&old.id).await.unwrap().unwrap().replace, None);
    // Who asked first, did.
    assert!(store.mark_to_replace(&old.id, &asked("bob", 1_610)).await.unwrap());
    assert!(!store.mark_to_replace(&old.id, &asked("ann", 1_620)).await.unwrap());
    assert_eq!(store.host(&old.id).await.unwrap().unwrap().replace, Some(asked("bob", 1_610)));
    let join = Join { replaces: Some(old.id.clone()), ..a_join("heal") };
    store.add_join(&join, 0).await.unwrap();
    let Redeemed::Joined(new) = store.redeem(&join.hash, &a_host("web-1"), 1_700).await.unwrap() else {
        panic!("not joined")
    };
    assert_eq!(store.hosts(Some("heal"), None).await.unwrap(), [*new]);
    assert_eq!(store.host(&old.id).await.unwrap().unwrap().removed, Some(1_700));
    // The mark went with the host.
    assert_eq!(store.host_named("heal", "web-1").await.unwrap().unwrap().replace, None);
    assert!(!store.mark_to_replace(&old.id, &asked("ann", 1_800)).await.unwrap());
    assert!(!store.unmark_to_replace(&old.id).await.unwrap());
}

async fn hosts_change_and_go(store: &Store) {
    let host = joined(store, "change", "web-1").await;
    store.seen(&host.id, 1_800).await.unwrap();
    store.keep_revision(&host.id, u64::try_from(i64::MAX).unwrap(), "digest").await.unwrap();
    assert!(store.drain(&host.id, Drain::Leaving).await.unwrap());
    let drain = async || store.host(&host.id).await.unwrap().unwrap().drain;
    assert_eq!(drain().await, Drain::Leaving);
    assert!(store.stays(&host.id).await.unwrap());
    assert_eq!(drain().await, Drain::No);
    // What somebody wants is not taken back by whoever wanted the machine gone.
    assert!(store.drain(&host.id, Drain::Held).await.unwrap());
    assert!(store.drain(&host.id, Drain::Leaving).await.unwrap());
    assert!(!store.stays(&host.id).await.unwrap());
    let facts = Facts { cpus: 8, ..host.facts.clone() };
    store.keep_facts(&host.id, host.address, &facts).await.unwrap();
    let now = store.host_named("change", "web-1").await.unwrap().unwrap();
    assert_eq!((now.last_seen, now.drain, now.facts.cpus), (Some(1_800), Drain::Held, 8));
    assert_eq!((now.revision, now.digest.as_str()), (u64::try_from(i64::MAX).unwrap(), "digest"));
    assert_eq!(store.hosts(Some("change"), Some("web")).await.unwrap().len(), 1);
    let all = store.host_count().await.unwrap();
    assert!(store.hosts(Some("change"), Some("db")).await.unwrap().is_empty());
    assert!(store.remove_host(&host.id, 1_900).await.unwrap());
    assert_eq!(store.host_count().await.unwrap(), all - 1);
    assert!(!store.remove_host(&host.id, 1_901).await.unwrap());
    assert!(!store.drain(&host.id, Drain::No).await.unwrap());
    assert_eq!(store.host_named("change", "web-1").await.unwrap(), None);
    joined(store, "change", "web-1").await;
}

async fn a_host_keeps_the_address_that_it_joined_with(store: &Store) {
    let at = |addresses: &[&str]| Facts {
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        ..Facts::default()
    };
    let address = async |name: &str| {
        let host = store.host_named("address", name).await.unwrap().unwrap();
        host.address.map(|a| a.to_string()).unwrap_or_default()
    };
    let join = a_join("address");
    store.add_join(&join, 0).await.unwrap();
    let new = NewHost { facts: at(&["10.0.0.5", "fd00::5"]), ..a_host("web-1") };
    let Redeemed::Joined(host) = store.redeem(&join.hash, &new, 1_500).await.unwrap() else { panic!("not joined") };
    assert_eq!(host.address, Some("10.0.0.5".parse().unwrap()));
    for facts in [at(&["172.17.0.1", "10.0.0.5"]), at(&["10.0.0.10"]), at(&[])] {
        store.keep_facts(&host.id, host.address, &facts).await.unwrap();
        assert_eq!(address("web-1").await, "10.0.0.5", "{facts:?}");
    }
    assert!(store.set_address(&host.id, "10.0.0.10".parse().unwrap()).await.unwrap());
    // The connection may have read the host before.
    store.keep_facts(&host.id, host.address, &at(&["10.0.0.5"])).await.unwrap();
    assert_eq!(address("web-1").await, "10.0.0.10");

    // One that joined without an address has the first that it tells.
    let late = joined(store, "address", "late").await;
    assert_eq!(late.address, None);
    store.keep_facts(&late.id, late.address, &at(&["10.0.0.7"])).await.unwrap();
    let late = store.host(&late.id).await.unwrap().unwrap();
    store.keep_facts(&late.id, late.address, &at(&["10.0.0.8"])).await.unwrap();
    assert_eq!(address("late").await, "10.0.0.7");

    assert!(store.remove_host(&host.id, 1_900).await.unwrap());
    assert!(!store.set_address(&host.id, "10.0.0.5".parse().unwrap()).await.unwrap());
}

async fn a_host_gets_another_token(store: &Store) {
    let host = joined(store, "renew", "web-1").await;
    assert!(store.renew_token(&host.id, "renewed").await.unwrap());
    assert_eq!(store.host_of_token("renewed").await.unwrap().unwrap().id, host.id);
    store.remove_host(&host.id, 1_900).await.unwrap();
    assert!(!store.renew_token(&host.id, "again").await.unwrap());
    assert_eq!(store.host_of_token("renewed").await.unwrap(), None);
}

async fn tokens_come_and_go(store: &Store) {
    let token = Token {
        id: "id-1".to_owned(),
        name: "ci".to_owned(),
        role: "viewer".to_owned(),
        created: 1_000,
        expires: Some(2_000),
        last_used: None,
    };
    store.add_token(&token, "h1").await.unwrap();
    let again = Token { id: "id-2".to_owned(), ..token.clone() };
    assert!(matches!(store.add_token(&again, "h2").await, Err(Error::Exists { .. })));
    assert_eq!(store.token("h1").await.unwrap(), Some(token.clone()));
    assert_eq!(store.token("h2").await.unwrap(), None);
    store.used_token("id-1", 1_500).await.unwrap();
    assert_eq!(store.tokens().await.unwrap(), [Token { last_used: Some(1_500), ..token }]);
    assert!(store.remove_token("ci").await.unwrap());
    assert!(!store.remove_token("id-1").await.unwrap());
}

async fn sessions_go_with_their_tokens(store: &Store) {
    let token = |n: u32| Token {
        id: format!("id-s{n}"),
        name: format!("session-{n}"),
        role: "viewer".to_owned(),
        created: 1_000,
        expires: None,
        last_used: None,
    };
    store.add_token(&token(1), "s1").await.unwrap();
    store.add_token(&token(2), "s2").await.unwrap();
    store.add_session("a", "id-s1", 5_000, 1_000).await.unwrap();
    store.add_session("b", "id-s1", 9_000, 1_000).await.unwrap();
    store.add_session("c", "id-s2", 9_000, 1_000).await.unwrap();
    assert!(matches!(store.add_session("c", "id-s2", 9_000, 1_000).await, Err(Error::Exists { .. })));
    assert_eq!(store.session("a", 4_999).await.unwrap(), Some(token(1)));
    assert_eq!(store.session("a", 5_000).await.unwrap(), None);
    assert_eq!(store.session("x", 1_000).await.unwrap(), None);
    assert!(store.remove_token("session-1").await.unwrap());
    assert_eq!(store.session("b", 1_000).await.unwrap(), None);
    // The next one sweeps: `a` has ended, the token of `b` is gone.
    store.add_session("d", "id-s2", 9_000, 6_000).await.unwrap();
    assert!(!store.remove_session("a").await.unwrap());
    assert!(!store.remove_session("b").await.unwrap());
    assert!(store.remove_session("c").await.unwrap());
    assert_eq!(store.session("c", 1_000).await.unwrap(), None);
    assert_eq!(store.session("d", 6_000).await.unwrap(), Some(token(2)));
    store.remove_token("session-2").await.unwrap();
}

async fn people_have_sessions(store: &Store) {
    let n = number();
    let person = Person {
        cloud: "local".to_owned(),
        keystone: "https://k.example/identity".to_owned(),
        name: "ann@Default".to_owned(),
        project: "1234".to_owned(),
        project_name: "shop".to_owned(),
        role: "operator".to_owned(),
        expires: 2_000,
    };
    let (first, second) = (format!("first-{n}"), format!("second-{n}"));
    store.add_person(&first, &person, 1_000).await.unwrap();
    assert!(matches!(store.add_person(&first, &person, 1_000).await, Err(Error::Exists { .. })));
    assert_eq!(store.person(&first, 1_999).await.unwrap(), Some(person.clone()));
    assert_eq!(store.person(&first, 2_000).await.unwrap(), None);
    assert_eq!(store.session(&first, 1_000).await.unwrap(), None);
    // One that ended is forgotten by the next.
    store.add_person(&second, &Person { expires: 9_000, ..person.clone() }, 3_000).await.unwrap();
    assert!(!store.remove_person(&first).await.unwrap());
    assert!(store.remove_person(&second).await.unwrap());
    store.add_person(&first, &person, 1_000).await.unwrap();
    store.remove_people().await.unwrap();
    assert_eq!(store.person(&first, 1_000).await.unwrap(), None);
}

async fn a_manifest_is_kept_at_its_revision(store: &Store) {
    let keep = async |name: &str, text: &str, at, now| {
        store.keep_yard(name, text, &BTreeMap::new(), "me", at, now).await.unwrap()
    };
    assert_eq!(keep("shop", "a", Some(7), 1_000).await, None);
    let first = keep("shop", "a", Some(0), 1_000).await.unwrap();
    assert_eq!(keep("shop", "b", Some(0), 1_000).await, None);
    let second = keep("shop", "b", Some(first), 1_000).await.unwrap();
    assert!(second > first);
    assert_eq!(keep("shop", "c", Some(first), 1_001).await, None);
    let third = keep("shop", "c", None, 5_000).await.unwrap();
    assert!(third > second);
    let yard = store.yard("shop").await.unwrap().unwrap();
    assert_eq!((yard.manifest.as_str(), yard.revision, yard.updated), ("c", third, 5_000));
    store.set_secret("shop", "key", "value", 1).await.unwrap();
    assert!(!store.forget_yard("shop", Some(first)).await.unwrap());
    assert!(store.forget_yard("shop", Some(third)).await.unwrap());
    assert_eq!(store.yard("shop").await.unwrap(), None);
    assert!(store.secrets("shop").await.unwrap().is_empty());
}

async fn manifests_have_a_history(store: &Store) {
    let files = BTreeMap::from([("site/compose.yaml".to_owned(), "services: {}".to_owned())]);
    let mut revisions = Vec::new();
    for n in 0..203 {
        let kept = store.keep_yard("past", &format!("{n}"), &files, "ann", None, 1_000).await.unwrap();
        revisions.push(kept.unwrap());
    }
    let newest = store.manifests("past", None, 2).await.unwrap();
    assert_eq!(newest.iter().map(|m| m.revision).collect::<Vec<_>>(), [revisions[202], revisions[201]]);
    assert_eq!((newest[0].actor.as_str(), newest[0].kept), ("ann", 1_000));
    let older = store.manifests("past", Some(revisions[201]), 1000).await.unwrap();
    assert_eq!((older.len(), older[0].revision), (198, revisions[200]));
    assert_eq!(store.manifest("past", revisions[2]).await.unwrap(), None);
    let found = store.manifest("past", revisions[100]).await.unwrap().unwrap();
    assert_eq!((found.text.as_str(), &found.files), ("100", &files));
    // What a yard was like is known when it is gone.
    store.set_secret("past", "key", "value", 1).await.unwrap();
    assert!(!store.yard_is_gone("past", Some(1)).await.unwrap());
    assert!(store.yard_is_gone("past", None).await.unwrap());
    assert!(!store.yard_is_gone("past", None).await.unwrap());
    assert_eq!(store.secret("past", "key").await.unwrap().as_deref(), Some("value"));
    assert_eq!(store.manifests("past", None, 1).await.unwrap(), newest[..1]);
    assert!(store.manifests("shop-2", None, 1).await.unwrap().is_empty());
}

async fn runs_begin_and_end(store: &Store) {
    let new = |n: u32, yard: &str| NewRun {
        id: format!("run-{n}"),
        yard: yard.to_owned(),
        kind: "up".to_owned(),
        revision: (n != 2).then_some(7),
        actor: "ann".to_owned(),
        began: 1_000,
        state: "running".to_owned(),
    };
    for (n, yard) in [(1, "one"), (2, "one"), (3, "two")] {
        store.begin_run(&new(n, yard), &json!([])).await.unwrap();
    }
    store.note_run("run-1", &json!(["half"])).await.unwrap();
    assert_eq!(store.run("one", "run-1").await.unwrap().unwrap().content, json!(["half"]));
    store.end_run("run-1", "failed", Some("no quota"), &json!(["all"]), 2_000).await.unwrap();
    // What has ended stays as it ended.
    store.note_run("run-1", &json!([])).await.unwrap();
    store.end_run("run-1", "done", None, &json!([]), 3_000).await.unwrap();
    store.end_runs("interrupted", 4_000).await.unwrap();
    let first = Run {
        new: NewRun { state: "failed".to_owned(), ..new(1, "one") },
        ended: Some(2_000),
        error: Some("no quota".to_owned()),
        content: json!(["all"]),
    };
    let second = Run {
        new: NewRun { state: "interrupted".to_owned(), ..new(2, "one") },
        ended: Some(4_000),
        error: None,
        content: json!([]),
    };
    assert_eq!(store.runs("one", None, None, 10).await.unwrap(), [second.clone(), first.clone()]);
    assert_eq!(store.runs("one", None, Some("run-2"), 10).await.unwrap(), [first]);
    assert_eq!(store.run("two", "run-1").await.unwrap(), None);
    let last: Vec<String> = store.last_runs().await.unwrap().into_iter().map(|r| r.new.id).collect();
    assert_eq!(last, ["run-2", "run-3"]);
}

async fn stacks_are_kept_at_their_revision(store: &Store) {
    let stack = Stack {
        yard: "shop".to_owned(),
        name: "site".to_owned(),
        revision: 1,
        content: json!({"services": {"web": {}}}),
        previous: None,
        placement: json!({}),
        state: json!("steady"),
    };
    assert!(!store.keep_stack(&stack, 5).await.unwrap());
    assert!(store.keep_stack(&stack, 0).await.unwrap());
    assert!(!store.keep_stack(&stack, 0).await.unwrap());
    let next = Stack { revision: 2, previous: Some(stack.content.clone()), ..stack.clone() };
    assert!(store.keep_stack(&next, 1).await.unwrap());
    assert!(!store.keep_stack(&next, 1).await.unwrap());
    assert_eq!(store.stack("shop", "site").await.unwrap(), Some(next.clone()));
    assert_eq!(store.stacks(Some("shop")).await.unwrap(), [next]);
    assert!(store.remove_stack("shop", "site").await.unwrap());
    assert!(!store.remove_stack("shop", "site").await.unwrap());
}

async fn secrets_are_set_and_removed(store: &Store) {
    store.set_secret("vault", "b", "1", 10).await.unwrap();
    store.set_secret("vault", "a", "2", 11).await.unwrap();
    store.set_secret("vault", "b", "3", 12).await.unwrap();
    assert_eq!(store.secret("vault", "b").await.unwrap().as_deref(), Some("3"));
    assert_eq!(store.secret("safe", "b").await.unwrap(), None);
    let names = store.secrets("vault").await.unwrap();
    assert_eq!(names.iter().map(|s| (s.name.as_str(), s.updated)).collect::<Vec<_>>(), [("a", 11), ("b", 12)]);
    assert!(store.remove_secret("vault", "b").await.unwrap());
    assert!(!store.remove_secret("vault", "b").await.unwrap());
}

fn an_entry(at: i64, target: &str) -> NewEntry {
    let (actor, kind) = ("me".to_owned(), "change".to_owned());
    NewEntry { at, actor, kind, verb: "POST".to_owned(), target: target.to_owned(), ..NewEntry::default() }
}

fn outcome(status: &str, result: &str) -> Outcome {
    Outcome { status: status.to_owned(), result: result.to_owned() }
}

async fn targets(store: &Store, filter: AuditFilter) -> Vec<String> {
    let entries = store.audit(&filter, None, 100).await.unwrap();
    entries.into_iter().map(|e| e.new.target).collect()
}

async fn the_audit_log_has_pages(store: &Store) {
    for n in 0..5 {
        let id = store.audit_begin(&an_entry(n, &format!("web-{n}"))).await.unwrap();
        if n != 3 {
            store.audit_end(&id, &outcome("204", "done"), None).await.unwrap();
        }
    }
    let all = AuditFilter::default();
    let first = store.audit(&all, None, 2).await.unwrap();
    assert_eq!(first.iter().map(|e| e.new.target.as_str()).collect::<Vec<_>>(), ["web-4", "web-3"]);
    assert_eq!(first.iter().map(|e| e.new.outcome.clone()).collect::<Vec<_>>(), [Some(outcome("204", "done")), None]);
    let rest = store.audit(&all, Some(&first[1].id), 100).await.unwrap();
    assert_eq!(rest.iter().map(|e| e.new.target.as_str()).collect::<Vec<_>>(), ["web-2", "web-1", "web-0"]);
}

async fn the_audit_log_is_filtered(store: &Store) {
    let from = |address: &str| Some(address.to_owned());
    let secret = NewEntry { kind: "secret".to_owned(), address: from("192.0.2.7"), ..an_entry(1_000, "/y/filtered") };
    let below = NewEntry { actor: "ann".to_owned(), ..an_entry(2_000, "/y/filtered/s") };
    // `_` and `%` are no patterns, and a longer name is another's.
    let other = NewEntry { outcome: Some(outcome("403", "refused")), ..an_entry(3_000, "/y/filteredX") };
    for new in [&secret, &below, &other] {
        let id = store.audit_begin(new).await.unwrap();
        assert_eq!(store.audit(&AuditFilter::default(), None, 1).await.unwrap()[0].new, *new);
        if new.target == "/y/filteredX" {
            store.audit_again(&id, 40, 9_000).await.unwrap();
            let told = &store.audit(&AuditFilter::default(), None, 1).await.unwrap()[0];
            assert_eq!((told.times, told.last), (40, Some(9_000)));
        } else {
            store.audit_end(&id, &outcome("200", "done"), Some("web added")).await.unwrap();
            assert_eq!(
                store.audit(&AuditFilter::default(), None, 1).await.unwrap()[0].new.detail.as_deref(),
                Some("web added")
            );
        }
    }
    let some = |text: &str| Some(text.to_owned());
    let target = some("/y/filtered");
    let all = AuditFilter::default;
    assert_eq!(targets(store, AuditFilter { target, ..all() }).await, ["/y/filtered/s", "/y/filtered"]);
    assert_eq!(targets(store, AuditFilter { target: some("/y/f_ltered"), ..all() }).await, Vec::<String>::new());
    assert_eq!(targets(store, AuditFilter { actor: some("ann"), ..all() }).await, ["/y/filtered/s"]);
    assert_eq!(targets(store, AuditFilter { kind: some("secret"), ..all() }).await, ["/y/filtered"]);
    assert_eq!(targets(store, AuditFilter { result: some("refused"), ..all() }).await, ["/y/filteredX"]);
    assert_eq!(targets(store, AuditFilter { address: some("192.0.2.7"), ..all() }).await, ["/y/filtered"]);
    let (since, until) = (Some(1_500), Some(2_500));
    assert_eq!(targets(store, AuditFilter { since, until, ..all() }).await, ["/y/filtered/s"]);
    // The last of many times is what counts.
    assert_eq!(targets(store, AuditFilter { since: Some(8_000), ..all() }).await, ["/y/filteredX"]);
}

async fn the_audit_log_is_pruned_from_its_old_end(store: &Store) {
    while store.prune_audit(i64::MAX, 100).await.unwrap() {}
    for n in 0..30 {
        store.audit_begin(&an_entry(n, &n.to_string())).await.unwrap();
    }
    // A batch at a time, and nothing that is young enough.
    assert!(store.prune_audit(8, 5).await.unwrap());
    assert_eq!(targets(store, AuditFilter::default()).await.len(), 25);
    assert!(store.prune_audit(8, 5).await.unwrap());
    assert!(!store.prune_audit(8, 5).await.unwrap());
    assert_eq!(targets(store, AuditFilter::default()).await.last().unwrap(), "8");
    assert_eq!(store.audit_beyond(22).await.unwrap(), None);
    let beyond = store.audit_beyond(10).await.unwrap().unwrap();
    assert!(store.prune_audit_to(&beyond, 7).await.unwrap());
    assert!(store.prune_audit_to(&beyond, 7).await.unwrap());
    assert!(!store.prune_audit_to(&beyond, 7).await.unwrap());
    assert_eq!(targets(store, AuditFilter::default()).await.len(), 10);
    assert_eq!(targets(store, AuditFilter::default()).await.first().unwrap(), "29");
}

async fn settings_are_kept(store: &Store) {
    assert_eq!(store.setting("colour").await.unwrap(), None);
    store.set_setting("colour", "red").await.unwrap();
    store.set_setting("colour", "blue").await.unwrap();
    assert_eq!(store.setting("colour").await.unwrap().as_deref(), Some("blue"));
}
