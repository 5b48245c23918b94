//! Floating IPs.

use super::super::observed::{Fields, Value};
use super::{Key, Kind, Maker, Need, Spec};

impl Maker<'_> {
    pub(super) fn floating_ips(&mut self) {
        let spec = self.spec;
        for (i, ip) in spec.floating_ips.iter().enumerate() {
            let path = format!("spec.floatingIPs[{i}]");
            let Some(name) = ip.name.as_ref().or(ip.server.as_ref()) else {
                self.trouble(&path, "neither `name` nor `server`", None);
                continue;
            };
            self.name(&path, name);
            let (mut needs, mut fields) = (Vec::new(), Fields::new());
            let mut port = None;
            if let Some(server) = &ip.server {
                let Some(at) = self.index.get(&Key::new(Kind::Server, server)) else {
                    let hint = self.near(Kind::Server, server);
                    self.trouble(
                        format!("{path}.server"),
                        format!("the yard has no server `{server}`"),
                        hint.as_deref(),
                    );
                    continue;
                };
                let Spec::Server(of) = &self.resources[*at].spec else { continue };
                let wanted = ip.network.as_ref().map(|n| format!("{server}/{n}"));
                port = of.ports.iter().find(|p| wanted.as_ref().is_none_or(|w| *w == p.name)).cloned();
                let Some(port) = &port else {
                    let message =
                        format!("server `{server}` is not on network `{}`", ip.network.as_deref().unwrap_or(""));
                    self.trouble(format!("{path}.network"), message, None);
                    continue;
                };
                needs.push(Need::before(port.clone()));
                let network = port.name.split('/').nth(1).unwrap_or_default().to_owned();
                needs.extend(self.feet(&network).into_iter().map(Need::before));
                fields.insert("port", (&port.name).into());
            } else {
                fields.insert("port", Value::Text(String::new()));
            }
            fields.extend(ip.external.as_ref().map(|e| ("external", e.into())));
            let make = Spec::FloatingIp { external: ip.external.clone(), port };
            self.add(&path, Key::new(Kind::FloatingIp, name), make, fields, needs);
        }
    }
}
