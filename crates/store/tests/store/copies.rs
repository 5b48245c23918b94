//! Copies of all tables: from one database to the other, of an older version, while others write.

use crate::place::Place;
use stackyard_core::agent::Facts;
use stackyard_store::{
    AuditFilter, CellValue, Database, Error, Join, NewEntry, NewHost, NewRun, Person, Replace, SCHEMA, Store,
    StoreLoader, StoreSnapshot, TableRows, Token, note_backup,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows in every table, with nulls, and with texts that a careless copy would change.
async fn fill(store: &Store) {
    let odd = "'; DROP TABLE hosts; -- \" \\ \n\t$1 ü \u{1F980}";
    let files = BTreeMap::from([("compose.yaml".to_owned(), odd.to_owned())]);
    store.keep_yard("shop", odd, &files, "ann", None, 1_000).await.unwrap();
    store.set_secret("shop", "key", odd, 1).await.unwrap();
    store.set_setting("colour", odd).await.unwrap();
    let join = Join {
        id: "join-1".to_owned(),
        hash: "hash-1".to_owned(),
        yard: "shop".to_owned(),
        pool: "web".to_owned(),
        name: None,
        labels: BTreeMap::new(),
        machine_labels: true,
        replaces: None,
        created: 1_000,
        expires: 2_000,
        used: None,
        host: None,
        nonce: None,
    };
    store.add_join(&join, 0).await.unwrap();
    let host = NewHost {
        id: "host-1".to_owned(),
        name: "web-1".to_owned(),
        token_hash: "host-token".to_owned(),
        labels: BTreeMap::new(),
        facts: Facts { memory: 8 << 30, ..Facts::default() },
        nonce: "nonce".to_owned(),
    };
    store.redeem("hash-1", &host, 1_500).await.unwrap();
    store.keep_revision("host-1", u64::try_from(i64::MAX).unwrap(), "digest").await.unwrap();
    store.mark_to_replace("host-1", &Replace { actor: "bob".to_owned(), at: i64::MAX }).await.unwrap();
    let (id, name, role) = ("id-1".to_owned(), "ci".to_owned(), "admin".to_owned());
    store.add_token(&Token { id, name, role, created: 1_000, expires: None, last_used: None }, "h1").await.unwrap();
    store.add_session("session", "id-1", 9_000, 1_000).await.unwrap();
    let person = Person {
        cloud: "local".to_owned(),
        keystone: "https://k.example".to_owned(),
        name: "ann".to_owned(),
        project: "1234".to_owned(),
        project_name: "shop".to_owned(),
        role: "operator".to_owned(),
        expires: 9_000,
    };
    store.add_person("person", &person, 1_000).await.unwrap();
    let run = NewRun {
        id: "run-1".to_owned(),
        yard: "shop".to_owned(),
        kind: "remove".to_owned(),
        revision: None,
        actor: "ann".to_owned(),
        began: 1_000,
        state: "going".to_owned(),
    };
    store.begin_run(&run, &serde_json::json!({"steps": []})).await.unwrap();
    store.take_scope("shop", "1f0c8ab2d91e").await.unwrap();
    // More than one piece.
    for n in 0..40 {
        let (actor, target) = ("ann".to_owned(), odd.repeat(1_000));
        store.audit_begin(&NewEntry { at: n, actor, target, ..NewEntry::default() }).await.unwrap();
    }
}

/// All rows, in order.
async fn copy(database: &Database) -> (i64, Vec<TableRows>) {
    let snapshot = StoreSnapshot::begin(database).await.unwrap();
    let schema = snapshot.schema();
    let mut pieces = Vec::new();
    let taken: Result<(), Error> = snapshot
        .read(|rows| {
            pieces.push(rows);
            Ok(())
        })
        .await;
    taken.unwrap();
    (schema, pieces)
}

fn sorted(pieces: &[TableRows]) -> BTreeMap<(String, Vec<String>), Vec<Vec<CellValue>>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for piece in pieces {
        all.entry((piece.table.clone(), piece.columns.clone())).or_default().extend(piece.rows.clone());
    }
    all.values_mut().for_each(|rows| rows.sort());
    all
}

async fn load(database: &Database, schema: i64, pieces: &[TableRows], replace: bool) -> Result<(), Error> {
    let mut loader = StoreLoader::begin(database, schema, replace).await?;
    for rows in pieces {
        // As a backup keeps them.
        let text = serde_json::to_string(rows).unwrap();
        loader.insert(&serde_json::from_str(&text).unwrap()).await?;
    }
    loader.commit().await
}

#[tokio::test]
async fn a_copy_goes_to_the_other_database_and_back_without_a_difference() {
    let (from, between, back) = (Place::sqlite(), Place::postgres(), Place::sqlite());
    let store = from.open().await;
    fill(&store).await;
    let (schema, first) = copy(&from.database).await;
    assert_eq!(schema, SCHEMA);
    let filled: Vec<_> = sorted(&first).into_keys().map(|(table, _)| table).collect();
    assert_eq!(filled.len(), 12, "all tables but `stacks` have rows: {filled:?}");
    assert!(first.iter().filter(|piece| piece.table == "audit").count() > 1);
    load(&between.database, schema, &first, false).await.unwrap();
    let (_, second) = copy(&between.database).await;
    load(&back.database, schema, &second, false).await.unwrap();
    let (_, third) = copy(&back.database).await;
    assert_eq!(sorted(&first), sorted(&second));
    assert_eq!(sorted(&first), sorted(&third));
    // The copies are stores.
    for place in [&between, &back] {
        let store = place.open().await;
        assert_eq!(store.host_of_token("host-token").await.unwrap().unwrap().revision, i64::MAX as u64);
        assert_eq!(store.audit(&AuditFilter::default(), None, 1_000).await.unwrap().len(), 40);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_of_one_moment_and_keeps_nobody_from_writing() {
    for place in [Place::sqlite(), Place::postgres()] {
        let store = place.open().await;
        fill(&store).await;
        let snapshot = StoreSnapshot::begin(&place.database).await.unwrap();
        let writing = tokio::time::timeout(Duration::from_secs(5), async {
            store.set_secret("shop", "later", "value", 2).await.unwrap();
            store.remove_token("ci").await.unwrap();
        });
        writing.await.expect("the copy stops the writer");
        let mut names = Vec::new();
        let taken: Result<(), Error> = snapshot
            .read(|rows| {
                names.extend(rows.rows.iter().map(|row| format!("{} {:?}", rows.table, row)));
                Ok(())
            })
            .await;
        taken.unwrap();
        assert!(names.iter().any(|row| row.starts_with("tokens")), "{:?}", place.database);
        assert!(!names.iter().any(|row| row.contains("later")), "{:?}", place.database);
    }
}

#[tokio::test]
async fn a_database_with_rows_is_replaced_only_if_told_and_only_as_a_whole() {
    let from = Place::sqlite();
    fill(&from.open().await).await;
    let (schema, pieces) = copy(&from.database).await;
    for place in [Place::sqlite(), Place::postgres()] {
        let store = place.open().await;
        store.set_setting("colour", "red").await.unwrap();
        store.close().await;
        drop(store);
        let before = copy(&place.database).await;
        // The lock of a PostgreSQL database is gone a moment after its connection.
        let refused = loop {
            match load(&place.database, schema, &pieces, false).await {
                Err(Error::Locked { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                other => break other,
            }
        };
        assert!(matches!(refused, Err(Error::NotEmpty { .. })), "{refused:?}");
        // A process that ends before the commit.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut loader = StoreLoader::begin(&place.database, schema, true).await.unwrap();
        loader.insert(&pieces[0]).await.unwrap();
        drop(loader);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(sorted(&copy(&place.database).await.1), sorted(&before.1));
        load(&place.database, schema, &pieces, true).await.unwrap();
        assert_eq!(sorted(&copy(&place.database).await.1), sorted(&pieces));
    }
}

#[tokio::test]
async fn a_copy_of_older_tables_is_migrated() {
    let yard = |table: &str| TableRows {
        table: table.to_owned(),
        columns: ["name", "manifest", "revision", "updated"].map(str::to_owned).to_vec(),
        rows: vec![vec![
            CellValue::Text("shop".to_owned()),
            CellValue::Text("kind: Yard".to_owned()),
            CellValue::Integer(7),
            CellValue::Integer(1_000),
        ]],
    };
    let place = Place::sqlite();
    load(&place.database, 2, &[yard("yards")], false).await.unwrap();
    let store = place.open().await;
    // The third migration made a history of what was there.
    assert_eq!(store.manifest("shop", 7).await.unwrap().unwrap().text, "kind: Yard");
    for table in ["scopes", "_sqlx_migrations", "yards; DROP TABLE hosts"] {
        let place = Place::sqlite();
        let error = load(&place.database, 2, &[yard(table)], false).await.unwrap_err();
        assert!(matches!(&error, Error::Foreign { table: named, .. } if named == table), "{error:?}");
    }
}

#[tokio::test]
async fn an_audit_log_of_version_7_is_told_as_before() {
    let text = |text: &str| CellValue::Text(text.to_owned());
    let row = |id: &str, at: i64, verb: &str, result: CellValue| {
        vec![text(id), CellValue::Integer(at), text("token ci"), text(verb), text("/api/v1/x"), result]
    };
    let rows = TableRows {
        table: "audit".to_owned(),
        columns: ["id", "at", "who", "verb", "target", "result"].map(str::to_owned).to_vec(),
        rows: vec![
            row("01", 1, "POST /api/v1/session", text("200")),
            row("02", 2, "PUT /api/v1/yards/{yard}/secrets/{name}", text("403")),
            row("03", 3, "PUT /api/v1/yards/{yard}/stacks/{stack}", text("500")),
            row("04", 4, "POST /api/v1/hosts/{id}/drain", CellValue::Null),
        ],
    };
    for place in [Place::sqlite(), Place::postgres()] {
        load(&place.database, 7, std::slice::from_ref(&rows), false).await.unwrap();
        let store = place.reopen().await;
        let entries = store.audit(&AuditFilter::default(), None, 10).await.unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|e| {
                let outcome = e.new.outcome.as_ref().map(|o| (o.status.as_str(), o.result.as_str()));
                (e.id.as_str(), e.new.at, e.new.kind.as_str(), outcome, e.times, e.last)
            })
            .collect();
        let expected = [
            ("04", 4, "change", None, 1, None),
            ("03", 3, "definition", Some(("500", "failed")), 1, None),
            ("02", 2, "secret", Some(("403", "refused")), 1, None),
            ("01", 1, "sign-in", Some(("200", "done")), 1, None),
        ];
        assert_eq!(told, expected);
        assert!(entries.iter().all(|e| e.new.actor == "token ci" && e.new.address.is_none()));
    }
}

#[tokio::test]
async fn a_host_of_version_8_keeps_the_address_that_it_had() {
    let text = |text: &str| CellValue::Text(text.to_owned());
    let at = |address: &str| Facts { addresses: vec![address.parse().unwrap()], ..Facts::default() };
    let facts = serde_json::to_string(&at("10.0.0.5")).unwrap();
    let names =
        ["id", "yard", "pool", "name", "labels", "facts", "token_hash", "joined", "drain", "revision", "digest"];
    let row = ["01", "shop", "", "web-1", "{}", &facts, "token"].map(text).into_iter();
    let row = row.chain([CellValue::Integer(1), CellValue::Integer(0), CellValue::Integer(0), text("")]);
    let rows =
        TableRows { table: "hosts".to_owned(), columns: names.map(str::to_owned).to_vec(), rows: vec![row.collect()] };
    for place in [Place::sqlite(), Place::postgres()] {
        load(&place.database, 8, std::slice::from_ref(&rows), false).await.unwrap();
        let store = place.reopen().await;
        let host = store.host("01").await.unwrap().unwrap();
        store.keep_facts(&host.id, host.address, &at("172.17.0.1")).await.unwrap();
        let host = store.host("01").await.unwrap().unwrap();
        assert_eq!((host.address, host.facts), (Some("10.0.0.5".parse().unwrap()), at("172.17.0.1")));
    }
}

#[tokio::test]
async fn a_backup_is_noted_while_a_server_writes() {
    for place in [Place::sqlite(), Place::postgres()] {
        let store = place.open().await;
        let new = NewEntry { at: 7, actor: "root".to_owned(), kind: "backup".to_owned(), ..NewEntry::default() };
        store.set_setting("colour", "red").await.unwrap();
        assert!(note_backup(&place.database, &new).await.unwrap());
        store.set_setting("colour", "blue").await.unwrap();
        let entries = store.audit(&AuditFilter::default(), None, 10).await.unwrap();
        assert_eq!(entries.into_iter().map(|e| e.new).collect::<Vec<_>>(), std::slice::from_ref(&new));
    }
}
