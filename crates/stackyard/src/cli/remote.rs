//! The server that a verb talks to.

use super::Context;
use anyhow::Context as _;
use stackyard_client::{Address, Client};
use stackyard_server::daemon;
use std::path::PathBuf;

/// Heading of the options that select a server.
const SERVER: &str = "Server options";

/// Options that select a server.
#[derive(clap::Args)]
pub struct ServerArgs {
    /// URL of the server [default: the socket of this machine's server]
    #[arg(long, help_heading = SERVER, env = "STACKYARD_SERVER", value_name = "URL", requires = "token")]
    server: Option<String>,

    /// Token for the server; use the environment variable to hide it
    #[arg(
        long = "server-token",
        help_heading = SERVER,
        env = "STACKYARD_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,

    /// CA certificate of the server, a PEM file
    #[arg(long = "server-ca", help_heading = SERVER, env = "STACKYARD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Reads a CA certificate (PEM).
pub fn read_ca(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read the CA certificate {}", path.display()))
}

impl ServerArgs {
    /// A client of it, if one was named or runs on this machine.
    pub fn client_if_any(&self, context: &Context) -> anyhow::Result<Option<Client>> {
        let any = self.server.is_some() || daemon::socket(&context.home).exists();
        if any { self.client(context).map(Some) } else { Ok(None) }
    }

    /// A client of it.
    pub fn client(&self, context: &Context) -> anyhow::Result<Client> {
        let address = match (&self.server, &self.token) {
            (Some(url), Some(token)) => {
                let ca = self.ca.as_deref().map(read_ca).transpose()?;
                Address::Url { url: url.clone(), token: token.clone(), ca }
            }
            _ => Address::Socket(daemon::socket(&context.home)),
        };
        Ok(Client::new(&address)?)
    }
}

/// Options that select a yard on a server.
#[derive(clap::Args)]
pub struct YardNameArgs {
    /// Name of the yard
    #[arg(short = 'y', long, value_name = "YARD", env = "STACKYARD_YARD")]
    pub yard: String,

    #[command(flatten)]
    server: ServerArgs,
}

impl YardNameArgs {
    /// A client for the server.
    pub fn client(&self, context: &Context) -> anyhow::Result<Client> {
        self.server.client(context)
    }
}
