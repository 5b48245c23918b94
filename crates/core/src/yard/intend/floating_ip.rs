//! Floating IPs.

use super::super::manifest::FloatingIp;
use super::super::observed::{Fields, Value};
use super::{Key, Kind, Maker, Need, Spec};

impl Maker<'_> {
    pub(super) fn floating_ips(&mut self) {
        let spec = self.spec;
        for (i, ip) in spec.floating_ips.iter().enumerate() {
            let path = format!("spec.floatingIPs[{i}]");
            let Some(name) = ip.name.as_ref().or(ip.server.as_ref()).or(ip.load_balancer.as_ref()) else {
                self.trouble(&path, "neither `name` nor `server` nor `loadBalancer`", None);
                continue;
            };
            self.name(&path, name);
            if ip.server.is_some() && ip.load_balancer.is_some() {
                let message = "it cannot lead to a `server` and a `loadBalancer`";
                self.trouble(format!("{path}.loadBalancer"), message, Some("keep one of them"));
            }
            let (mut needs, mut fields) = (Vec::new(), Fields::new());
            let Ok(to) = self.target(&path, ip) else { continue };
            if let Some((to, network)) = &to {
                needs.push(Need::before(to.clone()));
                needs.extend(self.feet(network).into_iter().map(Need::before));
                fields.insert("port", floating_target(to).into());
            } else {
                fields.insert("port", Value::Text(String::new()));
            }
            fields.extend(ip.external.as_ref().map(|e| ("external", e.into())));
            let make = Spec::FloatingIp { external: ip.external.clone(), to: to.map(|(to, _)| to) };
            self.add(&path, Key::new(Kind::FloatingIp, name), make, fields, needs);
        }
    }

    /// What it leads to, with that one's network. What is wrong was noted.
    fn target(&mut self, path: &str, ip: &FloatingIp) -> Result<Option<(Key, String)>, ()> {
        if let Some(balancer) = &ip.load_balancer {
            let key = Key::new(Kind::LoadBalancer, balancer);
            let Some(Spec::LoadBalancer(of)) = self.index.get(&key).map(|at| &self.resources[*at].spec) else {
                let hint = self.near(Kind::LoadBalancer, balancer);
                let message = format!("the yard has no load balancer `{balancer}`");
                self.trouble(format!("{path}.loadBalancer"), message, hint.as_deref());
                return Err(());
            };
            return Ok(Some((key, of.network.text().to_owned())));
        }
        let Some(server) = &ip.server else { return Ok(None) };
        let Some(Spec::Server(of)) =
            self.index.get(&Key::new(Kind::Server, server)).map(|at| &self.resources[*at].spec)
        else {
            let hint = self.near(Kind::Server, server);
            self.trouble(format!("{path}.server"), format!("the yard has no server `{server}`"), hint.as_deref());
            return Err(());
        };
        let wanted = ip.network.as_ref().map(|n| format!("{server}/{n}"));
        let port = of.ports.iter().find(|p| wanted.as_ref().is_none_or(|w| *w == p.name)).cloned();
        let Some(port) = port else {
            let network = ip.network.as_deref().unwrap_or_default();
            let message = format!("server `{server}` is not on network `{network}`");
            self.trouble(format!("{path}.network"), message, None);
            return Err(());
        };
        let network = port.name.split('/').nth(1).unwrap_or_default().to_owned();
        Ok(Some((port, network)))
    }
}

/// Where a floating IP leads, for people and for comparing: a port's name, or `load balancer NAME`.
pub fn floating_target(to: &Key) -> String {
    if to.kind == Kind::Port { to.name.clone() } else { to.to_string() }
}
