//! Where two requests meet between a check and the act that follows it, which makes a race happen every time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the first waits for the second.
const WINDOW: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub struct Rendezvous {
    waiting: Mutex<HashMap<String, oneshot::Sender<()>>>,
}

impl Rendezvous {
    /// Waits for another request with this key; true if there is one.
    pub async fn meet(&self, key: &str) -> bool {
        let mut met = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(first) = waiting.remove(key)
                && first.send(()).is_ok()
            {
                return true;
            }
            let (second, met) = oneshot::channel();
            waiting.insert(key.to_owned(), second);
            met
        };
        let in_time = tokio::time::timeout(WINDOW, &mut met).await.is_ok_and(|met| met.is_ok());
        // The second may have come in the very moment in which the first gave up.
        in_time || met.try_recv().is_ok()
    }
}
