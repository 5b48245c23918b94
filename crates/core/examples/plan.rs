//! Plans a yard of ten thousand resources, from nothing and when all is there, and prints the time
//! and the memory that took, as JSON: `cargo run --release -p stackyard-core --example plan`.

use serde_json::json;
use stackyard_core::yard::intend::intend;
use stackyard_core::yard::manifest::Manifest;
use stackyard_core::yard::observed::{Observed, Seen, State};
use stackyard_core::yard::plan::plan;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifest: Manifest = serde_json::from_value(json!({
        "apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "large"},
        "spec": {
            "networks": [{"name": "front", "cidr": "10.0.0.0/8", "router": {"external": "public"}}],
            "securityGroups": [{"name": "web", "rules": [{"proto": "tcp", "port": 80}]}],
            "servers": [{"name": "web", "count": 5000, "flavor": "f", "image": "i", "securityGroups": ["web"]}],
            "loadBalancers": [{"name": "all", "listeners": [{"port": 80, "servers": ["web"]}]}],
        },
    }))?;
    let begun = Instant::now();
    let intended = intend(&manifest).map_err(|troubles| format!("{troubles:?}"))?;
    let intending = begun.elapsed();

    let begun = Instant::now();
    let first = plan(&intended, &Observed::default());
    let from_nothing = begun.elapsed();

    let there = intended.resources.iter().enumerate().map(|(i, r)| Seen {
        key: r.key.clone(),
        id: format!("{i:032x}"),
        created: String::new(),
        held: false,
        state: State::Ready,
        fields: r.fields.clone(),
        uses: r.needs.iter().filter(|n| n.baked).map(|n| n.key.clone()).collect(),
    });
    let observed = Observed { resources: there.collect(), ..Observed::default() };
    let begun = Instant::now();
    let second = plan(&intended, &observed);
    let unchanged = begun.elapsed();
    assert!(!first.is_noop() && second.is_noop());

    // The most that this process ever had, in KiB.
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let result = json!({
        "resources": intended.resources.len(), "intend_s": intending.as_secs_f64(),
        "plan_from_nothing_s": from_nothing.as_secs_f64(), "plan_unchanged_s": unchanged.as_secs_f64(),
        "peak_mib": peak.unwrap_or(0) / 1024,
    });
    println!("{result}");
    Ok(())
}
