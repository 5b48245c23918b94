//! What the engine has of a stack right now.

use super::spec::Spec;
use std::collections::BTreeMap;

/// Everything that bears a stack's mark, and what the stack refers to outside of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Containers of the stack, in any order.
    pub containers: Vec<Container>,
    /// Networks of the stack and external ones that it names, by name on the engine.
    pub networks: BTreeMap<String, Network>,
    /// Volumes of the stack and external ones that it names, by name on the engine;
    /// true for those that bear the stack's mark.
    pub volumes: BTreeMap<String, bool>,
    /// Images that the stack refers to and that are there, by reference as in the stack.
    pub images: BTreeMap<String, Image>,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// Its id, `sha256:...`.
    pub id: String,
    /// It brings a health test of its own.
    pub healthcheck: bool,
}

/// A network that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Digest of the settings that it was made from; absent when Stackyard did not make it
    /// for this stack.
    pub spec: Option<String>,
}

/// A container of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without the leading slash.
    pub name: String,
    /// The service that it was made for.
    pub service: String,
    /// It was made as a one-shot job.
    pub job: bool,
    /// What it was made from.
    pub spec: Spec,
    /// What it does.
    pub state: State,
    /// When it was last started, in nanoseconds since 1970; absent when it never was.
    pub started: Option<i64>,
    /// Ids of the containers it was made to follow, by service: those whose name spaces it
    /// shares and those whose recreation recreates it.
    pub follows: BTreeMap<String, String>,
    /// Ids of the networks it sits on, by name on the engine; empty where it never ran.
    pub networks: BTreeMap<String, String>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Made, and never started.
    #[default]
    Created,
    /// Runs.
    Running,
    /// Ended, and waits to be started again by the engine.
    Restarting,
    /// Frozen.
    Paused,
    /// Ended with this status.
    Exited(i64),
    /// Half removed.
    Dead,
}
