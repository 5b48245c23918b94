//! The MTU of container networks: that of the host's own network.
//!
//! A network that is made with another MTU is another network to the engine: it and its
//! containers are made anew. So a change counts only when it has lasted: an interface that has
//! not heard from DHCP after a boot has another MTU for a while.

use crate::context::Context;
use crate::default_route;
use crate::state::Durable;
use stackyard_core::agent::AgentConfig;
use stackyard_core::stack::Stack;
use std::time::Duration;
use tokio::time::Instant;

const FILE: &str = "mtu.json";

/// How often the interface is looked at.
const EVERY: Duration = Duration::from_secs(20);

/// How long another MTU must last.
const LASTS: Duration = Duration::from_secs(60);

/// What Docker takes without being told.
const DEFAULT: u32 = 1500;

/// Option of Docker's bridge driver.
pub(crate) const OPTION: &str = "com.docker.network.driver.mtu";

/// MTU of containers on this host now: what is configured, else that of the default route.
pub(crate) fn now(config: &AgentConfig) -> Option<u32> {
    config.mtu.or_else(|| default_route::interface().and_then(|i| default_route::mtu(&i)))
}

/// Takes over the MTU known from before, else the present one.
pub(crate) fn begin(context: &Context, config: &AgentConfig) {
    let known = context.state.read(FILE).unwrap_or_else(|e| {
        context.complain("the MTU is looked up again", &e);
        None
    });
    match known {
        Some(mtu) => drop(context.mtu.send_replace(Some(mtu))),
        None => adopt(context, now(config)),
    }
}

/// Watches for another MTU, for ever.
pub(crate) async fn watch(context: &Context, config: &AgentConfig) {
    let mut other: Option<(u32, Instant)> = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let (known, seen) = (*context.mtu.borrow(), now(config));
        match seen {
            Some(mtu) if known.is_none() => adopt(context, Some(mtu)),
            Some(mtu) if known != Some(mtu) => match other {
                Some((same, since)) if same == mtu => {
                    if since.elapsed() >= LASTS {
                        context.say(format!("the network's MTU is {mtu} now; networks of containers are recreated"));
                        adopt(context, Some(mtu));
                    }
                }
                _ => other = Some((mtu, Instant::now())),
            },
            _ => other = None,
        }
    }
}

fn adopt(context: &Context, mtu: Option<u32>) {
    let Some(mtu) = mtu else { return };
    if let Err(e) = context.state.write(FILE, &mtu, Durable::Yes) {
        context.complain("the MTU is not remembered", &e);
    }
    context.mtu.send_replace(Some(mtu));
}

/// Gives the networks of a stack the host's MTU, where the user has not chosen one.
pub(crate) fn apply(stack: &mut Stack, mtu: Option<u32>) {
    let Some(mtu) = mtu.filter(|m| *m != DEFAULT) else { return };
    for key in stack.network_keys() {
        let mut network = stack.network(&key);
        let bridge = network.driver.as_deref().is_none_or(|d| d == "bridge");
        if bridge && !network.external && !network.driver_opts.contains_key(OPTION) {
            network.driver_opts.insert(OPTION.to_owned(), mtu.to_string());
            stack.networks.insert(key, network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::{Network, Service};

    #[test]
    fn networks_get_it_unless_the_user_chose() {
        let mut stack = Stack { name: "s".into(), ..Stack::default() };
        stack.services.insert("web-1".into(), Service::default());
        let before = stack.clone();
        apply(&mut stack, Some(1500));
        apply(&mut stack, None);
        assert_eq!(stack, before);
        apply(&mut stack, Some(1442));
        assert_eq!(stack.networks["default"].driver_opts[OPTION], "1442");
        assert_eq!(stack.networks["default"].name, "s_default");
        apply(&mut stack, Some(1400));
        assert_eq!(stack.networks["default"].driver_opts[OPTION], "1442", "chosen already");
        let mut stack = before;
        stack.networks.insert("default".into(), Network { driver: Some("macvlan".into()), ..Network::default() });
        apply(&mut stack, Some(1442));
        assert!(stack.networks["default"].driver_opts.is_empty());
    }
}
