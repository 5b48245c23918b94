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
use super::remote::ServerArgs;
use crate::printer::Printer;
use stackyard_catalog::manifest::{self, Yard};
use stackyard_core::progress::Onlooker;
use stackyard_core::yard::plan::Plan;
use stackyard_openstack::{Cloud, Sources};
use stackyard_server::api::{HostView, StackView};
use stackyard_server::client::{Client, ClientError};
use stackyard_server::{
    DataLoss, DeclaredStacks, Graph, GraphCloud, HostService, Inventory, Records, Sight, TemplateRenderer, connect,
    is_its_yard,
};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

/// Which yard on which cloud.
#[derive(clap::Args)]
pub struct YardArgs {
    /// The manifest
    #[arg(short, long, value_name = "FILE", default_value = "yard.yaml")]
    pub(super) file: PathBuf,

    #[command(flatten)]
    pub(super) cloud: CloudArgs,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// Which cloud.
#[derive(clap::Args)]
pub struct CloudArgs {
    /// The cloud, an entry of clouds.yaml [default: the manifest's, OS_CLOUD, the OS_* variables, the only entry]
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,
}

/// Whether data may be lost.
#[derive(clap::Args)]
pub struct LossArgs {
    /// Remove and replace what holds data, too
    #[arg(long)]
    pub(in crate::cli) allow_data_loss: bool,
}

impl LossArgs {
    /// What the command line allows.
    fn word(&self) -> DataLoss {
        DataLoss::allowed_if(self.allow_data_loss)
    }

    /// What may be lost when this plan is carried out: as the command line says, else what the user
    /// confirms by typing the name of each resource; none if the user types something else.
    ///
    /// # Errors
    /// If data would be lost, nothing allows it, and there is no one to ask.
    fn settle(&self, plan: &Plan, yes: bool, printer: &Printer) -> anyhow::Result<Option<DataLoss>> {
        let word = self.word();
        let Err(refused) = word.check(plan) else { return Ok(Some(word)) };
        if !can_ask(yes, printer) {
            return Err(refused.into());
        }
        for step in plan.losses() {
            let name = &step.key.name;
            if !printer.typed(&format!("The data of {} is lost. Type its name, `{name}`:", step.key), name)? {
                return Ok(None);
            }
        }
        Ok(Some(DataLoss::confirmed(plan)))
    }
}

/// Whether the user can be asked.
fn can_ask(yes: bool, printer: &Printer) -> bool {
    !yes && !printer.is_json() && std::io::stdin().is_terminal()
}

impl CloudArgs {
    /// Connects to the cloud that the user names, else to the manifest's.
    pub async fn connect(&self, manifest: Option<&str>, onlooker: &Arc<dyn Onlooker>) -> anyhow::Result<Cloud> {
        let (name, sources) = (self.cloud.as_deref().or(manifest), Sources::of_process());
        Ok(connect(name, &sources, onlooker.clone()).await?)
    }
}

impl YardArgs {
    pub(super) fn load(&self) -> anyhow::Result<Yard> {
        Ok(manifest::load(&self.file)?)
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

/// A yard as it is.
pub struct Seen {
    /// What joins what.
    pub graph: Graph,
    /// What its project has.
    pub inventory: Inventory,
    /// Its hosts; none where no server answers.
    pub hosts: Vec<HostView>,
}

impl Seen {
    /// Looks at the yard's cloud, and asks the server for its hosts and stacks.
    pub async fn look(args: &YardArgs, context: &Context) -> anyhow::Result<Self> {
        let yard = args.load()?;
        let name = &yard.intended.yard;
        let cloud = args.connect(&yard, context).await?;
        let service = args.service(context)?;
        let inventory = Inventory::take_of(&cloud, &yard.intended).await?;
        inventory.warn(&*context.printer.onlooker());
        let service = match service {
            Some(client) if matches!(is_its_yard(&client, name, &inventory.scope).await, Ok(false)) => {
                let text = "note: hosts and stacks are not shown: the server's yard of this name is another project's";
                context.printer.say(text);
                None
            }
            other => other,
        };
        let views = there(name, service.as_ref()).await?;
        let hosts = match &service {
            Some(client) if views.is_some() => client.hosts(Some(name), None).await?,
            _ => Vec::new(),
        };
        let stacks = views.unwrap_or_default();
        let sight =
            Sight { inventory: Some(&inventory), intended: Some(&yard.intended), hosts: &hosts, stacks: &stacks };
        let mut graph = Graph::of(name, sight);
        graph.cloud = Some(GraphCloud { name: cloud.config().name.clone(), looked: None, error: None });
        Ok(Self { graph, inventory, hosts })
    }
}

/// A client as what hosts join.
fn as_service(client: Option<&Client>) -> Option<&dyn HostService> {
    client.map(|c| c as &dyn HostService)
}

/// Looks at the stacks of a manifest; what in their files has no effect is said.
async fn look(yard: &Yard, client: Option<&Client>, context: &Context) -> anyhow::Result<Option<DeclaredStacks>> {
    let printer = context.printer.clone();
    Ok(DeclaredStacks::look(yard, client, &TemplateRenderer::here(), &move |text: String| printer.say(text)).await?)
}

/// The stacks of a yard; none where no server answers.
async fn there(name: &str, client: Option<&Client>) -> anyhow::Result<Option<Vec<StackView>>> {
    let Some(client) = client else { return Ok(None) };
    match client.stacks(name).await {
        Ok(stacks) => Ok(Some(stacks)),
        Err(ClientError::Unreachable { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
