//! Whether a stack can be deployed at all, and in which order.

use super::super::observed::Observed;
use super::super::{DEFAULT_NETWORK, DependencyCondition, FileMount, HealthTest, Service, Stack, is_image_reference};
use crate::text::is_name_char;
use std::collections::{BTreeMap, BTreeSet};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A service refers to a service that is not there.
    #[error(
        "service {service} {relation} {missing}, which the stack does not have; \
             is it in a profile that is not active?"
    )]
    MissingService {
        /// The referring service.
        service: String,
        /// `depends on` or `shares name spaces of`.
        relation: &'static str,
        /// The name that leads nowhere.
        missing: String,
    },
    /// A name that cannot be one: it becomes part of names of containers and of files on hosts.
    #[error(
        "{kind} {name:?}: a name has letters, digits, `.`, `_` and `-` alone (at most 200), and is neither `.` nor `..`"
    )]
    BadName {
        /// `stack`, `service`, `volume`, `network`, `config` or `secret`; `name of volume` or `name of network` for
        /// what the engine calls them.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// An engine has the name in the path of a request, where it would lead elsewhere.
    #[error("service {service}: {image:?} is no name of an image; write it as `registry.example/team/app:1.2`")]
    BadImage {
        /// The service.
        service: String,
        /// The name.
        image: String,
    },
    /// Services wait for each other.
    #[error("services wait for each other: {}", .0.join(" -> "))]
    Cycle(
        /// The services on the way, the first one again at the end.
        Vec<String>,
    ),
    /// A service refers to something else that the stack does not describe.
    #[error("service {service} uses {kind} {missing}, which the stack does not describe")]
    Undefined {
        /// The referring service.
        service: String,
        /// `volume`, `network`, `config` or `secret`.
        kind: &'static str,
        /// The name that leads nowhere.
        missing: String,
    },
    /// Somebody waits for the health of a service that has no health test.
    #[error("service {service} waits until {other} is healthy, but neither {other} nor its image has a health test")]
    NoHealthTest {
        /// The waiting service.
        service: String,
        /// The service without a test.
        other: String,
    },
    /// Somebody waits for the end of a service that is always started again.
    #[error(
        "service {service} waits until {other} has ended, but {other} is always started again: \
             set its restart to \"no\" or on-failure"
    )]
    NeverEnds {
        /// The waiting service.
        service: String,
        /// The restarting service.
        other: String,
    },
    /// Services that share name spaces cannot be kept together.
    #[error(
        "service {service} shares name spaces of {other}: among hosts, both need the same mode and number of \
             replicas, and the order stop-first"
    )]
    Apart {
        /// The referring service.
        service: String,
        /// The other one.
        other: String,
    },
    /// A Cinder volume is not described well, or could be in two containers at once.
    #[error("volume {volume}: {why}")]
    CinderVolume {
        /// The volume's key.
        volume: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Images are missing.
    #[error("missing images: {}; build or pull them first", .0.join(", "))]
    MissingImages(
        /// References, in order.
        Vec<String>,
    ),
    /// Something external is missing.
    #[error("external {kind} {name} is not there; make it first, or let the stack own it")]
    MissingExternal {
        /// `network` or `volume`.
        kind: &'static str,
        /// Its name on the engine.
        name: String,
    },
}

/// Checks `stack` against itself; yields the services so that each comes after those it waits for.
///
/// # Errors
/// References to what is not there, circles, waits for an end that never comes.
pub fn check_alone(stack: &Stack) -> Result<Vec<&str>, PlanError> {
    names(stack)?;
    for (name, service) in &stack.services {
        references(stack, name, service)?;
        for (other, dependency) in &service.depends_on {
            let forever = stack.services.get(other).is_some_and(Service::restarts_forever);
            if dependency.condition == DependencyCondition::CompletedSuccessfully && forever {
                return Err(PlanError::NeverEnds { service: name.clone(), other: other.clone() });
            }
        }
    }
    order(stack)
}

fn names(stack: &Stack) -> Result<(), PlanError> {
    let all = std::iter::once(("stack", &stack.name))
        .chain(stack.services.keys().map(|name| ("service", name)))
        .chain(stack.volumes.keys().map(|name| ("volume", name)))
        .chain(stack.networks.keys().map(|name| ("network", name)))
        .chain(stack.configs.keys().map(|name| ("config", name)))
        .chain(stack.secrets.keys().map(|name| ("secret", name)));
    all.into_iter().try_for_each(|(kind, name)| check_name(kind, name))
}

fn check_name(kind: &'static str, name: &str) -> Result<(), PlanError> {
    if name.is_empty() || name.len() > 200 || name == "." || name == ".." || !name.chars().all(is_name_char) {
        return Err(PlanError::BadName { kind, name: name.to_owned() });
    }
    Ok(())
}

/// Checks what an engine's API has in the paths of requests: names of images, and the engine's names of volumes and
/// networks.
///
/// # Errors
/// [`PlanError::BadImage`], [`PlanError::BadName`].
pub fn check_engine_names(stack: &Stack) -> Result<(), PlanError> {
    for (service, Service { image, .. }) in &stack.services {
        if !is_image_reference(image) {
            return Err(PlanError::BadImage { service: service.clone(), image: image.clone() });
        }
    }
    let volumes = stack.volumes.values().map(|v| ("name of volume", &v.name));
    let networks = stack.networks.values().map(|n| ("name of network", &n.name));
    volumes.chain(networks).try_for_each(|(kind, name)| check_name(kind, name))
}

/// Checks `stack` against itself and against what must be there beforehand; yields the
/// services so that each comes after those it waits for.
pub(super) fn check<'a>(stack: &'a Stack, observed: &Observed) -> Result<Vec<&'a str>, PlanError> {
    for (name, service) in &stack.services {
        references(stack, name, service)?;
    }
    let order = order(stack)?;
    external(stack, observed)?;
    let images: BTreeSet<&String> = stack.services.values().map(|s| &s.image).collect();
    let missing: Vec<String> = images.into_iter().filter(|i| !observed.images.contains_key(*i)).cloned().collect();
    if !missing.is_empty() {
        return Err(PlanError::MissingImages(missing));
    }
    for (name, service) in &stack.services {
        conditions(stack, observed, name, service)?;
    }
    Ok(order)
}

fn references<'a>(stack: &'a Stack, name: &str, service: &'a Service) -> Result<(), PlanError> {
    let missing_service = |relation, missing: &str| {
        Err(PlanError::MissingService { service: name.to_owned(), relation, missing: missing.to_owned() })
    };
    for (other, dependency) in &service.depends_on {
        if dependency.required && !stack.services.contains_key(other) {
            return missing_service("depends on", other);
        }
    }
    for other in service.shares() {
        if !stack.services.contains_key(other) {
            return missing_service("shares name spaces of", other);
        }
    }
    let networks = stack.attachments(service);
    let networks = networks.keys().map(String::as_str).filter(|k| *k != DEFAULT_NETWORK);
    let sources = |mounts: &'a [FileMount]| mounts.iter().map(|m| m.source.as_str());
    undefined(name, "network", networks, &stack.networks)?;
    undefined(name, "volume", service.volume_keys(), &stack.volumes)?;
    undefined(name, "config", sources(&service.configs), &stack.configs)?;
    undefined(name, "secret", sources(&service.secrets), &stack.secrets)
}

fn undefined<'a, T>(
    service: &str,
    kind: &'static str,
    mut keys: impl Iterator<Item = &'a str>,
    defined: &BTreeMap<String, T>,
) -> Result<(), PlanError> {
    match keys.find(|k| !defined.contains_key(*k)) {
        None => Ok(()),
        Some(missing) => Err(PlanError::Undefined { service: service.to_owned(), kind, missing: missing.to_owned() }),
    }
}

fn external(stack: &Stack, observed: &Observed) -> Result<(), PlanError> {
    for key in stack.network_keys() {
        let network = stack.network(&key);
        if network.external && !observed.networks.contains_key(&network.name) {
            return Err(PlanError::MissingExternal { kind: "network", name: network.name });
        }
    }
    for volume in stack.volume_keys().iter().filter_map(|k| stack.volumes.get(*k)) {
        if volume.external && !observed.volumes.contains_key(&volume.name) {
            return Err(PlanError::MissingExternal { kind: "volume", name: volume.name.clone() });
        }
    }
    Ok(())
}

fn conditions(stack: &Stack, observed: &Observed, name: &str, service: &Service) -> Result<(), PlanError> {
    for (other_name, dependency) in &service.depends_on {
        let Some(other) = stack.services.get(other_name) else { continue };
        let (service, other_name) = (name.to_owned(), other_name.clone());
        match dependency.condition {
            DependencyCondition::Healthy if !has_test(other, observed) => {
                return Err(PlanError::NoHealthTest { service, other: other_name });
            }
            DependencyCondition::CompletedSuccessfully if other.restarts_forever() => {
                return Err(PlanError::NeverEnds { service, other: other_name });
            }
            _ => {}
        }
    }
    Ok(())
}

fn has_test(service: &Service, observed: &Observed) -> bool {
    match &service.healthcheck {
        Some(check) => check.test != HealthTest::Disabled,
        None => observed.images.get(&service.image).is_some_and(|i| i.healthcheck),
    }
}

/// Services in dependency order; among equals by name.
fn order(stack: &Stack) -> Result<Vec<&str>, PlanError> {
    let mut order = Vec::new();
    let mut done = BTreeSet::new();
    for name in stack.services.keys() {
        visit(stack, name, &mut Vec::new(), &mut done, &mut order)?;
    }
    Ok(order)
}

fn visit<'a>(
    stack: &'a Stack,
    name: &'a str,
    path: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
    order: &mut Vec<&'a str>,
) -> Result<(), PlanError> {
    if done.contains(name) {
        return Ok(());
    }
    if let Some(start) = path.iter().position(|p| *p == name) {
        let cycle = path[start..].iter().chain([&name]).map(|s| (*s).to_owned());
        return Err(PlanError::Cycle(cycle.collect()));
    }
    path.push(name);
    let service = &stack.services[name];
    let others: BTreeSet<&str> = service.depends_on.keys().map(String::as_str).chain(service.shares()).collect();
    for other in others {
        if stack.services.contains_key(other) {
            visit(stack, other, path, done, order)?;
        }
    }
    path.pop();
    done.insert(name);
    order.push(name);
    Ok(())
}
