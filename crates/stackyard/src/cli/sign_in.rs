//! `stackyard token sign-in`

use super::remote::read_ca;
use super::{Context, End};
use anyhow::bail;
use stackyard_openstack::{Auth, CloudConfig, CredentialRef, Domain, Ref, Scope};
use stackyard_server::api::{ByCredential, ByPassword, NewSession};
use stackyard_server::client::Client;
use std::path::PathBuf;

/// Arguments of `stackyard token sign-in`.
#[derive(clap::Args)]
pub struct Args {
    /// Whose account: a cloud of your clouds.yaml [default: OS_CLOUD, the OS_* variables, the only entry]
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,

    /// What the server calls that cloud [default: the only one that it lets people sign in with]
    #[arg(long, value_name = "NAME")]
    at: Option<String>,

    /// URL of the server
    #[arg(long, env = "STACKYARD_SERVER", value_name = "URL")]
    server: String,

    /// File with the certificate of the server's CA (PEM)
    #[arg(long = "server-ca", env = "STACKYARD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Name and domain; the server's default domain is Keystone's own.
fn named(of: &Ref, what: &str, place: &str) -> anyhow::Result<(String, Option<String>)> {
    match of {
        Ref::Name { name, domain: Domain::Name(domain) } => Ok((name.clone(), Some(domain.clone()))),
        Ref::Name { name, domain: Domain::Id(id) } if id == "default" => Ok((name.clone(), None)),
        _ => bail!("cloud {place} names its {what} by an id; to sign in, name it and its domain by their names"),
    }
}

fn told(config: CloudConfig, at: Option<String>) -> anyhow::Result<NewSession> {
    let place = config.name;
    match (&config.auth, &config.scope) {
        (Auth::Password { user, password }, Scope::Project(project)) => {
            let (user, domain) = named(user, "user", &place)?;
            let (project, project_domain) = named(project, "project", &place)?;
            // Without one it would be the user's.
            let project_domain = project_domain.or_else(|| domain.as_ref().map(|_| "Default".to_owned()));
            let password = password.reveal().to_owned();
            Ok(NewSession::Password(ByPassword { cloud: at, user, domain, password, project, project_domain }))
        }
        (Auth::ApplicationCredential { id, secret }, _) => {
            let secret = secret.reveal().to_owned();
            let (credential, user, domain) = match id {
                CredentialRef::Id(id) => (id.clone(), None, None),
                CredentialRef::Name(name, user) => {
                    let (user, domain) = named(user, "user", &place)?;
                    (name.clone(), Some(user), domain)
                }
            };
            Ok(NewSession::ApplicationCredential(ByCredential { cloud: at, credential, secret, user, domain }))
        }
        _ => {
            bail!("cloud {place} has neither user, password and project nor an application credential to sign in with")
        }
    }
}

/// Trades an account on a cloud for a token.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let with = told(CloudConfig::load(args.cloud.as_deref())?, args.at)?;
    let ca = args.ca.as_deref().map(read_ca).transpose()?;
    let token = Client::https_without(&args.server, ca.as_deref())?.sign_in(&with).await?;
    context.printer.result(&token, || token.token.clone())?;
    Ok(End::Done)
}
