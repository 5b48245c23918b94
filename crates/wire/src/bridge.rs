//! Bridges of the kernel, by rtnetlink(7), and the links in them.

use crate::Error;
use crate::link::{self, RTM_NEWLINK, bring_up, named, request};
use crate::netlink::NLM_F_CREATE_NEW;
use netlink_packet_route::link::{BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo};
use rustix::io::Errno;
use std::io;

/// What a bridge is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// Firewall rules between one container and the switch; whose it is.
    OnePort { owner: &'a str },
    /// All ports of a network on this host, and its way out. Others make it and use it, too.
    Network,
}

/// Makes a bridge, up. One that is there is taken over; a network's stays as it is but for that. A link of another
/// kind is made anew if it can be nobody else's.
///
/// # Errors
/// [`Error::Kernel`].
pub(crate) fn ensure(name: &str, purpose: Purpose<'_>) -> Result<(), Error> {
    let there = link::get(name)?;
    if !there.as_ref().is_some_and(|l| l.bridge) {
        if there.is_some() {
            let Purpose::OnePort { .. } = purpose else {
                let other = io::Error::new(io::ErrorKind::AlreadyExists, "a link of that name is no bridge");
                return Err(Error::kernel(format!("make bridge {name}"))(other));
            };
            link::delete(name)?;
        }
        make(name, purpose)?;
    }
    let mut change = named(name);
    if let Purpose::OnePort { owner } = purpose {
        link::seclude(name)?;
        change.attributes.push(LinkAttribute::IfAlias(owner.to_owned()));
    }
    bring_up(change, name)
}

/// With the settings of Nova's library (os-vif, `vif_plug_ovs/linux_net.py`; `vif_plug_linux_bridge/linux_net.py` of
/// the releases that had it).
fn make(name: &str, purpose: Purpose<'_>) -> Result<(), Error> {
    let mut settings = vec![InfoBridge::StpState(BridgeStpState::Disabled), InfoBridge::ForwardDelay(0)];
    if let Purpose::OnePort { .. } = purpose {
        settings.extend([
            // Two links: what is not for one is for the other, and nothing is to be remembered of a container that
            // has moved.
            InfoBridge::AgeingTime(0),
            InfoBridge::MulticastSnooping(false),
            // What the bridge is there for. The agent says so for all bridges; a kernel without br_netfilter does not
            // mind.
            InfoBridge::NfCallIpTables(true),
            InfoBridge::NfCallIp6Tables(true),
        ]);
    }
    let mut message = named(name);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(settings)),
    ]));
    match request(RTM_NEWLINK, NLM_F_CREATE_NEW, &message) {
        // Neutron's agent was faster.
        Err(f) if f.errno == Some(Errno::EXIST) => return Ok(()),
        Err(f) => return Err(Error::kernel(format!("make bridge {name}"))(f.error)),
        Ok(_) => {}
    }
    // The host has no address on a network only because a container is in it.
    link::without_ipv6(name)
}

/// Puts a link into a bridge, and brings it up.
///
/// # Errors
/// [`Error::Kernel`], also when there is no such bridge.
pub(crate) fn join(name: &str, bridge: &str) -> Result<(), Error> {
    let doing = format!("put link {name} into bridge {bridge}");
    let failed = |source| Error::Kernel { doing: doing.clone(), source };
    let into = link::get(bridge)?.ok_or_else(|| failed(Errno::NODEV.into()))?;
    let mut message = named(name);
    message.attributes.push(LinkAttribute::Controller(into.index));
    request(RTM_NEWLINK, 0, &message).map_err(|f| failed(f.error))?;
    bring_up(named(name), name)
}
