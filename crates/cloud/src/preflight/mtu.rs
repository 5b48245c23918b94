//! Packet sizes: of the cards, of the external network, of tenants' networks.

use super::network::{carrier, default_route, interfaces};
use super::{Check, PreflightScene};
use stackyard_core::mtu::{Ip, Layer, MIN_IPV6, Path, needed};

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    let all = interfaces(&scene.input.machine);
    let mut checks = vec![tenants(scene)];
    let way_out = match &scene.input.neutron_interface {
        Some(name) => Some(name.clone()),
        None => default_route(&scene.input.machine),
    };
    match way_out.and_then(|name| Some((all.get(&name)?.mtu, name))) {
        Some((mtu, name)) => checks.push(external(scene, &name, mtu)),
        None => checks.push(
            Check::info("mtu.external", "MTU of the external network", "this machine has no way out")
                .means("servers reach this machine only"),
        ),
    }
    if let Some((name, interface)) = carrier(&all, scene.input.api_address)
        && interface.mtu < MIN_IPV6
    {
        checks.push(
            Check::warn("mtu.api", "MTU of the API's interface", format!("{name}: {}", interface.mtu))
                .means("IPv6 needs 1280, and small packets make uploads slow")
                .mend(format!("`ip link set {name} mtu 1500`")),
        );
    }
    checks
}

/// What tenants get, and what a wire would need to carry it once there are more machines.
fn tenants(scene: &PreflightScene) -> Check {
    let (id, title) = ("mtu.tenants", "MTU of tenants' networks");
    let mtu = scene.input.tenant_mtu;
    let layers = [Layer::ovn_geneve(Ip::V4)];
    let underlay = needed(mtu, &layers);
    let sum = Path::new(underlay, &layers).ok().and_then(|p| p.steps.first().map(|s| s.formula.clone()));
    let seen = format!("{mtu}: Geneve over IPv4 needs {underlay} underneath ({})", sum.unwrap_or_default());
    if mtu < MIN_IPV6 {
        return Check::warn(id, title, seen)
            .means("no IPv6 in tenants' networks: it needs 1280 (RFC 8200)")
            .mend("--set tenant_mtu=1442");
    }
    if mtu > scene.input.external_mtu {
        return Check::warn(id, title, seen)
            .means(format!(
                "larger than the external network's {}: routers answer large packets with ICMP, and where that is dropped connections hang",
                scene.input.external_mtu
            ))
            .mend("--set tenant_mtu to no more than external_mtu");
    }
    Check::pass(id, title, seen)
}

fn external(scene: &PreflightScene, name: &str, card: u32) -> Check {
    let (id, title) = ("mtu.external", "MTU of the external network");
    let wanted = scene.input.external_mtu;
    let seen = format!("{wanted}, and {name} has {card}");
    if wanted <= card {
        return Check::pass(id, title, seen);
    }
    let mend = format!("--set external_mtu={card}{}, or `ip link set {name} mtu {wanted}`", tenant_hint(scene, card));
    if scene.input.neutron_interface.is_some() {
        return Check::fail(id, title, seen)
            .means(format!("packets above {card} bytes vanish on {name}: connections hang after their first bytes"))
            .mend(mend);
    }
    Check::warn(id, title, seen)
        .means(format!("packets above {card} bytes are cut up, or answered with ICMP, on their way out"))
        .mend(mend)
}

/// Tenants' networks must follow when they are the larger ones.
fn tenant_hint(scene: &PreflightScene, card: u32) -> String {
    if scene.input.tenant_mtu > card { format!(" --set tenant_mtu={card}") } else { String::new() }
}
