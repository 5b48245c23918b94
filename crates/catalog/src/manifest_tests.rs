//! Manifests that are read, and mistakes with their places.

use super::*;

fn errors(text: &str) -> String {
    read("yard.yaml", text.to_owned(), Path::new("/nowhere")).expect_err("mistakes").to_string()
}

const HEAD: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n";

#[test]
fn a_network_of_stacks_that_is_none_is_told_with_its_place() {
    let text =
        |value: &str| format!("{HEAD}  stackNetwork: {value}\n  networks: [{{name: front, cidr: 10.20.0.0/24}}]\n");
    assert_eq!(
        errors(&text("frnt")),
        "yard.yaml:5:17: spec.stackNetwork: the yard has no network `frnt`, and no pool of hosts is on one of that name; \
         did you mean `front`?"
    );
    assert!(errors(&text("elsewhere")).contains("`none` keeps networks of stacks on each host"));
    assert!(read("yard.yaml", text("none"), Path::new("")).is_ok());
}

#[test]
fn a_manifest_is_read() {
    let text = format!(
        "{HEAD}  cloud: local\n  networks:\n    - {{name: front, cidr: 10.20.0.0/24, router: {{external: public}}}}\n  \
         securityGroups:\n    - name: web\n      rules: [{{proto: tcp, port: 80, from: 0.0.0.0/0}}, {{proto: icmp}}]\n  \
         servers:\n    - {{name: db, count: 2, flavor: m1.tiny, image: tiny, securityGroups: [web], userData: no}}\n"
    );
    let yard = read("yard.yaml", text, Path::new("")).unwrap();
    let keys: Vec<String> = yard.intended.resources.iter().map(|r| r.key.to_string()).collect();
    assert_eq!(
        keys,
        [
            "network front",
            "subnet front/main",
            "router front",
            "router interface front:front/main",
            "security group web",
            "rule web: tcp 80 from anywhere",
            "rule web: icmp from anywhere",
            "rule web: everything to anywhere",
            "rule web: everything (IPv6) to anywhere",
            "port db-1/front",
            "port db-2/front",
            "server db-1",
            "server db-2",
        ]
    );
    // Text that YAML 1.1 takes for a boolean.
    assert_eq!(yard.manifest.spec.servers[0].user_data.as_deref(), Some("no"));
}

#[test]
fn mistakes_have_places_and_hints() {
    let text = format!(
        "{HEAD}  netwoks: []\n  networks:\n    - {{name: front, cdir: 10.0.0.0/24}}\n    - {{name: back, cidr: 10.0.0.300/24}}\n  \
         volumes:\n    - {{name: data, size: lots}}\n  servers:\n    - name: db\n      image: tiny\n      \
         securityGroup: [web]\n"
    );
    assert_eq!(
        errors(&text),
        "yard.yaml:5:3: spec: unknown key `netwoks`; did you mean `networks`?\n\
         yard.yaml:7:21: spec.networks[0]: unknown key `cdir`; did you mean `cidr`?\n\
         yard.yaml:8:26: spec.networks[1].cidr: `10.0.0.300/24`: invalid IP address syntax\n\
         yard.yaml:10:26: spec.volumes[0].size: `lots`: a size in GiB is expected, as 20Gi or 1Ti\n\
         yard.yaml:14:7: spec.servers[0]: unknown key `securityGroup`; did you mean `securityGroups`?"
    );
}

#[test]
fn mistakes_of_meaning_have_places() {
    let text = format!(
        "{HEAD}  networks:\n    - {{name: front, cidr: 10.0.0.1/24}}\n    - {{name: front, cidr: 10.1.0.0/24}}\n  \
         securityGroups:\n    - name: web\n      rules:\n        - {{port: 80}}\n  servers:\n    \
         - name: db\n      flavor: m1.tiny\n      image: tiny\n      networks: [{{network: front, address: 10.9.0.4}}]\n  \
         floatingIPs:\n    - server: dbb\n"
    );
    assert_eq!(
        errors(&text),
        "yard.yaml:6:27: spec.networks[0].cidr: `10.0.0.1/24` has bits behind its prefix; write `10.0.0.0/24`\n\
         yard.yaml:7:7: spec.networks[1]: there are two of `network front`; names are unique within their kind\n\
         yard.yaml:7:7: spec.networks[1]: there are two of `subnet front/main`; names are unique within their kind\n\
         yard.yaml:11:18: spec.securityGroups[0].rules[0].port: a port goes with tcp or udp, not with every protocol; add `proto: tcp`\n\
         yard.yaml:13:7: spec.servers[0]: `10.9.0.4` is in no subnet of network `front` (10.0.0.1/24)\n\
         yard.yaml:18:15: spec.floatingIPs[0].server: the yard has no server `dbb`; it has db"
    );
}

#[test]
fn mistakes_in_load_balancers_and_containers_have_places() {
    let text = format!(
        "{HEAD}  networks:\n    - {{name: front, cidr: 10.0.0.0/24}}\n    - {{name: back, cidr: 10.1.0.0/24}}\n  \
         servers:\n    - {{name: web, count: 2, flavor: f, image: i, network: front}}\n  loadBalancers:\n    \
         - name: all\n      network: front\n      address: 10.1.0.9\n      listeners:\n        \
         - {{port: 80, servers: [web, web-1, wob]}}\n        - {{port: 80, servers: [{{server: web, network: back}}]}}\n        \
         - {{port: 81, healthMonitor: {{delay: 2, path: /x}}}}\n    - {{name: none, listeners: []}}\n  objectContainers:\n    \
         - {{name: files, metadata: {{Owner: me, owner: you, Stackyard-x: y, a_b: c}}}}\n  floatingIPs:\n    \
         - {{loadBalancer: al}}\n    - {{server: web-1, loadBalancer: all}}\n"
    );
    assert_eq!(
        errors(&text),
        "yard.yaml:13:16: spec.loadBalancers[0].address: `10.1.0.9` is in no subnet of network `front`\n\
         yard.yaml:15:37: spec.loadBalancers[0].listeners[0].servers[1]: `web-1` is there twice\n\
         yard.yaml:15:44: spec.loadBalancers[0].listeners[0].servers[2]: the yard has no server `wob`; it has web-1, web-2\n\
         yard.yaml:16:11: spec.loadBalancers[0].listeners[1]: there are two listeners on tcp 80\n\
         yard.yaml:16:32: spec.loadBalancers[0].listeners[1].servers[0]: server `web-1` is not on network `back`\n\
         yard.yaml:17:37: spec.loadBalancers[0].listeners[2].healthMonitor: `timeout` is at least 1 and at most `delay`\n\
         yard.yaml:17:54: spec.loadBalancers[0].listeners[2].healthMonitor.path: a path goes with http or https; add `type: http`\n\
         yard.yaml:18:7: spec.loadBalancers[1]: load balancer `none` names no network; add `network: NAME`\n\
         yard.yaml:20:31: spec.objectContainers[0].metadata: `stackyard-x` is Stackyard's own; use another name\n\
         yard.yaml:20:31: spec.objectContainers[0].metadata: `a_b` cannot be a key; use letters, digits and dashes\n\
         yard.yaml:20:31: spec.objectContainers[0].metadata: `owner` is there twice, since case does not count\n\
         yard.yaml:22:22: spec.floatingIPs[0].loadBalancer: the yard has no load balancer `al`; it has all\n\
         yard.yaml:23:37: spec.floatingIPs[1].loadBalancer: it cannot lead to a `server` and a `loadBalancer`; keep one of them"
    );
}

#[test]
fn files_are_read_beside_the_manifest() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("id.pub"), "ssh-ed25519 AAAAC3 me@here\n").unwrap();
    let path = dir.path().join("yard.yaml");
    let key = |file: &str| format!("{HEAD}  keypairs:\n    - name: me\n      publicKeyFile: {file}\n");
    std::fs::write(&path, key("id.pub")).unwrap();
    assert_eq!(load(&path).unwrap().intended.resources.len(), 1);
    std::fs::write(&path, key("other.pub")).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("yard.yaml:7:22: spec.keypairs[0].publicKeyFile: reading"), "{error}");
}

#[test]
fn the_examples_are_manifests() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let files = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut names = Vec::new();
    for file in files.filter(|f| f.extension().is_some_and(|e| e == "yaml")) {
        let yard = load(&file).unwrap_or_else(|e| panic!("{}:\n{e}", file.display()));
        assert!(!yard.intended.resources.is_empty(), "{}", file.display());
        names.push(file.file_stem().unwrap().to_string_lossy().into_owned());
    }
    for name in ["servers", "rancher2-nodes", "k3s"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
}

#[test]
fn a_hooks_program_is_found_beside_the_manifest() {
    let text = format!(
        "{HEAD}  networks:\n    - {{name: front, cidr: 10.20.0.0/24}}\n  hosts:\n    - {{pool: a, flavor: f, image: i, \
         join: {{command: {{program: [./join, x]}}}}}}\n    - {{pool: b, count: 2, flavor: f, image: i, floatingIP: public, \
         maxUnavailable: 50%, dataVolume: {{size: 4Gi}}, join: {{command: sh join}}}}\n"
    );
    let yard = read("yard.yaml", text, Path::new("/nowhere")).unwrap();
    let command = |i: usize| yard.manifest.spec.hosts[i].join.command.clone().unwrap();
    assert_eq!(command(0).program, ["/nowhere/join", "x"]);
    assert_eq!(command(1).text.as_deref(), Some("sh join"));
    let errors =
        errors(&format!("{HEAD}  hosts:\n    - {{pool: a, flavor: f, image: i, maxUnavailable: some, joinn: {{}}}}\n"));
    assert!(errors.contains("a number of hosts or a percentage"), "{errors}");
    let errors =
        self::errors(&format!("{HEAD}  hosts:\n    - {{pool: a, flavor: f, image: i, join: {{dockr: {{}}}}}}\n"));
    assert!(errors.contains("unknown key `dockr`; did you mean `docker`?"), "{errors}");
}

#[test]
fn stacks_are_made_from_compose_files_or_packages() {
    let stacks = |lines: &str| format!("{HEAD}  stacks:\n{lines}");
    let yard = read(
        "yard.yaml",
        stacks(
            "    - {name: site, compose: [a.yaml, b.yaml], variables: {TAG: \"1\"}}\n    \
             - {name: shop, package: ./shop, answers: {replicas: 3, tls: true, title: Ours}, pool: web}\n",
        ),
        Path::new("/yards"),
    )
    .expect("a manifest");
    let StackSource::Compose(wanted) = &yard.stacks[0].source else { panic!("no Compose file") };
    assert_eq!(wanted.files, [Path::new("/yards/a.yaml"), Path::new("/yards/b.yaml")]);
    let StackSource::Package { dir, answers } = &yard.stacks[1].source else { panic!("no package") };
    assert_eq!(
        (dir.as_path(), format!("{answers:?}")),
        (Path::new("/yards/./shop"), r#"{"replicas", "title", "tls"}"#.into())
    );
    assert_eq!(
        errors(&stacks(
            "    - {name: a}\n    - {name: b, compose: c.yaml, package: ./b}\n    - {name: c, package: openstack}\n    \
             - {name: d, compose: c.yaml, answers: {x: 1}}\n    - {name: e, package: ./e, envFile: .env}\n"
        )),
        "yard.yaml:6:14: spec.stacks[0].name: a stack needs `compose: FILE` or `package: ./DIRECTORY`\n\
         yard.yaml:7:43: spec.stacks[1].package: `compose` is there, too; keep one of them\n\
         yard.yaml:8:26: spec.stacks[2].package: no package `openstack` for hosts is built in; `./openstack` is a directory\n\
         yard.yaml:9:43: spec.stacks[3].answers: answers are a package's; a Compose file has `variables`\n\
         yard.yaml:10:40: spec.stacks[4].envFile: this is for Compose files; a package has `answers`"
    );
}

#[test]
fn a_manifest_from_elsewhere_has_what_came_with_it_and_nothing_of_this_machine() {
    let text = |lines: &str| format!("{HEAD}{lines}");
    let files = Memory::new("")
        .with("me.pub", "ssh-ed25519 AAAA me")
        .with("site/compose.yaml", "services: {web: {image: w}}\n")
        .with("shop/package.yaml", "x");
    let files = Arc::new(files);
    let good = text(
        "  keypairs:\n    - {name: me, publicKeyFile: ./me.pub}\n  stacks:\n    - {name: site, compose: ./site/compose.yaml}\n    \
         - {name: shop, package: ./shop}\n",
    );
    let yard = read_with("yard.yaml", good, files.clone()).unwrap();
    assert_eq!(yard.manifest.spec.keypairs[0].public_key.as_deref(), Some("ssh-ed25519 AAAA me"));
    let StackSource::Compose(wanted) = &yard.stacks[0].source else { panic!("no Compose file") };
    assert_eq!(wanted.files, [Path::new("./site/compose.yaml")]);
    let bad = text(
        "  keypairs:\n    - {name: me, publicKeyFile: ~/.ssh/id.pub}\n    - {name: you, publicKeyFile: /etc/hostname}\n  \
         stacks:\n    - {name: site, compose: ../site/compose.yaml}\n  hosts:\n    \
         - {pool: a, flavor: f, image: i, join: {command: {program: [./join]}}}\n    \
         - {pool: b, flavor: f, image: i, join: {command: {env: {T: \"${PATH}\", U: u}, http: {url: \"https://x/${U}/${HOME}\", jsonPath: $, caFile: /ca}}}}\n",
    );
    let errors = read_with("yard.yaml", bad, files).unwrap_err().to_string();
    for said in [
        "yard.yaml:6:33: spec.keypairs[0].publicKeyFile: `~/.ssh/id.pub` is not among the files",
        "spec.keypairs[1].publicKeyFile: `/etc/hostname` is not among the files",
        "spec.stacks[0].compose: `../site/compose.yaml` is not among the files",
        "spec.hosts[0].join.command.program: a manifest from elsewhere runs no program",
        "spec.hosts[1].join.command.http.caFile: ",
        "`${PATH}` is a variable of the server",
        "`${HOME}` is a variable of the server",
    ] {
        assert!(errors.contains(said), "{said} is missing in:\n{errors}");
    }
    assert!(!errors.contains("`${U}`"), "{errors}");
}

#[test]
fn the_gist_is_read_of_what_cannot_be_brought_up() {
    let text = format!("{HEAD}  cloud: lab\n  nonsense: 1\n  hosts: [{{pool: a}}]\n");
    assert_eq!(
        gist("yard.yaml", &text).unwrap(),
        ManifestSummary { name: Some("shop".into()), cloud: Some("lab".into()), has_pools: true, has_packages: false }
    );
    assert_eq!(gist("yard.yaml", "[]").unwrap(), ManifestSummary::default());
    assert!(gist("yard.yaml", "{").is_err());
}
