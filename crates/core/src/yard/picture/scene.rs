//! What a picture shows, before anything has a place: outside networks, routers, networks as
//! lanes, and what stands in them.

use super::super::intend::{Intended, Ref, Spec};
use super::super::{Key, Kind};
use super::inside::{Inside, Stacks, inside, words};
use std::collections::{BTreeMap, HashMap, HashSet};

/// All that is drawn.
#[derive(Debug, Default)]
pub(super) struct Scene {
    /// Names of networks outside, for routers and floating IPs.
    pub outside: Vec<String>,
    pub routers: Vec<Router>,
    pub lanes: Vec<Lane>,
    /// Servers; each belongs to the first of its lanes.
    pub boxes: Vec<ServerBox>,
    pub balancers: Vec<Balancer>,
    pub floating: Vec<Floating>,
    /// What is in no network: unattached volumes, object containers.
    pub shelf: Vec<Key>,
    /// Stacks: name, how it stands, and whether that is well.
    pub stacks: Vec<(String, String, bool)>,
}

/// A router.
#[derive(Debug)]
pub(super) struct Router {
    /// The yard's own, or none.
    pub key: Option<Key>,
    pub name: String,
    pub outside: Option<usize>,
    pub lanes: Vec<usize>,
}

/// A network.
#[derive(Debug)]
pub(super) struct Lane {
    /// The yard's own, or none.
    pub key: Option<Key>,
    pub name: String,
    pub cidrs: Vec<String>,
}

/// A server, or many that are alike.
#[derive(Debug)]
pub(super) struct ServerBox {
    /// Names, in order.
    pub names: Vec<String>,
    pub lanes: Vec<usize>,
    pub volumes: Vec<Key>,
    /// Security groups, and the server group.
    pub groups: Vec<String>,
    /// What runs in it.
    pub inside: Vec<Inside>,
}

/// A load balancer.
#[derive(Debug)]
pub(super) struct Balancer {
    pub key: Key,
    pub lane: usize,
    /// As `tcp 80`.
    pub listeners: Vec<String>,
    /// Boxes that share the load.
    pub members: Vec<usize>,
}

/// A floating IP.
#[derive(Debug)]
pub(super) struct Floating {
    pub key: Key,
    pub outside: Option<usize>,
    pub to: Target,
}

/// Where a floating IP leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Nowhere,
    Server(usize),
    Balancer(usize),
}

impl Scene {
    /// Takes a yard and its stacks apart; more than `crowd` servers that differ only by their number
    /// become one box.
    pub fn of(intended: &Intended, stacks: &Stacks, crowd: usize) -> Self {
        let mut scene = Self::default();
        for resource in &intended.resources {
            if let (Spec::Network { .. }, key) = (&resource.spec, &resource.key) {
                scene.lanes.push(Lane { key: Some(key.clone()), name: key.name.clone(), cidrs: Vec::new() });
            }
        }
        let mut ports: HashMap<&Key, usize> = HashMap::new();
        for resource in &intended.resources {
            match &resource.spec {
                Spec::Subnet { network, cidr, .. } => {
                    let lane = scene.lane(&network.name);
                    scene.lanes[lane].cidrs.push(cidr.to_string());
                }
                Spec::Router { external } => {
                    let outside = external.as_ref().map(|e| scene.outside(e));
                    let (key, name) = (Some(resource.key.clone()), resource.key.name.clone());
                    scene.routers.push(Router { key, name, outside, lanes: Vec::new() });
                }
                Spec::Interface { router, subnet } => {
                    let lane = scene.lane(subnet.name.split('/').next().unwrap_or_default());
                    let router = scene.router(router);
                    if !scene.routers[router].lanes.contains(&lane) {
                        scene.routers[router].lanes.push(lane);
                    }
                }
                Spec::Port { network, .. } => drop(ports.insert(&resource.key, scene.lane(network.text()))),
                _ => {}
            }
        }
        let at = scene.servers(intended, &ports, crowd);
        scene.others(intended, &at);
        scene.boxes.iter_mut().for_each(|b| b.inside = inside(stacks, &b.names));
        scene.stacks.extend(stacks.iter().map(|(name, status)| {
            let (words, well) = words(status);
            (name.clone(), words, well)
        }));
        scene
    }

    /// The lane of a network; a new one for a network outside of the yard.
    fn lane(&mut self, name: &str) -> usize {
        let found = self.lanes.iter().position(|l| l.name == name);
        found.unwrap_or_else(|| {
            self.lanes.push(Lane { key: None, name: name.to_owned(), cidrs: Vec::new() });
            self.lanes.len() - 1
        })
    }

    fn outside(&mut self, name: &str) -> usize {
        let found = self.outside.iter().position(|o| o == name);
        found.unwrap_or_else(|| {
            self.outside.push(name.to_owned());
            self.outside.len() - 1
        })
    }

    fn router(&mut self, router: &Ref) -> usize {
        let found = self.routers.iter().position(|r| r.name == router.text());
        found.unwrap_or_else(|| {
            let name = router.text().to_owned();
            self.routers.push(Router { key: None, name, outside: None, lanes: Vec::new() });
            self.routers.len() - 1
        })
    }

    /// Makes boxes of servers; returns where each server is.
    fn servers(&mut self, intended: &Intended, ports: &HashMap<&Key, usize>, crowd: usize) -> HashMap<String, usize> {
        let mut volumes: HashMap<&Key, Vec<Key>> = HashMap::new();
        let mut groups: HashMap<&str, Vec<String>> = HashMap::new();
        for resource in &intended.resources {
            match &resource.spec {
                Spec::Attachment { server, volume } => {
                    volumes.entry(server).or_default().push(Key::new(Kind::Volume, volume.text()));
                }
                Spec::Port { groups: Some(of), .. } => {
                    let server = resource.key.name.split('/').next().unwrap_or_default();
                    groups.entry(server).or_default().extend(of.iter().map(|g| g.text().to_owned()));
                }
                _ => {}
            }
        }
        let mut boxes: Vec<ServerBox> = Vec::new();
        for resource in &intended.resources {
            let Spec::Server(server) = &resource.spec else { continue };
            let mut lanes: Vec<usize> = server.ports.iter().filter_map(|p| ports.get(p)).copied().collect();
            let mut seen = HashSet::new();
            lanes.retain(|l| seen.insert(*l));
            let mut of: Vec<String> = groups.remove(resource.key.name.as_str()).unwrap_or_default();
            of.extend(server.group.as_ref().map(|g| g.text().to_owned()));
            of.sort();
            of.dedup();
            let mut attached: Vec<Key> = server.boot.iter().cloned().collect();
            attached.extend(volumes.remove(&resource.key).unwrap_or_default());
            let names = vec![resource.key.name.clone()];
            boxes.push(ServerBox { names, lanes, volumes: attached, groups: of, inside: Vec::new() });
        }
        // Of many that are alike one is drawn.
        let mut alike: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (i, b) in boxes.iter().enumerate() {
            let base = b.names[0].trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            alike.entry((base, b.lanes.clone(), b.volumes.len(), b.groups.clone())).or_default().push(i);
        }
        let mut first: HashMap<usize, usize> = HashMap::new();
        for of in alike.values().filter(|c| c.len() > crowd) {
            first.extend(of.iter().map(|i| (*i, of[0])));
        }
        let (mut at, mut places) = (HashMap::new(), HashMap::new());
        for (i, b) in boxes.into_iter().enumerate() {
            let name = b.names[0].clone();
            let place = match first.get(&i).and_then(|f| places.get(f)) {
                Some(place) => {
                    let crowd: &mut ServerBox = &mut self.boxes[*place];
                    crowd.names.push(name.clone());
                    crowd.volumes.clear();
                    *place
                }
                None => {
                    self.boxes.push(b);
                    places.insert(i, self.boxes.len() - 1);
                    self.boxes.len() - 1
                }
            };
            at.insert(name, place);
        }
        at
    }

    fn others(&mut self, intended: &Intended, at: &HashMap<String, usize>) {
        let server = |port: &Key| at.get(port.name.split('/').next().unwrap_or_default()).copied();
        let attached: HashSet<Key> = intended
            .resources
            .iter()
            .filter_map(|r| if let Spec::Attachment { volume: Ref::Own(key), .. } = &r.spec { Some(key) } else { None })
            .cloned()
            .collect();
        for resource in &intended.resources {
            let key = &resource.key;
            match &resource.spec {
                Spec::Volume { bootable: false, .. } if !attached.contains(key) => self.shelf.push(key.clone()),
                Spec::ObjectContainer { .. } => self.shelf.push(key.clone()),
                Spec::LoadBalancer(of) => {
                    let lane = self.lane(of.network.text());
                    let mut members: Vec<usize> =
                        of.listeners.iter().flat_map(|l| &l.members).filter_map(|m| server(&m.port)).collect();
                    members.sort_unstable();
                    members.dedup();
                    let listeners = of.listeners.iter().map(|l| l.label()).collect();
                    self.balancers.push(Balancer { key: key.clone(), lane, listeners, members });
                }
                Spec::FloatingIp { external, to } => {
                    let outside = external.as_ref().map(|e| self.outside(e));
                    let to = match to {
                        Some(to) if to.kind == Kind::LoadBalancer => {
                            self.balancers.iter().position(|b| b.key == *to).map_or(Target::Nowhere, Target::Balancer)
                        }
                        Some(to) => server(to).map_or(Target::Nowhere, Target::Server),
                        None => Target::Nowhere,
                    };
                    self.floating.push(Floating { key: key.clone(), outside, to });
                }
                _ => {}
            }
        }
        // One that does not say leads out where everything does.
        if self.outside.len() == 1 {
            self.floating.iter_mut().for_each(|f| f.outside = Some(0));
        }
    }
}
