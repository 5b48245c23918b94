//! Load balancers: their parts as fields.

use super::Observer;
use stackyard_core::yard::intend::{
    HealthSpec, algorithm_label, health_label, listener_label, member_label,
};
use stackyard_core::yard::observed::{Fields, Seen, State, Value};
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{HealthMonitor, LoadBalancer};
use stackyard_ports::is_container;
use std::collections::{HashMap, HashSet};

impl Observer<'_> {
    pub(super) fn load_balancers(&self, resources: &mut Vec<Seen>) {
        let Some(all) = self.all.balancing.there() else {
            return;
        };
        let outside: HashSet<&str> = self
            .all
            .floating_ips
            .iter()
            .filter_map(|f| f.port_id.as_deref())
            .collect();
        let mut ports: HashMap<(&str, &str), &str> = HashMap::new();
        for port in &self.all.ports {
            for fixed in &port.fixed_ips {
                let address = fixed.ip_address.as_deref().unwrap_or_default();
                ports.insert((&fixed.subnet_id, address), &port.id);
            }
        }
        for b in &all.balancers {
            let Some(key) = self.keys.get(b.id.as_str()) else {
                continue;
            };
            let fields = self.parts(b, key, &ports);
            let uses = self.own(&[&b.vip_network_id, &b.vip_subnet_id]);
            let held = outside.contains(b.vip_port_id.as_str());
            resources.extend(self.seen(
                &b.id,
                &b.created_at,
                held,
                self.balancer_state(b),
                fields,
                uses,
            ));
        }
    }

    fn parts(&self, b: &LoadBalancer, key: &Key, ports: &HashMap<(&str, &str), &str>) -> Fields {
        let Some(all) = self.all.balancing.there() else {
            return Fields::new();
        };
        let (mut listeners, mut members, mut algorithms, mut monitors) =
            (vec![], vec![], vec![], vec![]);
        for (listener, pool, monitor) in all.listeners_of(&b.id) {
            let label = listener_label(&listener.protocol, listener.protocol_port);
            let Some(pool) = pool else {
                listeners.push(format!("{label} without a pool"));
                continue;
            };
            // Containers come and go without the manifest.
            for member in all.members_of(&pool.id).iter().filter(|m| !is_container(m)) {
                let at = (
                    member.subnet_id.as_deref().unwrap_or(&b.vip_subnet_id),
                    member.address.as_str(),
                );
                let port = ports
                    .get(&at)
                    .and_then(|id| self.keys.get(id))
                    .map_or(at.1, |k| k.name.as_str());
                let weight = member.weight.unwrap_or(1).try_into().unwrap_or(u8::MAX);
                members.push(member_label(&label, port, member.protocol_port, weight));
            }
            algorithms.push(algorithm_label(&label, &pool.lb_algorithm));
            monitors.extend(monitor.map(|m| health_label(&label, &health(m))));
            listeners.push(label);
        }
        listeners.extend(
            all.stray_pools(&b.id)
                .map(|p| format!("pool {} without a listener", p.name)),
        );
        // Those that the manifest leaves to the cloud are not compared.
        if let Some(Value::Set(wanted)) = self.wanted.get(key).and_then(|f| f.get("algorithms")) {
            let label = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
            let said: HashSet<String> = wanted.iter().map(|w| label(w)).collect();
            algorithms.retain(|a| said.contains(&label(a)));
        }
        Fields::from([
            (
                "network",
                self.text(Kind::Network, &b.vip_network_id).into(),
            ),
            ("subnet", self.text(Kind::Subnet, &b.vip_subnet_id).into()),
            ("address", (&b.vip_address).into()),
            ("provider", (&b.provider).into()),
            ("listeners", Value::set(listeners)),
            ("members", Value::set(members)),
            ("algorithms", Value::set(algorithms)),
            ("health monitors", Value::set(monitors)),
        ])
    }

    fn balancer_state(&self, b: &LoadBalancer) -> State {
        let broken = |what: String| State::Broken(format!("{what} is in state ERROR"));
        match b.provisioning_status.as_str() {
            "ERROR" => return broken("it".to_owned()),
            "PENDING_DELETE" | "DELETED" => return State::Broken("it is being removed".to_owned()),
            "ACTIVE" => {}
            other => return State::Pending(other.to_owned()),
        }
        let Some(all) = self.all.balancing.there() else {
            return State::Ready;
        };
        for (listener, pool, monitor) in all.listeners_of(&b.id) {
            let failed = |status: &str| status == "ERROR";
            if failed(&listener.provisioning_status) {
                return broken(format!("its listener {}", listener.name));
            }
            if pool.is_some_and(|p| failed(&p.provisioning_status)) {
                return broken(format!("the pool of its listener {}", listener.name));
            }
            if monitor.is_some_and(|m| failed(&m.provisioning_status)) {
                return broken(format!(
                    "the health monitor of its listener {}",
                    listener.name
                ));
            }
        }
        State::Ready
    }
}

/// A health monitor as a manifest has it.
pub(crate) fn health(m: &HealthMonitor) -> HealthSpec {
    let asks = matches!(m.monitor_type.as_str(), "HTTP" | "HTTPS");
    HealthSpec {
        monitor_type: m.monitor_type.clone(),
        delay: m.delay,
        timeout: m.timeout,
        retries: m.max_retries,
        path: m.url_path.clone().filter(|_| asks),
    }
}
