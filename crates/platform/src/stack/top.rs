//! Processes of a stack's containers.

use super::{Engine, Error};
use crate::docker::is_not_found;
use bollard::query_parameters::TopOptions;
use stackyard_core::agent::Processes;
use stackyard_core::stack::plan::container_name;

impl Engine {
    /// The processes in the container of `service`, as `ps -ef` on the engine's machine lists them; `None` when the
    /// service has no container.
    ///
    /// # Errors
    /// [`Error::Engine`], also when the container does not run.
    pub async fn processes(&self, stack: &str, service: &str) -> Result<Option<Processes>, Error> {
        let container = container_name(stack, service);
        match self.api().top_processes(&container, None::<TopOptions>).await {
            Err(e) if is_not_found(&e) => Ok(None),
            Err(e) => Err(Error::engine(format!("list the processes of container {container}"))(e)),
            Ok(top) => {
                Ok(Some(Processes { titles: top.titles.unwrap_or_default(), rows: top.processes.unwrap_or_default() }))
            }
        }
    }
}
