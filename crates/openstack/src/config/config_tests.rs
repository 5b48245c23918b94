use super::*;
use std::fs;

const CLOUDS: &str = r#"
clouds:
  lab:
    auth:
      auth_url: https://lab.example:5000/v3
      username: ann
      password: 0123
      project_name: shop
      user_domain_name: Users
      project_domain_id: default
    region_name: two
    endpoint_type: internalURL
    verify: False
    load_balancer_endpoint_override: https://lb.example/v2.0
    api_timeout: 7.5
  app:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://app.example/identity
      application_credential_id: 5e12345678901234
    regions: [{name: first}, second]
  old:
    username: bob
    auth: {auth_url: "http://old/v3", tenant_id: 7f00, password: pw}
    insecure: true
  vendor: {profile: someone, auth: {username: x}}
  dom: {auth: {auth_url: "http://d", username: a, password: b, domain_name: Acme}}
  sys: {auth: {auth_url: "http://d", user_id: u1, password: b, system_scope: all}}
  tok: {auth: {auth_url: "http://d", token: gAAA, project_id: p}}
  saml: {auth_type: v3oidcpassword, auth: {auth_url: "http://d"}}
  bad: {auth: {auth_url: "http://d", username: a, password: b}, interface: shiny}
  nouser: {auth: {auth_url: "http://d", password: b}}
"#;
const SECURE: &str = "clouds:\n  app:\n    auth:\n      application_credential_secret: s3cret\n";

fn sources(vars: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().expect("dir");
    fs::write(dir.path().join("clouds.yaml"), CLOUDS).expect("write");
    fs::write(dir.path().join("secure.yml"), SECURE).expect("write");
    let variables = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let folders = vec![dir.path().join("none"), dir.path().to_owned()];
    (dir, Sources { folders, variables })
}

fn load(name: &str) -> Result<CloudConfig> {
    let (_dir, sources) = sources(&[]);
    CloudConfig::load_from(Some(name), &sources)
}

#[test]
fn an_entry_in_full() {
    let c = load("lab").expect("lab");
    assert_eq!(
        (c.auth_url.as_str(), c.region.as_deref(), c.interface, c.verify),
        ("https://lab.example:5000/v3", Some("two"), Interface::Internal, false)
    );
    let Auth::Password { user, password } = &c.auth else { panic!("{c:?}") };
    assert_eq!(*user, Ref::Name { name: "ann".into(), domain: Domain::Name("Users".into()) });
    assert_eq!(password.reveal(), "0123");
    assert_eq!(c.scope, Scope::Project(Ref::Name { name: "shop".into(), domain: Domain::Id("default".into()) }));
    assert_eq!(c.endpoint_overrides["load_balancer"], "https://lb.example/v2.0");
    assert_eq!(c.timeout, Some(Duration::from_millis(7500)));
    assert!(!format!("{c:?}").contains("0123"));
}

#[test]
fn every_way_to_authenticate() {
    let c = load("app").expect("app");
    let Auth::ApplicationCredential { id, secret } = &c.auth else { panic!("{c:?}") };
    assert_eq!((id, secret.reveal()), (&CredentialRef::Id("5e12345678901234".into()), "s3cret"));
    assert_eq!((c.region.as_deref(), c.scope), (Some("first"), Scope::Default));
    let c = load("old").expect("old");
    assert_eq!((c.scope, c.verify), (Scope::Project(Ref::Id("7f00".into())), false));
    assert_eq!(load("dom").expect("dom").scope, Scope::Domain(Domain::Name("Acme".into())));
    assert_eq!(load("sys").expect("sys").scope, Scope::System);
    assert!(matches!(load("tok").expect("tok").auth, Auth::Token(t) if t.reveal() == "gAAA"));
}

#[test]
fn errors_name_the_place() {
    for (name, words) in [
        ("vendor", "vendor profile \"someone\""),
        ("saml", "auth_type \"v3oidcpassword\""),
        ("bad", "interface \"shiny\""),
        ("nouser", "the user is missing"),
        ("nope", "there is no cloud \"nope\""),
    ] {
        let text = load(name).expect_err(name).to_string();
        assert!(text.contains(words) && text.contains("clouds.yaml"), "{text}");
    }
    assert!(load("nope").expect_err("nope").hint().expect("hint").contains("lab"));
    let none = CloudConfig::load_from(None, &Sources::default()).expect_err("nothing");
    assert!(none.hint().expect("hint").contains("cloud up"));
}

#[test]
fn which_cloud() {
    let (_dir, s) = sources(&[]);
    assert!(CloudConfig::load_from(None, &s).expect_err("several").to_string().contains("several clouds"));
    let (_dir, s) = sources(&[("OS_CLOUD", "lab")]);
    assert_eq!(CloudConfig::load_from(None, &s).expect("lab").name, "lab");
    assert_eq!(CloudConfig::load_from(Some("tok"), &s).expect("tok").name, "tok");
    let vars = [
        ("OS_AUTH_URL", "http://e"),
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "p"),
        ("OS_TENANT_NAME", "t"),
        ("OS_REGION_NAME", "r"),
        ("OS_CACERT", "/ca"),
        ("OS_INTERFACE", ""),
        ("OS_INSECURE", "False"),
    ];
    let (_dir, s) = sources(&vars);
    let c = CloudConfig::load_from(None, &s).expect("variables");
    assert_eq!((c.name.as_str(), c.region.as_deref(), c.verify), ("envvars", Some("r"), true));
    assert_eq!(c.cacert, Some(PathBuf::from("/ca")));
    assert_eq!(c.scope, Scope::Project(Ref::Name { name: "t".into(), domain: Domain::Id("default".into()) }));
    let (_dir, s) = sources(&[("OS_CLIENT_CONFIG_FILE", "/nowhere/clouds.yaml")]);
    assert!(CloudConfig::load_from(None, &s).expect_err("no file").to_string().contains("/nowhere"));
}

#[test]
fn clouds_have_names() {
    let (dir, sources) = self::sources(&[("OS_AUTH_URL", "http://x/v3")]);
    let (names, file) = CloudConfig::names(&sources).expect("names");
    assert_eq!(file.as_deref(), Some(dir.path().join("clouds.yaml").as_path()));
    assert_eq!(names.first().map(String::as_str), Some("app"));
    assert!(names.contains(&"envvars".to_owned()) && names.contains(&"lab".to_owned()), "{names:?}");
    let other = dir.path().join("other.yaml");
    fs::write(&other, "clouds: {mine: {auth: {auth_url: 'http://m', token: t}}}").expect("written");
    let named = Sources { variables: BTreeMap::new(), ..sources }.with_file(Some(&other));
    assert_eq!(CloudConfig::names(&named).expect("names").0, ["mine"]);
}

const REGIONS: &str = r#"
clouds:
  one: {auth: {auth_url: "http://a", token: t}, region_name: A}
  listed: {auth: {auth_url: "http://a", token: t}, region_name: "A,B"}
  several:
    auth: {auth_url: "http://a", token: t}
    interface: internal
    region_name: Z
    regions:
      - A
      - name: B
        values: {auth: {auth_url: "http://b"}, interface: admin, network_endpoint_override: "http://n"}
  unsaid: {auth: {auth_url: "http://a", token: t}}
"#;

#[test]
fn the_variable_chooses_among_an_entrys_regions() {
    let dir = tempfile::tempdir().expect("dir");
    fs::write(dir.path().join("clouds.yaml"), REGIONS).expect("write");
    let load = |name: &str, wanted: &str| {
        let variables = [("OS_CLOUD", name), ("OS_REGION_NAME", wanted)];
        let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
        CloudConfig::load_from(None, &Sources { folders: vec![dir.path().to_owned()], variables })
    };
    for (name, wanted, region) in [
        ("one", "", Some("A")),
        ("one", "A", Some("A")),
        ("listed", "", Some("A")),
        ("listed", "B", Some("B")),
        ("several", "", Some("A")),
        ("several", "A", Some("A")),
        ("several", "B", Some("B")),
        ("unsaid", "", None),
        ("unsaid", "anywhere", Some("anywhere")),
    ] {
        assert_eq!(load(name, wanted).expect(name).region.as_deref(), region, "{name} {wanted}");
    }
    for (name, known) in [("one", "A"), ("listed", "A, B"), ("several", "A, B")] {
        let error = load(name, "Nowhere").expect_err(name);
        let (text, hint) = (error.to_string(), error.hint().expect("a hint"));
        assert!(text.contains("\"Nowhere\"") && text.contains("OS_REGION_NAME") && text.contains(name), "{text}");
        assert!(hint.contains(&format!("one of {known},")), "{hint}");
    }
    // A region may have values of its own.
    let (a, b) = (load("several", "A").expect("A"), load("several", "B").expect("B"));
    assert_eq!((a.auth_url.as_str(), a.interface), ("http://a", Interface::Internal));
    assert_eq!((b.auth_url.as_str(), b.interface), ("http://b", Interface::Admin));
    assert_eq!((a.endpoint_overrides.len(), b.endpoint_overrides["network"].as_str()), (0, "http://n"));
    assert!(matches!(b.auth, Auth::Token(t) if t.reveal() == "t"));
}

#[test]
fn entries_are_read_as_openstacksdk_reads_them() {
    let dir = tempfile::tempdir().expect("dir");
    let clouds = r#"
clouds:
  dashed: {auth-type: v3token, auth: {auth-url: "http://a", token: t, project-id: p}, region-name: A}
  plugin: {auth_plugin: v3oidcpassword, auth: {auth_url: "http://a", token: t}}
  outer: {project_name: outer, username: outer, auth: {auth_url: "http://a", username: inner, password: p, project_name: inner}}
  address: {auth: {auth_url: "https://{region_name}.a", token: t}, region_name: A, image_endpoint_override: "http://{region_name}.i"}
  house: {profile: house, auth: {token: t}}
  moved: {profile: house, auth: {token: t}, region_name: Mine}
  scopes: {auth: {auth_url: "http://a", token: t, project_id: p, trust_id: x}}
  own: {auth: {auth_url: "http://a", token: t, project_name: p, domain_id: d}}
"#;
    let public =
        "public-clouds: {house: {auth: {auth_url: 'http://h'}, interface: internal, regions: [First, Second]}}";
    fs::write(dir.path().join("clouds.yaml"), clouds).expect("write");
    fs::write(dir.path().join("clouds-public.yaml"), public).expect("write");
    let sources = Sources { folders: vec![dir.path().to_owned()], variables: BTreeMap::new() };
    let load = |name: &str| CloudConfig::load_from(Some(name), &sources);
    let dashed = load("dashed").expect("dashed");
    assert_eq!((dashed.region.as_deref(), dashed.scope), (Some("A"), Scope::Project(Ref::Id("p".into()))));
    // Nothing reads `auth_plugin`, the word of os-client-config.
    assert!(matches!(load("plugin").expect("plugin").auth, Auth::Token(_)));
    // A project counts outside of `auth` first, a user in it, by whatever name.
    let outer = load("outer").expect("outer");
    let named = |name: &str| Ref::Name { name: name.into(), domain: Domain::Id("default".into()) };
    assert_eq!(outer.scope, Scope::Project(named("outer")));
    assert!(matches!(outer.auth, Auth::Password { user, .. } if user == named("inner")));
    let older =
        entry("    username: outer|auth: {auth_url: 'http://a', user_name: inner, password: p}").expect("older");
    assert!(matches!(older.auth, Auth::Password { user, .. } if user == named("inner")));
    let address = load("address").expect("address");
    assert_eq!(
        (address.auth_url.as_str(), address.endpoint_overrides["image"].as_str()),
        ("https://A.a", "http://A.i")
    );
    let house = load("house").expect("house");
    assert_eq!(
        (house.auth_url.as_str(), house.interface, house.region.as_deref()),
        ("http://h", Interface::Internal, Some("First"))
    );
    assert_eq!(load("moved").expect("moved").region.as_deref(), Some("Mine"));
    let error = load("scopes").expect_err("two scopes").to_string();
    assert!(error.contains("one of project, domain, system and trust"), "{error}");
    let domain = Domain::Id("d".into());
    assert_eq!(load("own").expect("own").scope, Scope::Project(Ref::Name { name: "p".into(), domain }));
}

/// Reads the entry `one` that has these lines.
fn entry(lines: &str) -> Result<CloudConfig> {
    let dir = tempfile::tempdir().expect("dir");
    fs::write(dir.path().join("clouds.yaml"), format!("clouds:\n  one:\n{}", lines.replace('|', "\n    ")))
        .expect("write");
    let sources = Sources { folders: vec![dir.path().to_owned()], variables: BTreeMap::new() };
    CloudConfig::load_from(Some("one"), &sources)
}

const TOKEN: &str = "    auth: {auth_url: 'http://a', token: t}";

#[test]
fn values_of_another_kind_are_refused() {
    for (lines, words) in [
        ("|auth: text", "auth is a text, not a mapping"),
        ("|auth: {auth_url: 'http://a', username: [a], password: p}", "username is a list, not a text"),
        ("|auth: {auth_url: 'http://a', username: {a: b}, password: p}", "username is a mapping, not a text"),
        ("|auth: {auth_url: 'http://a', token: t}|interface: [internal, public]", "interface is a list, not a text"),
        ("|auth: {auth_url: 'http://a', token: t}|verify: /ca.pem", "verify is \"/ca.pem\", neither true nor false"),
        ("|auth: {auth_url: 'http://a', token: t}|image_endpoint_override: []", "image_endpoint_override is a list"),
        ("|auth: {auth_url: 'http://a', token: t}|network_interface: shiny", "interface \"shiny\" is none of"),
        ("|auth: {auth_url: 'http://a', token: t}|compute_timeout: soon", "compute_timeout \"soon\" is no number"),
    ] {
        let error = entry(lines).expect_err(lines).to_string();
        assert!(error.contains(words), "{lines}: {error}");
    }
    let dir = tempfile::tempdir().expect("dir");
    fs::write(dir.path().join("clouds.yaml"), "- clouds\n").expect("write");
    let error =
        CloudConfig::load_from(None, &Sources { folders: vec![dir.path().to_owned()], variables: BTreeMap::new() });
    assert!(error.expect_err("a list").to_string().contains("the file is a list, not a mapping"));
}

#[test]
fn regions_that_are_none_are_refused() {
    for (regions, words) in [
        ("GRA", "regions is a text"),
        ("{GRA: {}}", "regions is a mapping"),
        ("[{values: {}}]", "an entry of regions has no name"),
        ("[{name: ~}]", "an entry of regions has no name"),
        ("[{name: GRA, interface: admin}]", "an entry of regions has the key \"interface\""),
        ("[{name: GRA, values: [a]}]", "an entry of regions has values that are a list"),
        ("[[GRA]]", "an entry of regions is a list"),
        ("[~]", "an entry of regions is null"),
    ] {
        let error = entry(&format!("{TOKEN}|regions: {regions}")).expect_err(regions);
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{regions}: {error}");
    }
    let error = entry(&format!("{TOKEN}|region_name: A|compute_region_name: B")).expect_err("two regions").to_string();
    assert!(error.contains("compute_region_name is \"B\""), "{error}");
}

#[test]
fn keys_of_auth_that_no_login_uses_are_refused() {
    for key in ["projectname", "colour", "user_region", "default_id"] {
        let error =
            entry(&format!("    auth: {{auth_url: 'http://a', token: t, {key}: x}}")).expect_err(key).to_string();
        assert!(error.contains(&format!("auth has the key {key:?}")), "{error}");
    }
    // Several entries may share `auth`; one of an application credential leaves the user alone.
    let shared = "    auth: {auth_url: 'http://a', token: t, user_domain_name: d, default_domain: d, username: a}";
    assert!(matches!(entry(shared).expect("shared").auth, Auth::Token(_)));
}

#[test]
fn domains_by_id_count_first_and_the_scopes_is_not_the_users() {
    let user =
        |lines: &str| match entry(&format!("    auth: {{auth_url: 'http://a', username: a, password: p, {lines}}}")) {
            Ok(CloudConfig { auth: Auth::Password { user: Ref::Name { domain, .. }, .. }, .. }) => domain,
            other => panic!("{lines}: {other:?}"),
        };
    assert_eq!(user("user_domain_name: n, default_domain_id: d"), Domain::Id("d".into()));
    assert_eq!(user("user_domain_name: n, default_domain_name: d"), Domain::Name("n".into()));
    assert_eq!(user("domain_name: scope"), Domain::Id("default".into()));
    assert_eq!(user("domain_name: both, project_id: p"), Domain::Name("both".into()));
}

#[test]
fn services_may_have_interfaces_and_times_of_their_own() {
    let c = entry(&format!(
        "{TOKEN}|interface: admin|endpoint_type: internalURL|network_interface: public|volumev3_endpoint_type: admin|\
         api_timeout: 5|compute_timeout: 9|image_endpoint: http://i|image_endpoint_override: http://o"
    ))
    .expect("own");
    // `endpoint_type` counts before `interface`, as in openstacksdk.
    assert_eq!(c.interface, Interface::Internal);
    let interfaces = [("network", Interface::Public), ("volumev3", Interface::Admin)];
    assert_eq!(c.interfaces, interfaces.map(|(service, interface)| (service.to_owned(), interface)).into());
    assert_eq!((c.timeout, c.endpoint_overrides["image"].as_str()), (Some(Duration::from_secs(9)), "http://o"));
}

#[test]
fn a_profile_that_is_not_known_needs_an_address_and_a_region() {
    let with = |rest: &str| entry(&format!("    profile: elsewhere|auth: {{token: t{rest}"));
    for rest in ["}", "}|region_name: A", ", auth_url: 'http://a'}"] {
        let error = with(rest).expect_err(rest).to_string();
        assert!(error.contains("vendor profile \"elsewhere\""), "{error}");
    }
    assert_eq!(with(", auth_url: 'http://a'}|region_name: A").expect("both").region.as_deref(), Some("A"));
}

#[test]
fn empty_texts_and_unchecked_cas_count_for_nothing() {
    let c =
        entry("    auth: {auth_url: 'http://a', username: '', password: p}|username: outer|verify: false|cacert: /ca");
    let c = c.expect("empty");
    assert!(matches!(c.auth, Auth::Password { user: Ref::Name { name, .. }, .. } if name == "outer"));
    assert_eq!((c.verify, c.cacert), (false, None));
}
