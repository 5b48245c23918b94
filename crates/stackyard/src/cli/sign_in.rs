//! `stackyard token sign-in`

use super::remote::read_ca;
use super::{Context, ExitStatus};
use crate::printer::UserError;
use anyhow::bail;
use stackyard_api::{ByCredential, ByPassword, NewSession};
use stackyard_client::Client;
use stackyard_openstack::{Auth, CloudConfig, CredentialRef, Domain, Ref, Scope};
use std::path::PathBuf;

/// Arguments of `stackyard token sign-in`.
#[derive(clap::Args)]
pub struct SignInArgs {
    /// Entry of clouds.yaml to sign in with [default: OS_CLOUD, the OS_* variables, the only entry]
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,

    /// Name of that cloud on the server
    ///
    /// [default: the only cloud that the server accepts for sign-in]
    #[arg(long, value_name = "NAME")]
    at: Option<String>,

    /// URL of the server
    #[arg(long, env = "STACKYARD_SERVER", value_name = "URL")]
    server: String,

    /// CA certificate of the server, a PEM file
    #[arg(long = "server-ca", env = "STACKYARD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Name and domain of a user or project. No domain stands for Keystone's domain `default`.
fn name_and_domain(of: &Ref, what: &str, place: &str) -> anyhow::Result<(String, Option<String>)> {
    match of {
        Ref::Name { name, domain: Domain::Name(domain) } => Ok((name.clone(), Some(domain.clone()))),
        Ref::Name { name, domain: Domain::Id(id) } if id == "default" => Ok((name.clone(), None)),
        _ => bail!(UserError::new(
            format!("cannot sign in with cloud {place}: its {what} is an ID"),
            format!("write the names of the {what} and of its domain to clouds.yaml"),
        )),
    }
}

/// The sign-in request for an entry of clouds.yaml; `at` is the server's name of that cloud.
fn session_request(config: CloudConfig, at: Option<String>) -> anyhow::Result<NewSession> {
    let place = config.name;
    match (&config.auth, &config.scope) {
        (Auth::Password { user, password }, Scope::Project(project)) => {
            let (user, domain) = name_and_domain(user, "user", &place)?;
            let (project, project_domain) = name_and_domain(project, "project", &place)?;
            // Keystone would take the user's domain if the project had none.
            let project_domain = project_domain.or_else(|| domain.as_ref().map(|_| "Default".to_owned()));
            let password = password.reveal().to_owned();
            Ok(NewSession::Password(ByPassword { cloud: at, user, domain, password, project, project_domain }))
        }
        (Auth::ApplicationCredential { id, secret }, _) => {
            let secret = secret.reveal().to_owned();
            let (credential, user, domain) = match id {
                CredentialRef::Id(id) => (id.clone(), None, None),
                CredentialRef::Name(name, user) => {
                    let (user, domain) = name_and_domain(user, "user", &place)?;
                    (name.clone(), Some(user), domain)
                }
            };
            Ok(NewSession::ApplicationCredential(ByCredential { cloud: at, credential, secret, user, domain }))
        }
        _ => {
            bail!(UserError::new(
                format!("cannot sign in with cloud {place}: it has no usable credentials"),
                "write a user, password and project or an application credential to clouds.yaml",
            ))
        }
    }
}

/// Exchanges a cloud account for a token.
pub async fn run(args: SignInArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let with = session_request(CloudConfig::load(args.cloud.as_deref())?, args.at)?;
    let ca = args.ca.as_deref().map(read_ca).transpose()?;
    let token = Client::https_without(&args.server, ca.as_deref())?.sign_in(&with).await?;
    context.printer.result(&token, || token.token.clone())?;
    Ok(ExitStatus::Done)
}
