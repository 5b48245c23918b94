//! Packages of manifests: what they bring, and bad ones, which change nothing and are told with their places.

use super::super::{companions, gist, load, load_with, outline, outline_with, read_beside, read_with, removed_kinds};
use super::*;
use crate::finder::FindError;
use crate::manifest::Yard;
use crate::{Memory, Problems};
use std::path::Path;

const HEAD: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n";

/// The catalog `main`.
#[derive(Default)]
struct TestCatalog(Vec<(CatalogPackage, Memory)>);

impl TestCatalog {
    /// With one package, of these files and this body of `package.yaml`.
    fn new(name: &str, body: &str, files: &[(&str, &str)]) -> Self {
        Self::default().with(name, "1.0.0", body, files)
    }

    fn with(mut self, name: &str, version: &str, body: &str, files: &[(&str, &str)]) -> Self {
        let head = "apiVersion: stackyard.dev/v1\nkind: Package\n";
        let meta = format!("{head}metadata: {{name: {name}, version: {version}}}\n{body}");
        let package = CatalogPackage { catalog: "main".into(), name: name.into(), version: version.into() };
        let tree = Memory::new(package.to_string()).with("package.yaml", meta);
        let tree = files.iter().fold(tree, |tree, (path, text)| tree.with(*path, *text));
        self.0.push((package, tree));
        self
    }

    fn digest(&self, version: &str) -> String {
        content_digest(&self.0.iter().find(|(p, _)| p.version == version).unwrap().1)
    }

    /// An entry for the package, with more keys.
    fn entry(&self, name: &str, more: &str) -> String {
        let (package, tree) = &self.0[0];
        format!("    - {{name: {name}, package: {package}, digest: {}{more}}}\n", content_digest(tree))
    }

    fn read(&self, spec: &str) -> Result<Yard, Problems> {
        read_beside("yard.yaml", format!("{HEAD}{spec}"), &FileBase::Dir(Path::new("/nowhere")), self)
    }

    fn mistakes(&self, spec: &str) -> String {
        self.read(spec)
            .map(|yard| yard.intended)
            .unwrap_err()
            .to_string()
            .replace(&self.0[0].1.files_digest(), "DIGEST")
    }
}

impl Memory {
    fn files_digest(&self) -> String {
        content_digest(self)
    }
}

impl PackageFinder for TestCatalog {
    fn find(&self, wanted: &CatalogPackage) -> Result<Memory, FindError> {
        let found = self.0.iter().find(|(package, _)| package == wanted).map(|(_, tree)| tree.clone());
        found.ok_or_else(|| FindError { message: format!("there is no {wanted}"), hint: None })
    }
}

const QUESTIONS: &str = "questions:\n  - {name: network, type: string, required: true}\n  - {name: nodes, type: int, default: 2}\n  \
    - {name: public, type: bool, default: false}\n  - {name: zone, type: string}\nsecrets: [{name: root, type: password}]\n";

const CLUSTER: &str = "networks:\n  - {name: main, cidr: 10.9.0.0/24}\nsecurityGroups:\n  - {name: node, rules: [{proto: tcp, port: 5432, from: node}]}\n\
serverGroups:\n  - {name: apart}\nkeypairs:\n  - {name: admin, publicKeyFile: keys/admin.pub}\nvolumes:\n  - {name: data, size: 5Gi, availabilityZone: '${zone}'}\n\
hosts:\n  - pool: main\n    count: ${nodes}\n    flavor: m\n    image: i\n    networks: [main, {network: '${network}', securityGroups: [node]}]\n    group: apart\n    key: admin\n    floatingIP: ${public}\n    availabilityZone: ${zone}\n\
servers:\n  - {name: front, count: 2, flavor: m, image: i, network: '${network}', securityGroups: [node, node-of-others], volumes: []}\n  - {name: one, flavor: m, image: i, network: main, volumes: [data], userDataFile: boot.sh}\n\
loadBalancers:\n  - {name: main, network: '${network}', listeners: [{port: 80, servers: [front, {server: front-1, port: 81}]}]}\n\
floatingIPs:\n  - {loadBalancer: main, external: public, when: '${public}'}\nstacks:\n  - {name: main, pool: main}\n  - {name: jobs, compose: jobs/compose.yaml, pool: main}\n";

fn cluster() -> TestCatalog {
    let compose = "services: {a: {image: '${instance}/a'}}\n";
    TestCatalog::new(
        "cluster",
        QUESTIONS,
        &[
            ("yard.yaml", CLUSTER),
            ("keys/admin.pub", "ssh-ed25519 AAAA admin"),
            ("boot.sh", "#!/bin/sh\necho ${HOME}\n"),
            ("compose.yaml", compose),
            ("jobs/compose.yaml", compose),
        ],
    )
}

fn keys(yard: &Yard) -> Vec<String> {
    let keys = yard.intended.resources.iter().map(|r| r.key.to_string());
    keys.filter(|key| !key.starts_with("rule") && !key.starts_with("subnet")).collect()
}

#[test]
fn a_package_brings_its_parts_under_its_name() {
    let cluster = cluster();
    // A network of the manifest that is called as one of the package's files: answers mean what is outside.
    let spec = "  networks: [{name: main, cidr: 10.1.0.0/24}]\n  packages:\n";
    let yard = cluster.read(&format!("{spec}{}", cluster.entry("db", ", answers: {network: main, nodes: 1}"))).unwrap();
    assert_eq!(
        keys(&yard),
        [
            "network main",
            "network db",
            "security group db-node",
            "keypair db-admin",
            "volume db-data",
            "server group db-apart",
            "port db-front-1/main",
            "port db-front-2/main",
            "port db-one/db",
            "port db-1/db",
            "port db-1/main",
            "server db-front-1",
            "server db-front-2",
            "server db-one",
            "server db-1",
            "attachment db-one:db-data",
            "load balancer db",
        ]
    );
    let spec = &yard.manifest.spec;
    let pool = &spec.hosts[0];
    assert_eq!((pool.count, pool.availability_zone.as_deref(), pool.key.as_deref()), (Some(1), None, Some("db-admin")));
    assert_eq!(spec.servers[0].security_groups, ["db-node", "node-of-others"]);
    assert_eq!(spec.servers[1].user_data.as_deref(), Some("#!/bin/sh\necho ${HOME}\n"));
    assert_eq!(spec.keypairs[0].public_key.as_deref(), Some("ssh-ed25519 AAAA admin"));
    assert_eq!(spec.load_balancers[0].listeners[0].servers[1].server, "db-front-1");
    assert!(spec.floating_ips.is_empty(), "`when` is false");
    let stacks: Vec<_> = yard.stacks.iter().map(|s| (s.name.as_str(), s.pool.as_deref())).collect();
    assert_eq!(stacks, [("db", Some("db")), ("db-jobs", Some("db"))]);
    let StackSource::Installed(jobs) = &yard.stacks[1].source else { panic!("{:?}", yard.stacks[1]) };
    assert_eq!(
        (jobs.package.compose.as_slice(), jobs.instance.as_str()),
        (["jobs/compose.yaml".to_owned()].as_slice(), "db")
    );
    let mut secrets = crate::Secrets::default();
    secrets.generate(&jobs.package.secrets).unwrap();
    let machines = crate::Machines::Example;
    let made =
        crate::render_for_hosts(&jobs.package, "db-jobs", &jobs.answers, &secrets, &machines, &|job| Ok(job.render()));
    assert_eq!(made.unwrap().stack.services["a"].image, "db/a");
    assert_eq!(yard.packages[0].digest.as_deref(), Some(cluster.digest("1.0.0").as_str()));
}

#[test]
fn answers_switch_parts_and_several_instances_live_together() {
    let cluster = cluster();
    let entries = cluster.entry("a", ", answers: {network: front, public: true, zone: z1}")
        + &cluster.entry("b", ", answers: {network: a, nodes: 1}");
    let yard = cluster.read(&format!("  networks: [{{name: front, cidr: 10.1.0.0/24}}]\n  packages:\n{entries}"));
    let yard = yard.unwrap();
    assert_eq!(keys(&yard).iter().filter(|k| k.starts_with("server ")).count(), 3 + 2 + 3 + 1 + 2);
    let spec = &yard.manifest.spec;
    assert_eq!(spec.floating_ips[0].load_balancer.as_deref(), Some("a"));
    assert_eq!(spec.volumes[0].availability_zone.as_deref(), Some("z1"));
    assert_eq!(spec.hosts[0].floating_ip, Some(stackyard_core::yard::manifest::HostAddress::Wanted(true)));
    // The network of one package is the answer of another.
    assert_eq!(spec.hosts[1].networks[1].network, "a");
}

#[test]
fn without_yard_yaml_a_package_is_one_stack() {
    let plain = TestCatalog::new("web", "", &[("compose.yaml", "services: {a: {image: i}}\n")]);
    let yard = plain.read(&format!("  packages:\n{}", plain.entry("site", ""))).unwrap();
    assert_eq!(yard.stacks.len(), 1);
    assert_eq!((yard.stacks[0].name.as_str(), yard.intended.resources.len()), ("site", 0));
    let none = TestCatalog::new("net", "", &[("yard.yaml", "networks: [{name: main, cidr: 10.0.0.0/24}]\n")]);
    assert!(none.read(&format!("  packages:\n{}", none.entry("n", ""))).unwrap().stacks.is_empty());
}

#[test]
fn mistakes_have_places_in_the_package_and_in_the_manifest() {
    let bad = "servers:\n  - {name: a, flavour: m, network: n}\n  - {name: b, flavor: m, image: i, network: main}\nnetwork: []\n\
        networks:\n  - {name: main, cidr: 10.0.0.1/24}\nvolumes:\n  - {name: v, size: '${sise}', when: maybe}\n";
    let bad = TestCatalog::new("bad", "questions: [{name: size, type: string, default: 5Gi}]\n", &[("yard.yaml", bad)]);
    let spec =
        format!("  servers: [{{name: x, flavor: m, image: i, network: n}}]\n  packages:\n{}", bad.entry("p", ""));
    assert_eq!(
        bad.mistakes(&spec),
        "main/bad@1.0.0/yard.yaml:2:15: servers[0]: unknown key `flavour` (package `p` of yard.yaml:7:7); did you mean `flavor`?\n\
         main/bad@1.0.0/yard.yaml:4:1: unknown key `network` (package `p` of yard.yaml:7:7); did you mean `networks`?\n\
         main/bad@1.0.0/yard.yaml:8:22: the variable `sise` is not known (package `p` of yard.yaml:7:7); did you mean `size`?\n\
         main/bad@1.0.0/yard.yaml:8:38: when: `true` or `false` is expected, not `maybe` (package `p` of yard.yaml:7:7)"
    );
    // Of meaning, which come only when the form is right.
    let bad = TestCatalog::new("bad", "", &[("yard.yaml", "networks:\n  - {name: main, cidr: 10.0.0.1/24}\n")]);
    assert_eq!(
        bad.mistakes(&format!("  networks: [{{name: n, cidr: 10.0.0.0/24}}]\n  packages:\n{}", bad.entry("p", ""))),
        "main/bad@1.0.0/yard.yaml:2:24: networks[0].cidr: `10.0.0.1/24` has bits behind its prefix (package `p` of \
         yard.yaml:7:7); write `10.0.0.0/24`"
    );
}

#[test]
fn wrong_answers_have_their_places_in_the_manifest() {
    let cluster = cluster();
    let spec = format!("  packages:\n{}", cluster.entry("db", ",\n       answers: {nodes: many, publik: true}"));
    assert_eq!(
        cluster.mistakes(&spec),
        "yard.yaml:7:17: spec.packages[0].answers: network: an answer is required: a text\n\
         yard.yaml:7:25: spec.packages[0].answers: nodes: `many` is not allowed: it must be a whole number\n\
         yard.yaml:7:39: spec.packages[0].answers: unknown answer `publik`; did you mean `public`?"
    );
}

#[test]
fn names_that_clash_are_told_with_both_places() {
    let cluster = cluster();
    let spec = format!(
        "  networks: [{{name: front, cidr: 10.1.0.0/24}}]\n  volumes:\n    - {{name: db-data, size: 1Gi}}\n  \
         stacks: [{{name: db-jobs, compose: c.yaml}}]\n  packages:\n{}",
        cluster.entry("db", ", answers: {network: front}")
    );
    assert_eq!(
        cluster.mistakes(&spec),
        "main/cluster@1.0.0/yard.yaml:10:12: the volume `db-data` is declared in yard.yaml:7:14, too (package `db` of \
         yard.yaml:10:7); rename that one, or give the package another name than `db`\n\
         main/cluster@1.0.0/yard.yaml:30:12: the stack `db-jobs` is declared in yard.yaml:8:19, too (package `db` of \
         yard.yaml:10:7); rename that one, or give the package another name than `db`"
    );
    let two = format!("  packages:\n{0}{0}", cluster.entry("db", ", answers: {network: n}"));
    assert_eq!(cluster.mistakes(&two).lines().count(), 1);
    let again = "yard.yaml:7:14: spec.packages[1].name: there is another package `db` in yard.yaml:6:14";
    assert_eq!(cluster.mistakes(&two), again);
    let stack = format!("  stacks: [{{name: db, package: ./x}}]\n  packages:\n{}", cluster.entry("db", ""));
    assert!(cluster.mistakes(&stack).contains("there is a stack `db` in yard.yaml:5:19"));
}

#[test]
fn content_that_differs_from_the_pinned_one_is_refused() {
    let one = TestCatalog::new("web", "", &[("compose.yaml", "services: {a: {image: i}}\n")]);
    let entry = one.entry("site", "");
    let other = TestCatalog::new("web", "", &[("compose.yaml", "services: {a: {image: evil}}\n")]);
    let error = other.mistakes(&format!("  packages:\n{entry}")).replace(&one.digest("1.0.0"), "PINNED");
    assert_eq!(
        error,
        "yard.yaml:6:53: spec.packages[0].digest: the files of main/web@1.0.0 have the digest DIGEST, not PINNED; look at \
         the change and take it with `stackyard catalog upgrade site`"
    );
    assert_eq!(
        one.mistakes("  packages: [{name: site, package: main/web@1.0.0}]\n"),
        "yard.yaml:5:36: spec.packages[0].package: main/web@1.0.0 needs `digest`, which pins the content that was looked \
         at; look at the change and take it with `stackyard catalog upgrade site`"
    );
    let gone = one.mistakes("  packages: [{name: site, package: main/web@2.0.0}]\n");
    assert!(gone.contains("there is no main/web@2.0.0; `stackyard catalog upgrade site` writes another"), "{gone}");
    assert!(one.mistakes("  packages: [{name: Site, package: ./x}]\n").contains("`Site` cannot name a package"));
    assert!(one.mistakes("  packages: [{name: site, package: web}]\n").contains("nor a directory such as `./web`"));
    let lies = TestCatalog(vec![(
        CatalogPackage { catalog: "main".into(), name: "other".into(), version: "9".into() },
        one.0[0].1.clone(),
    )]);
    assert!(
        lies.mistakes(&format!("  packages:\n{}", lies.entry("x", ""))).contains("has a package.yaml of web@1.0.0")
    );
}

/// The one mistake of a package with this `yard.yaml`.
fn mistake_of(yard: &str) -> String {
    let catalog = TestCatalog::new("bad", "", &[("yard.yaml", yard), ("f", "x")]);
    catalog.mistakes(&format!("  packages:\n{}", catalog.entry("p", "")))
}

#[test]
fn bad_packages_are_told_with_their_places() {
    let laughs = format!(
        "x0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{}",
        (1..7).map(|i| format!("x{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "))).collect::<String>()
    );
    let at = "main/bad@1.0.0/yard.yaml:";
    let of = " (package `p` of yard.yaml:6:7)";
    let mut wrong = String::new();
    for (yard, wanted) in [
        ("hosts: [", format!("{at}1:8: not valid YAML: unclosed bracket '['{of}")),
        ("- a\n", format!("{at}1:1: yard.yaml: a mapping is expected, not a list{of}")),
        ("servers: {a: b}\n", format!("{at}1:10: servers: a list is expected, not a mapping{of}")),
        ("a: &a [*a]\n", format!("{at}1:8: an alias stands within its own anchor{of}; a value cannot contain itself")),
        (&laughs, "more than 200000 values, aliases resolved".to_owned()),
        (&format!("servers: {}{}", "[".repeat(150), "]".repeat(150)), format!("{at}1:109: nested deeper than 100{of}")),
        (
            "servers: [{name: a, flavor: f, image: i, network: n, userDataFile: ../../../etc/shadow}]\n",
            format!(
                "{at}1:68: userDataFile: cannot read `../../../etc/shadow` of the package: it leads out of the package{of}"
            ),
        ),
        (
            "servers: [{name: a, flavor: f, image: i, network: n, userDataFile: /etc/shadow}]\n",
            "it leads out of the package".to_owned(),
        ),
        (
            "keypairs: [{name: a, publicKeyFile: k.pub}]\n",
            "cannot read `k.pub` of the package: entity not found".to_owned(),
        ),
        ("keypairs: [{name: a, publicKey: k, publicKeyFile: f}]\n", "`publicKey` is there, too".to_owned()),
        (
            "hosts: [{pool: a, flavor: f, image: i, network: n, join: {command: {program: [rm]}}}]\n",
            format!("{at}1:69: join.command.program: a package neither runs programs nor calls other servers{of}"),
        ),
        (
            "hosts: [{pool: a, flavor: f, image: i, network: n, join: {command: {http: {url: 'https://x/$${HOME}', jsonPath: $.a}}}}]\n",
            "join.command.http: a package neither runs programs".to_owned(),
        ),
        (
            "stacks: [{name: a, compose: [], variables: {a: b}}]\n",
            format!("{at}1:33: stacks[0]: unknown key `variables`{of}; known here are name, compose, pool"),
        ),
        ("networks: [{name: main, cidr: '${host_name}'}]\n", "it is about one machine".to_owned()),
        ("packages: [{name: a, package: ./b}]\n", format!("{at}1:1: unknown key `packages`{of}")),
    ] {
        let is = mistake_of(yard);
        if !is.contains(&wanted) {
            wrong += &format!("{wanted}\n{is}\n\n");
        }
    }
    assert_eq!(wrong, "");
    for (body, wanted) in [
        (
            "questions: [{name: a, type: colour}]\n",
            "main/bad@1.0.0/package.yaml:4:29: question `a`.type: unknown type `colour` (package `p` of yard.yaml:6:7)",
        ),
        ("metadata: {}\n", "the key `metadata` comes twice"),
    ] {
        let bad = TestCatalog::new("bad", body, &[]);
        let is = bad.mistakes(&format!("  packages:\n{}", bad.entry("p", "")));
        assert!(is.contains(wanted), "{is}");
    }
    let secret = "questions: [{name: word, type: password, default: hunter2}]\n";
    let secret =
        TestCatalog::new("bad", secret, &[("yard.yaml", "networks: [{name: '${word}', cidr: 10.0.0.0/24}]\n")]);
    let is = secret.mistakes(&format!("  packages:\n{}", secret.entry("p", "")));
    assert!(is.contains("it is a password") && !is.contains("hunter2"), "{is}");
}

#[test]
fn a_directory_is_a_package_and_cannot_be_left() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("web");
    std::fs::create_dir_all(&package).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("web/package.yaml", "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: web, version: '1'}\n");
    write("web/yard.yaml", "servers: [{name: main, flavor: f, image: i, network: n, userDataFile: boot}]\n");
    write("web/boot", "#!/bin/sh\n");
    write("secret", "x");
    let manifest = format!("{HEAD}  packages: [{{name: w, package: ./web}}]\n");
    write("yard.yaml", &manifest);
    let path = dir.path().join("yard.yaml");
    let yard = load(&path).unwrap();
    assert_eq!(keys(&yard), ["port w/n", "server w"]);

    // The same elsewhere, with the files that go along.
    let files = companions(&yard, &path);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["web/boot", "web/package.yaml", "web/yard.yaml"]);
    let mut tree = Memory::new("");
    files.into_iter().for_each(|(path, text)| tree.insert(path, text));
    let there = read_with("yard.yaml", manifest.clone(), Arc::new(tree.clone())).unwrap();
    assert_eq!(format!("{:?}", there.intended), format!("{:?}", yard.intended));
    assert_eq!(outline_with("yard.yaml", &manifest, &tree).unwrap().complete().unwrap().resources.len(), 2);
    let outlined = outline("yard.yaml", &manifest).unwrap();
    assert!(outlined.intended.resources.is_empty());
    assert_eq!(outlined.absent, ["w"]);
    let summary = gist("yard.yaml", &manifest).unwrap();
    assert!(summary.has_pools && summary.name.as_deref() == Some("shop"));
    assert!(removed_kinds("yard.yaml", &manifest).contains(&stackyard_core::yard::Kind::LoadBalancer));
    let absent = read_with("yard.yaml", manifest, Arc::new(Memory::default())).unwrap_err().to_string();
    assert!(absent.contains("`./web` is not among the files that came with the manifest"), "{absent}");

    // A directory may be pinned, too.
    let pinned = |digest: &str| format!("{HEAD}  packages: [{{name: w, package: ./web, digest: '{digest}'}}]\n");
    write("pinned.yaml", &pinned("sha256:00"));
    let error = load(&dir.path().join("pinned.yaml")).unwrap_err().to_string();
    assert!(
        error.contains("the files of ./web have the digest sha256:") && error.contains("; look at the change, and"),
        "{error}"
    );
    let digest = error.split_once("the digest ").unwrap().1.split_once(',').unwrap().0;
    write("pinned.yaml", &pinned(digest));
    assert_eq!(load(&dir.path().join("pinned.yaml")).unwrap().packages[0].digest.as_deref(), Some(digest));

    std::fs::remove_file(package.join("boot")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret"), package.join("boot")).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(
        error.contains("userDataFile: cannot read `boot` of the package") && error.contains("a link out of"),
        "{error}"
    );
}

#[test]
fn a_package_of_a_catalog_travels_with_its_manifest() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("yard.yaml");
    let text = format!("{HEAD}  packages:\n{}", cluster.entry("db", ", answers: {network: n}"));
    std::fs::write(&path, &text).unwrap();
    let yard = load_with(&path, &cluster).unwrap();
    let mut tree = Memory::new("");
    let files = companions(&yard, &path);
    assert!(files.contains_key(".stackyard/packages/main/cluster@1.0.0/keys/admin.pub"));
    files.into_iter().for_each(|(path, text)| tree.insert(path, text));
    let there = read_with("yard.yaml", text.clone(), Arc::new(tree.clone())).unwrap();
    assert_eq!(format!("{:?}", there.intended), format!("{:?}", yard.intended));
    assert_eq!(there.stacks.len(), yard.stacks.len());
    // Another content than the pinned one, under the same name.
    tree.insert(".stackyard/packages/main/cluster@1.0.0/boot.sh", "evil");
    let error = read_with("yard.yaml", text.clone(), Arc::new(tree)).unwrap_err().to_string();
    assert!(error.contains("spec.packages[0].digest: the files of main/cluster@1.0.0 have the digest"), "{error}");
    let error = read_with("yard.yaml", text.clone(), Arc::new(Memory::default())).unwrap_err().to_string();
    assert!(error.contains("is not among the files that came with the manifest"), "{error}");
    assert!(load(&path).unwrap_err().to_string().contains("no catalog is known here"));
}

/// A directory `p` with a package of these files and this body of `package.yaml`.
fn directory(body: &str, files: &[(&str, &str)]) -> Memory {
    let head = "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: p, version: '1'}\n";
    let tree = Memory::new("").with("p/package.yaml", format!("{head}{body}"));
    files.iter().fold(tree, |tree, (path, text)| tree.with(format!("p/{path}"), *text))
}

/// A manifest with so many packages of the directory.
fn entries(count: usize) -> String {
    let entry = |i: usize| format!("    - {{name: a{i}, package: {}p}}\n", "./".repeat(1 + i % 3));
    format!("{HEAD}  packages:\n{}", (0..count).map(entry).collect::<String>())
}

#[test]
fn many_entries_of_one_package_take_the_memory_of_one() {
    let read = |count, tree: Memory| read_with("yard.yaml", entries(count), Arc::new(tree));
    let pad = "x".repeat(3 << 20);
    let error = read(30_000, directory("", &[("pad", &pad)])).unwrap_err().to_string();
    assert_eq!(
        error,
        "yard.yaml:6:5: spec.packages: 30000 packages; a manifest has 64 at most; divide the yard into several"
    );
    let yard = read(64, directory("", &[("pad", &pad)])).unwrap();
    let first = &yard.packages[0].package.source;
    assert!(yard.packages.len() == 64 && yard.packages.iter().all(|p| Arc::ptr_eq(&p.package.source, first)));

    // The limits of a package are those of a directory, too, with or without a digest.
    let error = read(1, directory("", &[("pad", &"x".repeat(8 << 20))])).unwrap_err().to_string();
    assert!(error.contains("spec.packages[0].package: its files have more than 4 MiB"), "{error}");
    // Directories within one another, each with what is below it.
    let deep = |i: usize| format!("p{}", "/p".repeat(i));
    let head = "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: p, version: '1'}\n";
    let tree = (0..10).fold(Memory::new("").with(deep(9) + "/pad", pad.as_str()), |tree, i| {
        tree.with(deep(i) + "/package.yaml", head)
    });
    let list = (0..10).map(|i| format!("    - {{name: a{i}, package: ./{}}}\n", deep(i))).collect::<String>();
    let error = read_with("yard.yaml", format!("{HEAD}  packages:\n{list}"), Arc::new(tree)).unwrap_err().to_string();
    assert!(error.contains("the packages of the manifest have more than 16 MiB"), "{error}");
}

#[test]
fn one_long_answer_in_many_places_is_refused() {
    let question = format!("questions: [{{name: x, type: string, default: '{}'}}]\n", "y".repeat((1 << 20) - 100));
    let item = "  - {name: a, flavor: '${x}'}\n";
    let yard = format!("servers:\n{}", item.repeat(2000));
    let read = |count, yard: &str, files: &[(&str, &str)]| {
        let tree = files.iter().fold(directory(&question, &[("yard.yaml", yard)]), |tree, (path, text)| {
            tree.with(format!("p/{path}"), *text)
        });
        read_with("yard.yaml", entries(count), Arc::new(tree)).unwrap_err().to_string()
    };
    let error = read(1, &yard, &[]);
    assert!(error.contains("with their variables the texts are longer than 16 MiB together"), "{}", error.len());
    assert_eq!(error.matches("longer than 16 MiB").count(), 1);
    // A little by each of many packages is as much.
    let error = read(60, "networks: [{name: n, cidr: '${x}'}]\n", &[]);
    assert!(error.contains("longer than 16 MiB together"), "{}", error.len());
    // A file in many places.
    let yard = format!("servers:\n{}", "  - {name: a, userDataFile: f}\n".repeat(1000));
    let error = read(1, &yard, &[("f", &"z".repeat(1 << 20))]);
    assert!(error.contains("cannot read `f` of the package: with it the texts are longer than 16 MiB"), "{error}");
    // Many small values.
    let error = read(1, &format!("servers: [{}]\n", "a,".repeat(1_200_000)), &[]);
    assert!(error.contains("with it the texts are longer than 16 MiB together"), "{error}");
}

#[test]
fn one_long_file_of_many_servers_is_refused() {
    let servers = "    - {name: a, flavor: f, image: i, network: n, userDataFile: f}\n".repeat(1000);
    let tree = Memory::new("").with("f", "z".repeat(1 << 20));
    let error = read_with("yard.yaml", format!("{HEAD}  servers:\n{servers}"), Arc::new(tree)).unwrap_err().to_string();
    assert!(error.contains("userDataFile: with `f` the texts are longer than 16 MiB together"), "{error}");
}

#[test]
fn a_directory_that_did_not_travel_hides_its_own_parts_alone() {
    let tree = directory("", &[("yard.yaml", "networks: [{name: main, cidr: 10.0.0.0/24}]\n")]);
    let text = format!("{}    - {{name: other, package: ./q}}\n", entries(1));
    let outlined = outline_with("yard.yaml", &text, &tree).unwrap();
    assert!(outlined.intended.resources.iter().any(|r| r.key.to_string() == "network a0"));
    assert_eq!(outlined.absent, ["other"]);
    let error = outlined.complete().unwrap_err().to_string();
    assert!(error.contains("the files of the packages other did not come with the manifest"), "{error}");
    assert!(outline_with("yard.yaml", &entries(1), &tree).unwrap().complete().is_ok());
}
