//! What there is of an owner's on this host, whatever has become of who plugged it.

use super::{Naming, hybrid};
use crate::link::{self, Link};
use crate::{Error, Switch};

/// A port's link that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The host's end; of a link on another one that no container has, its name.
    pub device: String,
    /// The port's id, if the link leads to the switch, or into a network's bridge.
    pub port: Option<String>,
}

/// What a link's alias says.
#[derive(PartialEq)]
enum Says {
    /// It is the owner's, and perhaps which port's.
    Own(Option<String>),
    Others,
    Nothing,
}

fn read(link: &Link, owner: &str) -> Says {
    match link.alias.as_deref() {
        None => Says::Nothing,
        Some(alias) => match alias.strip_prefix(owner) {
            Some("") => Says::Own(None),
            Some(rest) if rest.starts_with(' ') => Says::Own(Some(rest.trim_start().to_owned())),
            _ => Says::Others,
        },
    }
}

/// Lists the links of an owner's ports: those that the switch knows, and those that a killed plugin made and did not
/// get there.
///
/// # Errors
/// Those of the switch and the kernel.
pub fn find(switch: Option<&Switch>, owner: &str, naming: Naming) -> Result<Vec<Found>, Error> {
    let on_switch = switch.map_or(Ok(Vec::new()), |s| s.owned(owner))?;
    let links = link::list()?;
    let mut found = Vec::new();
    for plugged in on_switch {
        found.push(match hybrid::host_of(&plugged.device) {
            Some(device) => {
                let port = hybrid::is_joined(&links, &device).then_some(plugged.port);
                Found { device, port }
            }
            None => Found { device: plugged.device, port: Some(plugged.port) },
        });
    }
    for link in &links {
        let Some(device) = device_of(link, &links, owner, naming) else { continue };
        if found.iter().any(|f| f.device == device) {
            continue;
        }
        let end = links.iter().find(|l| l.name == device);
        let port = match end.map_or(Says::Nothing, |l| read(l, owner)) {
            Says::Others => continue,
            Says::Own(port) => port.filter(|_| end.is_some_and(|l| l.master.is_some())),
            Says::Nothing => None,
        };
        // One that the switch has under another owner's name.
        if !switch.map_or(Ok(false), |s| s.has(&device))? {
            found.push(Found { device, port });
        }
    }
    Ok(found)
}

/// The host's end that a link belongs to, if it is known by its name or its alias to be one of these.
fn device_of(link: &Link, links: &[Link], owner: &str, naming: Naming) -> Option<String> {
    if link.veth {
        if let Some(id) = naming.id_of_container_end(&link.name) {
            let ends = naming.host_ends(id);
            let there = links.iter().find(|l| ends.contains(&l.name)).map(|l| l.name.clone());
            return Some(there.unwrap_or_else(|| ends[0].clone()));
        }
        if naming.is_host_end(&link.name) {
            return Some(link.name.clone());
        }
    }
    matches!(read(link, owner), Says::Own(_)).then(|| hybrid::host_of(&link.name).unwrap_or_else(|| link.name.clone()))
}

/// Removes such a link, with all that is between it and the switch.
///
/// # Errors
/// Those of the switch and the kernel.
pub fn remove(switch: Option<&Switch>, device: &str) -> Result<(), Error> {
    if let Some(switch) = switch {
        if device.starts_with(super::TAP) {
            hybrid::take_down(switch, device)?;
        }
        switch.remove(device)?;
    }
    link::delete(device).map(drop)
}
