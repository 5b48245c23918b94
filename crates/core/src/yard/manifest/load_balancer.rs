//! Load balancers.

use super::super::short::{self, Short};
use super::part;
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::IpAddr;

part! {
    /// One address whose load several servers share.
    LoadBalancer {
        /// Name.
        name: String,
        /// The network of its address; the yard's if there is just one.
        #[serde(default)]
        network: Option<String>,
        /// The subnet of its address; the network's first if absent.
        #[serde(default)]
        subnet: Option<String>,
        /// Its address; a free one if absent.
        #[serde(default)]
        address: Option<IpAddr>,
        /// Octavia's provider, as `ovn` or `amphora`; the cloud's default if absent.
        #[serde(default)]
        provider: Option<String>,
        /// What it listens on.
        listeners: Vec<Listener>,
    }
}

part! {
    /// What a load balancer listens on, and who answers.
    Listener {
        /// Port.
        port: u16,
        /// `tcp` unless said.
        #[serde(default)]
        proto: BalancedProtocol,
        /// The servers' port; the listener's if absent.
        #[serde(default)]
        to: Option<u16>,
        /// Servers of the yard: names, or more. The name of a server with `count`, or of a pool of
        /// hosts, means all of them.
        #[serde(default, deserialize_with = "short::list")]
        #[schemars(with = "Vec<Short<Member>>")]
        servers: Vec<Member>,
        /// How the load is shared; what the provider does best if absent.
        #[serde(default)]
        algorithm: Option<Algorithm>,
        /// How servers that do not answer are found out; they are not if absent.
        #[serde(default)]
        health_monitor: Option<HealthMonitor>,
    }
}

part! {
    /// A server that takes a part of the load.
    Member {
        /// The server's name.
        server: String,
        /// On which of its networks; the balancer's if it has that, else its first.
        #[serde(default)]
        network: Option<String>,
        /// Its port; the listener's `to` if absent.
        #[serde(default)]
        port: Option<u16>,
        /// How much it takes beside others; 1 unless said.
        #[serde(default)]
        weight: Option<u8>,
    }
}

impl From<String> for Member {
    fn from(server: String) -> Self {
        Self { server, network: None, port: None, weight: None }
    }
}

part! {
    /// How servers that do not answer are found out.
    HealthMonitor {
        /// What is tried; `tcp`, or `udp-connect` for a UDP listener, unless said.
        #[serde(default, rename = "type")]
        monitor_type: Option<MonitorType>,
        /// Seconds between two tries; 5 unless said.
        #[serde(default)]
        delay: Option<u16>,
        /// Seconds until a try has failed, at most `delay`; 3 unless said.
        #[serde(default)]
        timeout: Option<u16>,
        /// Tries until a server counts as failed, or as well again: 1 to 10; 3 unless said.
        #[serde(default)]
        retries: Option<u8>,
        /// What is asked for over HTTP; `/` unless said.
        #[serde(default)]
        path: Option<String>,
    }
}

/// Defines words of the manifest that are Octavia's in other letters.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            /// Octavia's word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// What a listener understands.
    #[derive(Default)]
    BalancedProtocol {
        /// Connections.
        #[default]
        Tcp = "TCP",
        /// Datagrams.
        Udp = "UDP",
        /// Requests: each goes its own way.
        Http = "HTTP",
    }
}

words! {
    /// How the load is shared.
    Algorithm {
        /// In turn.
        RoundRobin = "ROUND_ROBIN",
        /// To the one with the least connections.
        LeastConnections = "LEAST_CONNECTIONS",
        /// By the client's address.
        SourceIp = "SOURCE_IP",
        /// By the client's address and port; the only one of OVN.
        SourceIpPort = "SOURCE_IP_PORT",
    }
}

words! {
    /// What a health monitor tries.
    MonitorType {
        /// A connection.
        Tcp = "TCP",
        /// A datagram that is not refused.
        UdpConnect = "UDP-CONNECT",
        /// A request.
        Http = "HTTP",
        /// A request over TLS.
        Https = "HTTPS",
        /// An echo.
        Ping = "PING",
    }
}
