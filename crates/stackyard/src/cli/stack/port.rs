//! `stackyard stack port`

use super::YardNameArgs;
use crate::cli::{Context, ExitStatus};
use crate::printer::{UserError, table};
use anyhow::bail;
use serde::Serialize;
use stackyard_api::{HostView, StackView};
use stackyard_core::agent::BoundPort;
use stackyard_core::stack::PortProtocol;
use std::net::{IpAddr, SocketAddr};

/// Arguments of `stackyard stack port`.
#[derive(clap::Args)]
pub struct PortArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,

    /// Service or container, such as `web`, `web-2` or `web@host-1` [default: all]
    service: Option<String>,

    /// Only this port of the containers, such as `80` or `53/udp`
    #[arg(value_parser = port)]
    port: Option<(u16, PortProtocol)>,
}

/// A port as people write it, with TCP unless they say otherwise.
fn port(text: &str) -> Result<(u16, PortProtocol), String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = PortProtocol::from_word(&protocol.to_ascii_lowercase())
        .ok_or("expected PORT, or PORT/PROTOCOL with tcp, udp or sctp")?;
    Ok((number.parse().map_err(|_| format!("{number:?} is not a port"))?, protocol))
}

/// A port of a container, and where it is reached.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    container: String,
    host: String,
    target: u16,
    protocol: PortProtocol,
    /// An address of the host; absent if the server knows none.
    address: Option<IpAddr>,
    published: u16,
}

/// Prints where published ports are reached; exit code 1 if there are none.
pub async fn run(args: PortArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let client = args.yard.client(context)?;
    let stack = client.stack(&args.yard.yard, &args.stack, false).await?;
    let hosts = client.hosts(Some(&args.yard.yard), None).await?;
    let rows = rows(&stack, &hosts, args.service.as_deref(), args.port);
    if rows.is_empty() {
        let port = args.port.map(|(number, protocol)| format!(" {number}/{}", protocol.word())).unwrap_or_default();
        let of = args.service.map(|service| format!(" of {service}")).unwrap_or_default();
        bail!(UserError::new(
            format!("cannot find a published port{port}{of} in the stack {}", args.stack),
            format!("run `stackyard stack show {}` for its containers", args.stack),
        ));
    }
    context
        .printer
        .result(&rows, || table::table(["CONTAINER", "PORT", "HOST", "ADDRESS"], rows.iter().map(Row::cells)))?;
    Ok(ExitStatus::Done)
}

fn rows(stack: &StackView, hosts: &[HostView], only: Option<&str>, port: Option<(u16, PortProtocol)>) -> Vec<Row> {
    let all = stack.status.services.iter().flat_map(|s| s.replicas.iter().map(move |r| (s, r)));
    let asked = all.filter(|(s, r)| only.is_none_or(|only| r.is_called(&s.name, only)));
    let row = |host: &str, host_name: &str, container: &str, bound: &BoundPort| {
        let machine = hosts.iter().find(|h| h.id == host).and_then(|h| h.address);
        Row {
            container: container.to_owned(),
            host: host_name.to_owned(),
            target: bound.target,
            protocol: bound.protocol,
            address: bound.host_ip.or(machine),
            published: bound.published,
        }
    };
    asked
        .flat_map(|(_, r)| r.ports.iter().map(move |bound| row(&r.host, &r.host_name, &r.name, bound)))
        .filter(|row| port.is_none_or(|port| port == (row.target, row.protocol)))
        .collect()
}

impl Row {
    fn cells(&self) -> [String; 4] {
        let port = format!("{}/{}", self.target, self.protocol.word());
        let address = match self.address {
            Some(address) => SocketAddr::new(address, self.published).to_string(),
            None => format!(":{}", self.published),
        };
        [self.container.clone(), port, self.host.clone(), address]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_people_write_them() {
        assert_eq!(port("80"), Ok((80, PortProtocol::Tcp)));
        assert_eq!(port("53/UDP"), Ok((53, PortProtocol::Udp)));
        assert!(port("53/ip").is_err() && port("http").is_err() && port("70000").is_err());
    }

    #[test]
    fn an_address_can_be_pasted() {
        let row = |address: Option<&str>| Row {
            container: "web-1".into(),
            host: "host-1".into(),
            target: 80,
            protocol: PortProtocol::Tcp,
            address: address.map(|a| a.parse().unwrap()),
            published: 8080,
        };
        let address = |of: Option<&str>| row(of).cells()[3].clone();
        assert_eq!(address(Some("10.0.0.5")), "10.0.0.5:8080");
        assert_eq!(address(Some("2001:db8::5")), "[2001:db8::5]:8080");
        assert_eq!(address(None), ":8080");
    }
}
