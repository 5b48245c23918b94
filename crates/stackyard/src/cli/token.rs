//! `stackyard token`

use super::remote::ServerArgs;
use super::{Context, End, sign_in};
use crate::printer::table;
use clap::{Subcommand, ValueEnum};
use stackyard_server::api::NewToken;
use stackyard_server::auth::Role;

/// Verbs of `stackyard token`.
#[derive(Subcommand)]
pub enum Verb {
    /// Make a token for the server's API; it is printed this once
    Create(CreateArgs),
    /// List tokens, without the tokens
    List(ListArgs),
    /// Revoke a token
    Revoke(RevokeArgs),
    /// Trade an account on a cloud for a token that lasts some hours, where the server was started with
    /// --sign-in-cloud; it is printed this once
    SignIn(sign_in::Args),
}

/// What a token may do.
#[derive(Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Read all but secrets, tokens and the audit log
    Viewer,
    /// Change yards, hosts and stacks, too
    Operator,
    /// Make and revoke tokens and read the audit log, too
    Admin,
}

/// Arguments of `stackyard token create`.
#[derive(clap::Args)]
pub struct CreateArgs {
    /// Whose it is
    name: String,

    /// What it may do
    #[arg(long, default_value = "viewer")]
    role: RoleArg,

    /// Days that it lasts [default: for ever]
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
    /// Its name or id
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Runs one of them.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
    match verb {
        Verb::Create(args) => {
            let role = match args.role {
                RoleArg::Viewer => Role::Viewer,
                RoleArg::Operator => Role::Operator,
                RoleArg::Admin => Role::Admin,
            };
            let token = NewToken { name: args.name, role, ttl_s: args.days.map(|d| d * 86_400) };
            let minted = args.server.client(context)?.new_token(&token).await?;
            context.printer.result(&minted, || minted.token.clone())?;
        }
        Verb::SignIn(args) => return sign_in::run(args, context).await,
        Verb::List(args) => {
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
                table::table(["NAME", "ROLE", "CREATED", "ENDS", "LAST USED", "ID"], rows)
            })?;
        }
        Verb::Revoke(args) => {
            args.server.client(context)?.revoke_token(&args.name).await?;
            context
                .printer
                .result(&serde_json::json!({"revoked": args.name}), || format!("{} is revoked.", args.name))?;
        }
    }
    Ok(End::Done)
}
