//! `stackyard token`

use super::remote::ServerArgs;
use super::{Context, ExitStatus, sign_in};
use crate::printer::table;
use clap::{Subcommand, ValueEnum};
use stackyard_api::{NewToken, Role};

/// Verbs of `stackyard token`.
#[derive(Subcommand)]
pub enum TokenVerb {
    /// Create a token for the server's API and print it once
    Create(CreateArgs),
    /// List tokens without their secrets
    List(ListArgs),
    /// Revoke a token
    Revoke(RevokeArgs),
    /// Exchange a cloud account for a temporary token
    ///
    /// The token is printed once and lasts some hours. The server must run with --sign-in-cloud.
    SignIn(sign_in::SignInArgs),
}

/// Role of a token.
#[derive(Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Read everything except secrets, tokens and the audit log
    Viewer,
    /// Also change yards, hosts and stacks
    Operator,
    /// Also create and revoke tokens and read the audit log
    Admin,
}

/// Arguments of `stackyard token create`.
#[derive(clap::Args)]
pub struct CreateArgs {
    /// Name of the token, such as its owner
    name: String,

    /// Role of the token
    #[arg(long, default_value = "viewer")]
    role: RoleArg,

    /// Expire after this many days [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=40_000))]
    days: Option<u32>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard token list`.
#[derive(clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard token revoke`.
#[derive(clap::Args)]
pub struct RevokeArgs {
    /// Name or ID of the token
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Runs a verb of `stackyard token`.
pub async fn run(verb: TokenVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        TokenVerb::Create(args) => {
            let role = match args.role {
                RoleArg::Viewer => Role::Viewer,
                RoleArg::Operator => Role::Operator,
                RoleArg::Admin => Role::Admin,
            };
            let token = NewToken { name: args.name, role, ttl_s: args.days.map(|d| d * 86_400) };
            let minted = args.server.client(context)?.new_token(&token).await?;
            context.printer.result(&minted, || minted.token.clone())?;
        }
        TokenVerb::SignIn(args) => return sign_in::run(args, context).await,
        TokenVerb::List(args) => {
            let tokens = args.server.client(context)?.tokens().await?;
            context.printer.result(&tokens, || {
                let or = |time: &Option<String>, word: &str| time.clone().unwrap_or_else(|| word.to_owned());
                let rows = tokens.iter().map(|t| {
                    [
                        t.name.clone(),
                        t.role.clone(),
                        t.created.clone(),
                        or(&t.expires, "never"),
                        or(&t.last_used, "never"),
                        t.id.clone(),
                    ]
                });
                table::table(["NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED", "ID"], rows)
            })?;
        }
        TokenVerb::Revoke(args) => {
            args.server.client(context)?.revoke_token(&args.name).await?;
            context.printer.result(&serde_json::json!({"revoked": args.name}), || format!("Revoked {}.", args.name))?;
        }
    }
    Ok(ExitStatus::Done)
}
