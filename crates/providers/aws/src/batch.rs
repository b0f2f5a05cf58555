//! Many questions about single instances, answered by few calls.
//!
//! The engine asks about and removes nodes one by one, many at a time. EC2 takes up to 1,000 ids
//! in a call and counts calls. So whoever asks while a call is under way waits for the next one,
//! which takes all that have gathered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fleetwright_core::{Effect, Error, Kind, Result};
use tokio::sync::oneshot;

/// Most ids in a call.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html>
const MOST: usize = 1_000;

/// Those who wait, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    waiting: Mutex<Vec<Waiting<T>>>,
    turn: tokio::sync::Mutex<()>,
}

type Waiting<T> = (String, oneshot::Sender<Result<T>>);

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl<T: Clone + Send> Batch<T> {
    /// Asks about one id. `call` is given all ids of a batch and answers for each; an id that it
    /// does not mention was not answered.
    ///
    /// # Errors
    /// What `call` says, for this id or for all.
    pub(crate) async fn ask<F>(&self, id: &str, call: impl Fn(Vec<String>) -> F + Send) -> Result<T>
    where
        F: Future<Output = Result<HashMap<String, Result<T>>>> + Send,
    {
        let (answer, mut mine) = oneshot::channel();
        self.lock().push((id.to_owned(), answer));
        loop {
            // Held over the call on purpose: this is what lets others gather behind it.
            let turn = self.turn.lock().await;
            match mine.try_recv() {
                Ok(answered) => return answered,
                Err(oneshot::error::TryRecvError::Empty) => {}
                // The one who took our id was dropped before the answer came: ask again.
                Err(oneshot::error::TryRecvError::Closed) => {
                    let (answer, again) = oneshot::channel();
                    self.lock().push((id.to_owned(), answer));
                    mine = again;
                }
            }
            let batch: Vec<Waiting<T>> = {
                let mut waiting = self.lock();
                let count = waiting.len().min(MOST);
                waiting.drain(..count).collect()
            };
            let mut ids: Vec<String> = batch.iter().map(|(id, _)| id.clone()).collect();
            ids.sort_unstable();
            ids.dedup();
            let answers = call(ids).await;
            for (id, waiter) in batch {
                let answered = match &answers {
                    Ok(by_id) => match by_id.get(&id) {
                        Some(Ok(value)) => Ok(value.clone()),
                        Some(Err(error)) => Err(error.report().into()),
                        None => Err(Error::new(
                            Kind::Unexpected,
                            format!("the answer says nothing about `{id}`"),
                        )
                        .with_effect(Effect::Unknown)),
                    },
                    Err(error) => Err(error.report().into()),
                };
                // Who does not wait any more needs no answer.
                drop(waiter.send(answered));
            }
            drop(turn);
            if let Ok(answered) = mine.try_recv() {
                return answered;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    async fn echo(
        ids: Vec<String>,
        calls: Arc<AtomicUsize>,
    ) -> Result<HashMap<String, Result<String>>> {
        calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(ids.into_iter().map(|id| (id.clone(), Ok(id))).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_during_a_call_share_the_next() {
        let (batch, calls) = (Batch::default(), Arc::new(AtomicUsize::new(0)));
        let asked = (0..100).map(|n| {
            let (batch, calls) = (&batch, calls.clone());
            async move {
                let id = format!("i-{n}");
                batch
                    .ask(&id, |ids| echo(ids, calls.clone()))
                    .await
                    .unwrap()
                    == id
            }
        });
        assert!(
            futures::future::join_all(asked)
                .await
                .into_iter()
                .all(|own| own)
        );
        assert!(calls.load(Ordering::Relaxed) <= 2, "{calls:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_is_dropped_takes_nobody_with_it() {
        let (batch, calls) = (Arc::new(Batch::default()), Arc::new(AtomicUsize::new(0)));
        let (one, other) = (batch.clone(), calls.clone());
        let first =
            tokio::spawn(async move { one.ask("i-1", |ids| echo(ids, other.clone())).await });
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (one, other) = (batch.clone(), calls.clone());
        let second =
            tokio::spawn(async move { one.ask("i-2", |ids| echo(ids, other.clone())).await });
        tokio::time::sleep(Duration::from_millis(1)).await;
        first.abort();
        assert_eq!(second.await.unwrap().unwrap(), "i-2");
    }

    #[tokio::test]
    async fn an_id_without_an_answer_is_no_success() {
        let batch: Batch<String> = Batch::default();
        let error = batch
            .ask("i-1", |_| async { Ok(HashMap::new()) })
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unexpected);
    }
}
