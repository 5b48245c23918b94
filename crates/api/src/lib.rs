//! The API's words: bodies and answers of `/api/v1` as data, for the server, its client and the command line.
//!
//! One file a noun, as in the server's handlers (`crates/server/src/api`). Nothing here decides anything or
//! does I/O; the OpenAPI document, `openapi/stackyard.json`, is made from these types and the handlers'
//! annotations.

mod archive;
mod audit;
mod cloud;
mod container_event;
mod doctor;
mod draft;
mod event;
mod graph;
mod host;
mod join;
mod local;
mod net;
mod path;
mod problem;
mod resource;
mod role;
mod run;
mod secret;
mod server;
mod server_console;
mod session;
mod ssh;
mod stack;
mod stack_stream;
mod stack_top;
mod stack_update;
mod time;
mod token;
mod volume;
mod yard;
mod yard_plan;
mod yard_scope;
mod yard_status;

pub use archive::{ArchiveCheck, ArchiveNeeds};
pub use audit::{AuditEntry, AuditFilter, AuditKind, AuditResult};
pub use cloud::{CloudChoice, CloudChoices, CloudView, DraftText};
pub use container_event::{ContainerEvent, ContainerEventKind};
pub use doctor::{
    MtuAdvice, MtuEnd, MtuEvent, MtuFix, MtuPair, MtuReport, MtuRequest, MtuSet, MtuStep, MtuWay,
};
pub use draft::{DraftError, DraftJoin, YardDraft};
pub use event::Revisions;
pub use graph::{Graph, GraphCloud, GraphEdge, GraphEdgeKind, GraphKind, GraphNode};
pub use host::{Drain, HostAddress, HostView, Replacement, host_health};
pub use join::{JoinTicket, NewJoin};
pub use local::{
    AnswerOrigin, LocalAnswers, LocalDetail, LocalPlan, LocalPreview, LocalQuestion, LocalRequest,
    LocalRun, LocalService, LocalServices, LocalStep, LocalView, QuestionType,
};
pub use net::{
    MtuPath, MtuPaths, PortKind, PortList, PortOwner, PortView, ReachView, RuleError, RuleRequest,
    RuleView, RulesRequest, RulesText, SecurityGroupView,
};
pub use path::segment;
pub use problem::{Diagnostic, Problem};
pub use resource::ResourceStatus;
pub use role::Role;
pub use run::{RunCounts, RunDetail, RunEvent, RunKind, RunState, RunStep, RunView, StepState};
pub use secret::{SecretValue, SecretView};
pub use server::{ServerHealth, ServerView, Version};
pub use server_console::ServerConsole;
pub use session::{ByCredential, ByPassword, NewSession, SessionToken, SessionView, SignInView};
pub use ssh::{PoolKey, SshDisk, SshEvent, SshJoin};
pub use stack::{StackChange, StackChangeKind, StackDeploy, StackScale, StackVersion, StackView};
pub use stack_stream::{ExecInput, ExecOutput, StackLine};
pub use stack_top::ContainerTop;
pub use stack_update::{ServiceDefinition, ServiceUpdate, StackDefinition, StackUpdate};
pub use stackyard_core::health::Health;
pub use stackyard_core::stack::status::{ServiceHealth, ServiceState};
pub use time::{now, seconds, time};
pub use token::{MintedToken, NewToken, TokenView};
pub use volume::VolumeView;
pub use yard::{ManifestText, ManifestView, YardView, manifest_digest};
pub use yard_plan::{ManifestChecked, YardPlan, YardRequest};
pub use yard_scope::YardScope;
pub use yard_status::{QuotaUse, YardStatus};
