use super::*;
use stackyard_core::yard::manifest::Manifest;
use std::path::Path;

fn named(names: &[&str]) -> Vec<CloudChoice> {
    let offered = |n: &&str| CloudChoice {
        name: (*n).to_owned(),
        description: "what it is".to_owned(),
        ..CloudChoice::default()
    };
    names.iter().map(offered).collect()
}

fn offer() -> CloudChoices {
    CloudChoices {
        flavors: named(&["m1 \\ tiny", "m1.large"]),
        images: named(&["yes", "debian\n- evil: true"]),
        externals: named(&["public: \"1\""]),
        networks: named(&["office # 2"]),
        keypairs: named(&["me"]),
        balances: true,
        stores: true,
    }
}

fn read(text: &str) -> Manifest {
    manifest::read("yard.yaml", text.to_owned(), Path::new("."))
        .expect(text)
        .manifest
}

/// Every way to choose.
fn drafts(offer: &CloudChoices) -> Vec<YardDraft> {
    let first = first_draft(offer);
    let there = YardDraft {
        network: Some("office # 2".into()),
        key: Some("me".into()),
        name: "no".into(),
        machine: "on".into(),
        ..first.clone()
    };
    let without = YardDraft {
        external: None,
        floating_ip: false,
        data_volume: Some("1Ti".into()),
        ..first.clone()
    };
    let servers = [first, there, without];
    let with = |count: u32| {
        servers
            .iter()
            .cloned()
            .map(move |d| YardDraft { count, ..d })
    };
    let joins = [DraftJoin::Docker, DraftJoin::Ssh, DraftJoin::Command];
    let hosts = with(2)
        .flat_map(|d| {
            joins.map(|join| YardDraft {
                hosts: true,
                join,
                ..d.clone()
            })
        })
        .map(|d| {
            let key = d.key.filter(|_| d.join != DraftJoin::Ssh);
            YardDraft {
                key,
                command: Some("curl -s \"x\" | sh # it".into()),
                ..d
            }
        });
    let several = with(2).filter(|d| d.data_volume.is_none());
    with(1).chain(several).chain(hosts).collect()
}

#[test]
fn what_is_written_can_be_read() {
    let (offer, none) = (offer(), CloudChoices::default());
    let all: Vec<_> = drafts(&offer)
        .into_iter()
        .map(|d| (d, &offer))
        .chain([(first_draft(&none), &none)])
        .collect();
    assert_eq!(all.len(), 15);
    for (draft, offer) in all {
        let text = write_manifest(&draft, "local", offer).unwrap();
        let (Manifest { metadata, spec, .. }, count) =
            (read(&text), usize::try_from(draft.count).unwrap());
        assert_eq!(metadata.name, draft.name);
        assert_eq!(spec.networks.len(), usize::from(draft.network.is_none()));
        let (flavor, image) = (draft.flavor.as_deref(), draft.image.as_deref());
        let (flavor, image) = (flavor.unwrap_or(CHANGE_ME), image.unwrap_or(CHANGE_ME));
        let network = draft.network.as_deref().unwrap_or("front");
        if draft.hosts {
            let [pool] = spec.hosts.as_slice() else {
                panic!("{text}")
            };
            assert_eq!(
                (pool.pool.as_str(), pool.count),
                (draft.machine.as_str(), Some(draft.count))
            );
            assert_eq!((pool.flavor.as_str(), pool.image.as_str()), (flavor, image));
            assert_eq!(
                (pool.network.as_deref(), &pool.key),
                (Some(network), &draft.key)
            );
            assert_eq!(pool.floating_ip.is_some(), draft.floating_ip);
            assert_eq!(pool.data_volume.is_some(), draft.data_volume.is_some());
            assert_eq!(pool.join.ssh.is_some(), draft.join == DraftJoin::Ssh);
            let command = pool.join.command.as_ref().and_then(|c| c.text.clone());
            assert_eq!(
                command,
                draft.command.filter(|_| draft.join == DraftJoin::Command)
            );
        } else {
            let [server] = spec.servers.as_slice() else {
                panic!("{text}")
            };
            assert_eq!(
                (server.name.as_str(), server.count.unwrap_or(1)),
                (draft.machine.as_str(), draft.count)
            );
            assert_eq!(
                (server.flavor.as_str(), server.image.as_deref()),
                (flavor, Some(image))
            );
            assert_eq!(
                (server.network.as_deref(), &server.key),
                (Some(network), &draft.key)
            );
            assert_eq!(
                spec.floating_ips.len(),
                if draft.floating_ip { count } else { 0 }
            );
            assert_eq!(spec.volumes.len(), usize::from(draft.data_volume.is_some()));
            assert_eq!(server.volumes.len(), spec.volumes.len());
        }
        assert_eq!(text.contains("loadBalancers"), offer.balances);
    }
}

#[test]
fn what_is_commented_out_can_be_read_too() {
    let offer = offer();
    for hosts in [false, true] {
        let draft = YardDraft {
            hosts,
            ..first_draft(&offer)
        };
        let text = write_manifest(&draft, "local", &offer).unwrap();
        let lines = text
            .lines()
            .map(|l| match l.trim_start().strip_prefix("# ") {
                Some(rest) if l.starts_with("  ") => {
                    format!("{}{rest}", &l[..l.len() - l.trim_start().len()])
                }
                _ => l.to_owned(),
            });
        let text = lines.collect::<Vec<_>>().join("\n");
        let text = text.replace(
            "publicKeyFile: ~/.ssh/id_ed25519.pub",
            "publicKey: ssh-ed25519 AAAA me",
        );
        let text = text
            .replace("count: 2", "tags: [a]")
            .replace("compose: ./compose.yaml", "compose: site.yaml");
        let spec = read(&text).spec;
        assert_eq!(
            (spec.load_balancers.len(), spec.object_containers.len()),
            (1, 1)
        );
        let user_data = if hosts {
            &spec.hosts[0].user_data
        } else {
            &spec.servers[0].user_data
        };
        assert_eq!(
            user_data.as_deref(),
            Some("#cloud-config\npackages: [nginx]\n")
        );
        let volumes = (
            spec.volumes.len(),
            spec.hosts
                .iter()
                .filter(|h| h.data_volume.is_some())
                .count(),
        );
        assert_eq!(volumes, if hosts { (0, 1) } else { (1, 0) });
        assert_eq!(spec.stacks.len(), usize::from(hosts));
    }
}

#[test]
fn mistakes_are_told_by_their_fields() {
    let offer = offer();
    let fields = |change: &dyn Fn(&mut YardDraft)| -> Vec<String> {
        let mut draft = first_draft(&offer);
        change(&mut draft);
        write_manifest(&draft, "local", &offer)
            .unwrap_err()
            .into_iter()
            .map(|f| f.field)
            .collect()
    };
    assert_eq!(fields(&|d| d.name = "My Yard".into()), ["name"]);
    assert_eq!(fields(&|d| d.machine = "a b\n".into()), ["machine"]);
    assert_eq!(
        fields(&|d| (d.hosts, d.machine) = (true, "-".into())),
        ["machine"]
    );
    assert_eq!(fields(&|d| d.cidr = "10.20.0.0/33".into()), ["cidr"]);
    assert_eq!(fields(&|d| d.cidr = "a}, evil: {b: c".into()), ["cidr"]);
    assert_eq!(fields(&|d| d.count = 0), ["count"]);
    assert_eq!(fields(&|d| d.count = 4_000_000_000), ["count"]);
    assert_eq!(
        fields(&|d| (d.data_volume, d.count) = (Some("1Gi".into()), 2)),
        ["data_volume"]
    );
    assert_eq!(
        fields(&|d| d.data_volume = Some("much".into())),
        ["data_volume"]
    );
    assert_eq!(
        fields(&|d| (d.hosts, d.data_volume) = (true, Some("0Gi".into()))),
        ["data_volume"]
    );
    assert_eq!(fields(&|d| d.external = None), ["floating_ip"]);
    assert_eq!(
        fields(&|d| (d.hosts, d.join, d.key) = (true, DraftJoin::Ssh, Some("me".into()))),
        ["key"]
    );
    assert_eq!(
        fields(&|d| (d.hosts, d.join) = (true, DraftJoin::Command)),
        ["command"]
    );
    let nothing = |d: &mut YardDraft| {
        let no = || Some("no".to_owned());
        *d = YardDraft {
            image: no(),
            flavor: no(),
            network: no(),
            external: no(),
            key: no(),
            ..YardDraft::default()
        };
    };
    assert_eq!(
        fields(&nothing),
        ["image", "flavor", "network", "external", "key"]
    );
    let draft = YardDraft {
        image: Some("no".into()),
        ..first_draft(&offer)
    };
    let faults = write_manifest(&draft, "local", &offer).unwrap_err();
    assert_eq!(faults[0].message, "the cloud has no image `no` to choose");
    assert_eq!(
        faults[0].hint.as_deref(),
        Some("it has yes, debian - evil: true")
    );
}

#[test]
fn the_flavor_fits_the_image() {
    let sized = |name: &str, disk, ram| CloudChoice {
        name: name.into(),
        disk,
        ram,
        ..CloudChoice::default()
    };
    let offer = CloudChoices {
        flavors: vec![
            sized("nano", 1, 192),
            sized("host", 6, 1024),
            sized("diskless", 0, 2048),
        ],
        images: vec![sized("debian", 2, 512), sized("huge", 2, 4096)],
        ..CloudChoices::default()
    };
    assert_eq!(first_draft(&offer).flavor.as_deref(), Some("host"));
    assert_eq!(offer.flavors_for(Some("debian")).len(), 2);
    assert_eq!(
        offer.flavors_for(Some("huge")).len(),
        3,
        "none fits: the user must see that"
    );
}
