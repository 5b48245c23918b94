//! Stacks.

use super::{Client, ClientError};
use futures_util::{SinkExt, Stream, StreamExt, stream};
use reqwest::Method;
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use stackyard_api::{
    ContainerTop, ExecInput, ExecOutput, StackChange, StackDeploy, StackLine, StackScale,
    StackUpdate, StackVersion, StackView, segment,
};
use std::collections::BTreeMap;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Which logs.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Services or replicas; all when empty.
    pub only: Vec<String>,
    /// Go on with new lines.
    pub follow: bool,
    /// So many lines of each container that were written before; all if absent.
    pub tail: Option<u32>,
    /// Not older, in seconds since 1970.
    pub since: Option<i64>,
}

/// A program to run.
#[derive(Debug, Clone, Default)]
pub struct ExecQuery {
    /// Service or replica.
    pub replica: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// With a terminal.
    pub tty: bool,
    /// Whether input will come.
    pub stdin: bool,
    /// User; the container's if absent.
    pub user: Option<String>,
}

/// A program that runs.
pub struct ExecSession {
    socket: WebSocketStream<reqwest::Upgraded>,
}

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession").finish_non_exhaustive()
    }
}

impl ExecSession {
    /// Halves for input and output, to be used beside each other.
    pub fn split(self) -> (ExecSink, impl Stream<Item = ExecOutput> + Unpin) {
        let (sink, stream) = self.socket.split();
        let output = stream.filter_map(|message| {
            let output = match message {
                Ok(Message::Text(text)) => serde_json::from_str(&text).ok(),
                _ => None,
            };
            std::future::ready(output)
        });
        (ExecSink(sink), output)
    }
}

/// Where the input of a program goes.
#[derive(Debug)]
pub struct ExecSink(stream::SplitSink<WebSocketStream<reqwest::Upgraded>, Message>);

impl ExecSink {
    /// Sends input; false when nobody takes it any more.
    pub async fn send(&mut self, input: &ExecInput) -> bool {
        let text = serde_json::to_string(input).unwrap_or_default();
        self.0.send(Message::Text(text.into())).await.is_ok()
    }
}

fn path(yard: &str, stack: &str, rest: &str) -> String {
    format!(
        "/api/v1/yards/{}/stacks/{}{rest}",
        segment(yard),
        segment(stack)
    )
}

impl Client {
    /// Stacks of a yard.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn stacks(&self, yard: &str) -> Result<Vec<StackView>, ClientError> {
        let path = format!("/api/v1/yards/{}/stacks", segment(yard));
        self.list(&path, &format!("listing stacks of yard {yard}"))
            .await
    }

    /// A stack; with `wait` after the server has looked at it once more.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn stack(
        &self,
        yard: &str,
        stack: &str,
        wait: bool,
    ) -> Result<StackView, ClientError> {
        let rest = if wait { "?wait=true" } else { "" };
        self.get(
            &path(yard, stack, rest),
            &format!("asking for stack {stack} of yard {yard}"),
        )
        .await
    }

    /// Deploys a stack; what changes.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn deploy_stack(
        &self,
        yard: &str,
        stack: &str,
        deploy: &StackDeploy,
    ) -> Result<Vec<StackChange>, ClientError> {
        let request = self
            .request(Method::PUT, &path(yard, stack, ""))
            .json(deploy);
        self.json(request, &format!("deploying stack {stack} in yard {yard}"))
            .await
    }

    /// What deploying a stack would change.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn plan_stack(
        &self,
        yard: &str,
        stack: &str,
        deploy: &StackDeploy,
    ) -> Result<Vec<StackChange>, ClientError> {
        self.post(
            &path(yard, stack, "/plan"),
            deploy,
            &format!("planning stack {stack} of yard {yard}"),
        )
        .await
    }

    /// Changes services of a stack; what changes.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn update_stack(
        &self,
        yard: &str,
        stack: &str,
        update: &StackUpdate,
    ) -> Result<Vec<StackChange>, ClientError> {
        self.post(
            &path(yard, stack, "/update"),
            update,
            &format!("updating stack {stack} of yard {yard}"),
        )
        .await
    }

    /// What changes of services would change.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn plan_stack_update(
        &self,
        yard: &str,
        stack: &str,
        update: &StackUpdate,
    ) -> Result<Vec<StackChange>, ClientError> {
        let doing = format!("planning an update of stack {stack} of yard {yard}");
        self.post(&path(yard, stack, "/update/plan"), update, &doing)
            .await
    }

    /// Removes a stack.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn remove_stack(&self, yard: &str, stack: &str) -> Result<(), ClientError> {
        self.delete(
            &path(yard, stack, ""),
            &format!("removing stack {stack} of yard {yard}"),
        )
        .await
    }

    /// Changes how many containers services have.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn scale_stack(
        &self,
        yard: &str,
        stack: &str,
        services: BTreeMap<String, u32>,
    ) -> Result<(), ClientError> {
        let request = self
            .request(Method::POST, &path(yard, stack, "/scale"))
            .json(&StackScale { services });
        self.send(request, &format!("scaling stack {stack} of yard {yard}"))
            .await
            .map(drop)
    }

    /// Goes back to a version of a stack, the last one that worked unless `to` says which; that
    /// version.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn roll_back_stack(
        &self,
        yard: &str,
        stack: &str,
        to: Option<u64>,
    ) -> Result<StackVersion, ClientError> {
        let rest = to.map_or_else(|| "/rollback".to_owned(), |n| format!("/rollback?to={n}"));
        let request = self.request(Method::POST, &path(yard, stack, &rest));
        self.json(
            request,
            &format!("rolling stack {stack} of yard {yard} back"),
        )
        .await
    }

    /// Processes of a stack's containers.
    ///
    /// # Arguments
    /// - `only`: services or replicas; all when empty
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn stack_top(
        &self,
        yard: &str,
        stack: &str,
        only: &[String],
    ) -> Result<Vec<ContainerTop>, ClientError> {
        let rest = format!("/top?only={}", segment(&only.join(",")));
        self.get(
            &path(yard, stack, &rest),
            &format!("listing processes of stack {stack} of yard {yard}"),
        )
        .await
    }

    /// Logs of a stack's containers, as they come.
    ///
    /// # Errors
    /// [`ClientError`]; also for an item, when the connection ends.
    pub async fn stack_logs(
        &self,
        yard: &str,
        stack: &str,
        query: &LogQuery,
    ) -> Result<impl Stream<Item = Result<StackLine, ClientError>> + Unpin + use<>, ClientError>
    {
        let mut rest = format!(
            "/logs?only={}&follow={}",
            segment(&query.only.join(",")),
            query.follow
        );
        query
            .tail
            .iter()
            .for_each(|n| rest += &format!("&tail={n}"));
        query
            .since
            .iter()
            .for_each(|n| rest += &format!("&since={n}"));
        let doing = format!("reading logs of stack {stack} of yard {yard}");
        let response = self
            .send(self.request(Method::GET, &path(yard, stack, &rest)), &doing)
            .await?;
        let server = self.shown().to_owned();
        let pieces = response.bytes_stream().boxed();
        let state = (pieces, Vec::new(), doing, server);
        Ok(Box::pin(stream::unfold(
            state,
            |(mut pieces, mut rest, doing, server)| async move {
                loop {
                    if let Some(end) = rest.iter().position(|b| *b == b'\n') {
                        let line: Vec<u8> = rest.drain(..=end).collect();
                        // Empty lines only say that the connection lives.
                        if let Ok(line) = serde_json::from_slice::<StackLine>(&line) {
                            return Some((Ok(line), (pieces, rest, doing, server)));
                        }
                        continue;
                    }
                    match pieces.next().await? {
                        Ok(piece) => rest.extend_from_slice(&piece),
                        Err(source) => {
                            let error = ClientError::Unreachable {
                                doing: doing.clone(),
                                server: server.clone(),
                                source,
                            };
                            return Some((
                                Err(error),
                                (stream::empty().boxed(), Vec::new(), doing, server),
                            ));
                        }
                    }
                }
            },
        )))
    }

    /// Runs a program in a container.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn stack_exec(
        &self,
        yard: &str,
        stack: &str,
        query: &ExecQuery,
    ) -> Result<ExecSession, ClientError> {
        let command = serde_json::to_string(&query.command).unwrap_or_default();
        let (replica, command) = (segment(&query.replica), segment(&command));
        let mut rest = format!(
            "/exec?replica={replica}&command={command}&tty={}&stdin={}",
            query.tty, query.stdin
        );
        query
            .user
            .iter()
            .for_each(|u| rest += &format!("&user={}", segment(u)));
        let doing = format!("running a program in {} of stack {stack}", query.replica);
        let request = self
            .request(Method::GET, &path(yard, stack, &rest))
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, generate_key());
        let response = self.send(request, &doing).await?;
        let unreachable = |source| ClientError::Unreachable {
            doing,
            server: self.shown().to_owned(),
            source,
        };
        let upgraded = response.upgrade().await.map_err(unreachable)?;
        Ok(ExecSession {
            socket: WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await,
        })
    }
}
