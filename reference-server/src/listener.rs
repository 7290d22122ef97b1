//! The loop that accepts connections, the same for both listeners.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

/// Turns true when the server shuts down.
pub type Stopped = watch::Receiver<bool>;

/// Waits for the server to shut down, which a server that no longer exists has done.
pub async fn until_stopped(mut stopped: Stopped) {
    let _ended_either_way = stopped.wait_for(|stopped| *stopped).await.is_ok();
}

const PAUSE_WHEN_OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// Serves each connection in a task of its own, at most `most` at once; further ones are closed at once. After the
/// stop the tasks get `goodbye` to end by themselves. `serve` may also say how long to wait before the next is accepted.
pub async fn run<F, Task>(listener: TcpListener, most: usize, goodbye: Duration, stopped: Stopped, serve: F)
where
    F: Fn(TcpStream) -> (Task, Option<Duration>),
    Task: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut stopping = pin!(until_stopped(stopped));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if tasks.len() < most => {
                    let (task, pause) = serve(stream);
                    tasks.spawn(task);
                    if let Some(pause) = pause {
                        tokio::time::sleep(pause).await;
                    }
                }
                Ok((_, peer)) => warn!(%peer, most, "too many connections, closing this one"),
                Err(error) => {
                    // Mostly the process is out of file descriptors: trying again at once would only spin.
                    warn!(%error, "can't accept a connection");
                    tokio::time::sleep(PAUSE_WHEN_OUT_OF_SOCKETS).await;
                }
            },
            Some(_) = tasks.join_next() => {}
            () = &mut stopping => break,
        }
    }
    drop(listener);
    let ended = tokio::time::timeout(goodbye, async { while tasks.join_next().await.is_some() {} });
    if ended.await.is_err() {
        warn!(connections = tasks.len(), "ending connections that took too long to say goodbye");
    }
}
