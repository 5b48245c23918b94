//! Questions to the server: numbered, sent over whatever connection there is, each with one answer.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stackyard_core::agent::{Answer, Ask, ToServer};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// How long a question waits for a connection: the server is being started again, perhaps.
const CONNECTED: Duration = Duration::from_secs(15);

/// How long the server may take: Neutron may have to be asked more than once.
const ANSWERED: Duration = Duration::from_secs(120);

/// Who answers questions: the server, or a stand-in for it in tests.
pub(crate) trait AskServer: Send + Sync {
    /// Asks; an error says in words why there is no answer.
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, String>>;
}

/// Asks the server over whatever connection there is; holds the questions that wait.
#[derive(Default)]
pub(crate) struct RpcClient {
    next: AtomicU64,
    /// Where messages to the server go while it is connected.
    out: watch::Sender<Option<mpsc::Sender<ToServer>>>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
}

/// A question's place among those that wait, until it is dropped.
struct PendingCall<'a>(&'a RpcClient, u64);

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

impl RpcClient {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is a connection.
    pub(crate) fn connected(&self, out: mpsc::Sender<ToServer>) {
        self.out.send_replace(Some(out));
    }

    /// There is none any more: what was asked gets no answer.
    pub(crate) fn cut_off(&self) {
        self.out.send_replace(None);
        self.waiting().clear();
    }

    /// An answer came.
    pub(crate) fn answer(&self, number: u64, answer: Answer) {
        if let Some(waits) = self.waiting().remove(&number) {
            let _ = waits.send(answer);
        }
    }

    async fn put(&self, ask: Ask) -> Result<Answer, String> {
        let mut out = self.out.subscribe();
        let connected = timeout(CONNECTED, out.wait_for(Option::is_some)).await;
        let Some(out) = connected.ok().and_then(Result::ok).and_then(|out| out.clone()) else {
            return Err("the server is not connected (`stackyard agent status` says why)".to_owned());
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (told, hears) = oneshot::channel();
        self.waiting().insert(number, told);
        let _waits = PendingCall(self, number);
        let lost = "the connection to the server was lost before it answered";
        if out.send(ToServer::Ask { number, ask }).await.is_err() {
            return Err(lost.to_owned());
        }
        match timeout(ANSWERED, hears).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(lost.to_owned()),
            Err(_) => Err(format!("the server has not answered within {} s", ANSWERED.as_secs())),
        }
    }
}

impl AskServer for RpcClient {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, String>> {
        self.put(ask).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn each_question_gets_its_answer_or_the_reason_for_none() {
        let asking = Arc::new(RpcClient::default());
        let ask = |asking: &Arc<RpcClient>| {
            let asking = asking.clone();
            tokio::spawn(async move { asking.ask(Ask::Ports).await })
        };
        let (out, mut queue) = mpsc::channel(4);
        let early = ask(&asking);
        tokio::time::sleep(Duration::from_secs(1)).await;
        asking.connected(out);
        let other = ask(&asking);
        let mut numbers = Vec::new();
        for _ in 0..2 {
            let Some(ToServer::Ask { number, .. }) = queue.recv().await else { panic!("a question") };
            numbers.push(number);
        }
        asking.answer(numbers[1], Answer::Ports { ports: Vec::new() });
        asking.answer(numbers[0], Answer::Removed);
        asking.answer(99, Answer::Removed);
        assert_eq!(early.await.unwrap(), Ok(Answer::Removed));
        assert_eq!(other.await.unwrap(), Ok(Answer::Ports { ports: Vec::new() }));

        let lost = ask(&asking);
        assert!(queue.recv().await.is_some());
        asking.cut_off();
        assert!(lost.await.unwrap().unwrap_err().contains("lost"));
        assert!(ask(&asking).await.unwrap().unwrap_err().contains("not connected"));
        assert!(asking.waiting().is_empty());
    }
}
