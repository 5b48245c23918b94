//! Containers' neighbours are told of their addresses, which others may have had before: once the container's end of
//! the link is in its namespace and has them, which no call tells, and again after that, since what Neutron lets through
//! is known to its switches some moments later.

use crate::log::agent_note;
use crate::network::ledger::Endpoint;
use crate::network::port_manager::PortManager;
use stackyard_core::text::error_chain;
use stackyard_wire::Error;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::sleep;

/// Pauses before each time. RFC 5227 has two announcements, two seconds apart (`ANNOUNCE_NUM`, `ANNOUNCE_INTERVAL`).
/// They go on until even a host and a cloud that are slow have done their part.
pub(crate) const PAUSES: &[Duration] = &[
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
];

impl PortManager {
    /// Has an endpoint's addresses announced by `announce`, which answers how many there were and may block, after each
    /// of `pauses`. Nobody waits for that.
    pub(crate) fn announce(
        &self,
        endpoint: &Endpoint,
        pauses: &'static [Duration],
        announce: impl Fn(&[IpAddr]) -> Result<usize, Error> + Clone + Send + 'static,
    ) {
        let addresses: Vec<IpAddr> = endpoint.addresses().collect();
        let (port, onlooker) = (endpoint.port.clone(), self.onlooker.clone());
        tokio::spawn(async move {
            let mut failed = None;
            for pause in pauses {
                sleep(*pause).await;
                let (announce, addresses) = (announce.clone(), addresses.clone());
                match tokio::task::spawn_blocking(move || announce(&addresses)).await {
                    Ok(Ok(count)) if count > 0 => failed = None,
                    Ok(Err(e)) => failed = Some(e),
                    // It has none yet, or none any more; or this process ends.
                    Ok(Ok(_)) | Err(_) => {}
                }
            }
            if let Some(e) = failed {
                onlooker
                    .see(agent_note(format!("the addresses of port {port} were not announced: {}", error_chain(&e))));
            }
        });
    }
}
