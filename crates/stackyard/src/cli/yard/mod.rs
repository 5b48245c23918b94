//! Verbs about yards: `init`, `up`, `plan`, `down`, `status`, `console`, `graph`, `sweep`.

pub mod console;
pub mod down;
pub mod graph;
pub mod init;
pub mod plan;
pub mod status;
pub mod sweep;
pub mod up;

use super::Context;
use super::catalog::catalogs;
use super::remote::ServerArgs;
use crate::printer::Printer;
use stackyard_api::{Graph, GraphCloud, HostView, StackView};
use stackyard_catalog::manifest::{self, Yard};
use stackyard_client::{Client, ClientError};
use stackyard_core::progress::Onlooker;
use stackyard_core::yard::plan::Plan;
use stackyard_openstack::{Cloud, Sources};
use stackyard_yard::{
    DataLoss, DeclaredStacks, GraphInput, HostService, Inventory, Records, TemplateRenderer, connect, draw_graph,
    is_its_yard,
};
use std::path::PathBuf;
use std::sync::Arc;

/// Options that select a yard and its cloud.
#[derive(clap::Args)]
pub struct YardArgs {
    /// Manifest of the yard
    #[arg(short, long, value_name = "FILE", default_value = "yard.yaml")]
    pub(super) file: PathBuf,

    #[command(flatten)]
    pub(super) cloud: CloudArgs,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// Options that select a cloud.
#[derive(clap::Args)]
pub struct CloudArgs {
    /// Entry of clouds.yaml [default: the manifest's, OS_CLOUD, the OS_* variables, the only entry]
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,
}

/// Options that allow the loss of data.
#[derive(clap::Args)]
pub struct LossArgs {
    /// Allow removing and replacing resources that hold data
    #[arg(long)]
    pub(in crate::cli) allow_data_loss: bool,
}

impl LossArgs {
    /// The data loss that the command line allows.
    fn data_loss(&self) -> DataLoss {
        DataLoss::allowed_if(self.allow_data_loss)
    }

    /// The data loss that is allowed for this plan: by the command line, else by the user, who
    /// types the name of each resource. `None` if the user types something else.
    ///
    /// # Errors
    /// If the plan loses data without permission, and there is no terminal to ask on.
    fn confirm(&self, plan: &Plan, yes: bool, printer: &Printer) -> anyhow::Result<Option<DataLoss>> {
        let allowed = self.data_loss();
        let Err(refused) = allowed.check(plan) else { return Ok(Some(allowed)) };
        if yes || !printer.can_ask() {
            return Err(refused.into());
        }
        for step in plan.losses() {
            let name = &step.key.name;
            let question = format!("This deletes the data of {}. Type its name, `{name}`:", step.key);
            if !printer.confirm_by_name("delete data", &question, name)? {
                return Ok(None);
            }
        }
        Ok(Some(DataLoss::confirmed(plan)))
    }
}

impl CloudArgs {
    /// Connects to the cloud that the user names, else to the manifest's.
    pub async fn connect(&self, manifest: Option<&str>, onlooker: &Arc<dyn Onlooker>) -> anyhow::Result<Cloud> {
        let (name, sources) = (self.cloud.as_deref().or(manifest), Sources::of_process());
        Ok(connect(name, &sources, onlooker.clone()).await?)
    }
}

impl YardArgs {
    pub(super) fn load(&self, context: &Context) -> anyhow::Result<Yard> {
        Ok(manifest::load_with(&self.file, &catalogs(context))?)
    }

    /// The server that hosts of pools join, if there is one.
    fn service(&self, context: &Context) -> anyhow::Result<Option<Client>> {
        self.server.client_if_any(context)
    }

    async fn connect(&self, yard: &Yard, context: &Context) -> anyhow::Result<Cloud> {
        self.cloud.connect(yard.intended.cloud.as_deref(), &context.printer.onlooker()).await
    }
}

fn records(context: &Context) -> Records {
    Records::new(&context.home)
}

/// A yard as the cloud and the server report it now.
pub struct ObservedYard {
    /// Resources, hosts and containers, and their connections.
    pub graph: Graph,
    /// Resources in the yard's project.
    pub inventory: Inventory,
    /// Hosts of the yard; empty if no server answers.
    pub hosts: Vec<HostView>,
}

impl ObservedYard {
    /// Reads the yard's resources from the cloud, and its hosts and stacks from the server.
    pub async fn observe(args: &YardArgs, context: &Context) -> anyhow::Result<Self> {
        let yard = args.load(context)?;
        let name = &yard.intended.yard;
        let cloud = args.connect(&yard, context).await?;
        let service = args.service(context)?;
        let inventory = Inventory::take_of(&cloud, &yard.intended).await?;
        inventory.warn(&*context.printer.onlooker());
        let service = match service {
            Some(client) if matches!(is_its_yard(&client, name, &inventory.scope).await, Ok(false)) => {
                context.printer.note(format!(
                    "note: hosts and stacks are hidden: on the server, another project has the yard `{name}`"
                ));
                None
            }
            other => other,
        };
        let views = list_stacks(name, service.as_ref()).await?;
        let hosts = match &service {
            Some(client) if views.is_some() => client.hosts(Some(name), None).await?,
            _ => Vec::new(),
        };
        let stacks = views.unwrap_or_default();
        let sight =
            GraphInput { inventory: Some(&inventory), intended: Some(&yard.intended), hosts: &hosts, stacks: &stacks };
        let mut graph = draw_graph(name, sight);
        graph.cloud = Some(GraphCloud { name: cloud.config().name.clone(), observed_at: None, error: None });
        Ok(Self { graph, inventory, hosts })
    }
}

/// A client as the service that hosts join.
fn as_host_service(client: Option<&Client>) -> Option<&dyn HostService> {
    client.map(|c| c as &dyn HostService)
}

/// Reads the stacks of a manifest, and prints which lines of their files have no effect.
async fn load_stacks(
    yard: &Yard,
    client: Option<&Client>,
    context: &Context,
) -> anyhow::Result<Option<DeclaredStacks>> {
    let printer = context.printer.clone();
    let note = move |text: String| printer.note(text);
    // Packages of catalogs come from others.
    let renderer = match yard.packages.is_empty() {
        true => TemplateRenderer::here(),
        false => TemplateRenderer::apart(std::env::current_exe()?),
    };
    Ok(DeclaredStacks::look(yard, client, &renderer, &note).await?)
}

/// The stacks of a yard on the server; `None` if no server answers.
async fn list_stacks(name: &str, client: Option<&Client>) -> anyhow::Result<Option<Vec<StackView>>> {
    let Some(client) = client else { return Ok(None) };
    match client.stacks(name).await {
        Ok(stacks) => Ok(Some(stacks)),
        Err(ClientError::Unreachable { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
