//! What Nova and Neutron would refuse of a server is a mistake of its manifest.

use super::*;
use crate::yard::intend::Trouble;

/// The mistakes of a yard with two networks, of which `open` has no port security, and this server and pool.
fn mistakes(key: &str, mut server: Value) -> Vec<Trouble> {
    for (field, value) in [("flavor", json!("f")), ("image", json!("i"))] {
        server[field] = value;
    }
    server[if key == "hosts" { "pool" } else { "name" }] = "db".into();
    let spec = json!({
        "networks": [{"name": "safe", "cidr": "10.1.0.0/24"},
            {"name": "open", "cidr": "10.2.0.0/24", "portSecurity": false}],
        "securityGroups": [{"name": "web", "rules": []}],
        key: [server],
    });
    let manifest =
        json!({"apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"}, "spec": spec});
    intend(&serde_json::from_value(manifest).unwrap()).err().unwrap_or_default()
}

#[test]
fn labels_that_nova_refuses_are_mistakes_with_their_place() {
    let long = "\u{fc}".repeat(255);
    for (label, message) in [
        (json!({"metadata": {"größe": "1"}}), "metadata: `größe` cannot be a key"),
        (json!({"metadata": {"a/b": "1"}}), "metadata: `a/b` cannot be a key"),
        (json!({"metadata": {"": "1"}}), "metadata: `` cannot be a key"),
        (json!({"metadata": {"k".repeat(256): "1"}}), "cannot be a key"),
        (json!({"metadata": {"note": format!("{long}x")}}), "metadata: the value of `note` has more than 255"),
        (json!({"metadata": {"stackyard": "1"}}), "metadata: `stackyard` is Stackyard's own"),
        (json!({"tags": ["a/b"]}), "tags: `a/b` cannot be a tag"),
        (json!({"tags": ["a,b"]}), "tags: `a,b` cannot be a tag"),
        (json!({"tags": [""]}), "tags: `` cannot be a tag"),
        (json!({"tags": ["t".repeat(61)]}), "cannot be a tag"),
        (json!({"tags": (0..51).map(|n| n.to_string()).collect::<Vec<_>>()}), "tags: more than 50 tags"),
    ] {
        for key in ["servers", "hosts"] {
            let mut server = label.clone();
            (server["network"], server["count"]) = ("safe".into(), 3.into());
            let found = mistakes(key, server);
            let [one] = found.as_slice() else { panic!("{found:?}") };
            let text = format!("{}: {}", one.path, one.message);
            assert!(text.starts_with(&format!("spec.{key}[0].")) && text.contains(message), "{text}");
        }
    }
    let fine = json!({"network": "safe", "metadata": {"A-b_c:d.e f9": long, "empty": ""}, "tags": ["größe", "a b"]});
    assert!(mistakes("servers", fine).is_empty());
}

#[test]
fn security_groups_that_apply_nowhere_are_a_mistake() {
    for (server, place) in [
        (json!({"network": "open", "securityGroups": ["web"]}), "securityGroups"),
        (json!({"networks": ["safe", {"network": "open", "securityGroups": ["web"]}]}), "networks[1].securityGroups"),
        (
            json!({"networks": [{"network": "safe", "portSecurity": false}, "open"], "securityGroups": ["web"]}),
            "securityGroups",
        ),
    ] {
        for key in ["servers", "hosts"] {
            let found = mistakes(key, server.clone());
            let [one] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!(one.path, format!("spec.{key}[0].{place}"));
            assert!(one.message.contains("no security group applies") && one.hint.is_some(), "{one:?}");
        }
    }
    for server in [
        json!({"network": "open"}),
        // They apply in one of the two.
        json!({"networks": ["safe", "open"], "securityGroups": ["web"]}),
        json!({"networks": [{"network": "open", "portSecurity": true}], "securityGroups": ["web"]}),
        json!({"networks": [{"network": "open", "securityGroups": []}], "securityGroups": ["web"]}),
        // What the cloud's network is like is not known here.
        json!({"networks": ["elsewhere"], "securityGroups": ["web"]}),
    ] {
        let found = mistakes("servers", server);
        assert!(found.is_empty(), "{found:?}");
    }
}
