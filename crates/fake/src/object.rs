//! Swift: what is said of a container and an object is in headers.

use crate::world::{Request, World};
use serde_json::{Value, json};

/// Status, body, headers.
pub(crate) type HeaderedAnswer = (u16, Value, Vec<(String, String)>);

const META: &str = "x-container-meta-";

impl World {
    pub(crate) fn object_store(&mut self, request: &Request<'_>) -> HeaderedAnswer {
        let plain = |status| (status, Value::Null, Vec::new());
        // Each project has an account: containers of two accounts may have one name.
        let account = request.path[0];
        let own = |name: &str| if account == "AUTH_p1" { name.to_owned() } else { format!("{account}:{name}") };
        let place: Vec<String> =
            request.path[1..].iter().enumerate().map(|(i, n)| if i == 0 { own(n) } else { (*n).to_owned() }).collect();
        match (request.method, place.iter().map(String::as_str).collect::<Vec<_>>().as_slice()) {
            ("GET", []) => {
                let prefix = request.query("prefix");
                let after = request.query("marker");
                let listed = self.all("containers").filter_map(|c| {
                    let name = c["name"].as_str()?;
                    let fits = c["id"] == own(name).as_str() && name.starts_with(&prefix) && name > after.as_str();
                    fits.then(|| json!({"name": name, "count": self.objects_in(&own(name)), "bytes": 0}))
                });
                (200, listed.collect(), Vec::new())
            }
            ("PUT", [name]) => {
                let mut container =
                    self.get("containers", name).cloned().unwrap_or(json!({"id": name, "name": request.path[1]}));
                describe(&mut container, request);
                self.put("containers", container);
                plain(201)
            }
            (_, [name, ..]) if self.get("containers", name).is_none() => plain(404),
            ("POST", [name]) => {
                if let Some(container) = self.get_mut("containers", name) {
                    describe(container, request);
                }
                plain(204)
            }
            ("HEAD", [name]) => {
                let container = self.get("containers", name).and_then(Value::as_object).cloned().unwrap_or_default();
                let said = container.into_iter().filter(|(k, _)| k.starts_with("x-"));
                let mut headers: Vec<(String, String)> =
                    said.filter_map(|(k, v)| Some((k, v.as_str()?.to_owned()))).collect();
                headers.push(("x-container-object-count".to_owned(), self.objects_in(name).to_string()));
                (204, Value::Null, headers)
            }
            ("GET", [name]) => {
                let after = request.query("marker");
                let inside = self.all("objects").filter(|o| o["container"] == *name);
                let named = inside.filter(|o| o["name"].as_str().is_some_and(|n| n > after.as_str()));
                (200, named.map(|o| json!({"name": o["name"], "bytes": 1, "hash": ""})).collect(), Vec::new())
            }
            ("DELETE", [name]) => {
                if self.objects_in(name) > 0 {
                    return plain(409);
                }
                self.take("containers", name);
                plain(204)
            }
            ("PUT", [container, name]) => {
                let id = format!("{container}/{name}");
                self.put("objects", json!({"id": id, "container": container, "name": name}));
                plain(201)
            }
            ("DELETE", [container, name]) => match self.take("objects", &format!("{container}/{name}")) {
                Some(_) => plain(204),
                None => plain(404),
            },
            _ => plain(405),
        }
    }

    fn objects_in(&self, container: &str) -> usize {
        self.all("objects").filter(|o| o["container"] == container).count()
    }
}

fn describe(container: &mut Value, request: &Request<'_>) {
    for (name, value) in &request.headers {
        match name.strip_prefix("x-remove-container-") {
            Some(rest) => {
                if let Some(map) = container.as_object_mut() {
                    map.remove(&format!("x-container-{rest}"));
                }
            }
            None if name.starts_with(META) || name == "x-container-read" => container[name] = value.clone().into(),
            None => {}
        }
    }
}
