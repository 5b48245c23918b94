//! Processes of containers, `stack top`.

use super::flow::StreamOutput;
use stackyard_core::agent::{Replica, Stream};
use stackyard_core::text::error_chain;
use stackyard_platform::stack::Engine;

/// Sends the processes of each replica, one piece of output each; what the engine says of a replica that does not run goes
/// to standard error.
pub(super) async fn run(engine: &Engine, stack: &str, replicas: &[Replica], out: &StreamOutput) -> Result<(), String> {
    for replica in replicas {
        let (from, data) = match engine.processes(stack, &replica.to_string()).await {
            Ok(Some(processes)) => (Stream::Stdout, serde_json::to_vec(&processes).map_err(|e| error_chain(&e))?),
            Ok(None) => continue,
            Err(error) => (Stream::Stderr, error_chain(&error).into_bytes()),
        };
        if !out.send(Some(replica), from, data).await {
            return Ok(());
        }
    }
    Ok(())
}
