//! Ctrl-C, or the wish of whoever started this process that it end: a run then ends with what it has.

use std::io;
use std::pin::Pin;

/// Comes true at Ctrl-C, and at SIGTERM where there is one. It is listened for from the moment that this returns: whoever has read a line
/// may interrupt.
pub async fn interrupt() -> impl Future<Output = ()> {
    let mut signal: Pin<Box<dyn Future<Output = io::Result<()>> + Send>> = Box::pin(signalled());
    std::future::poll_fn(|context| {
        let _ = signal.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
    async move {
        // Without a handler for it, Ctrl-C ends the process as usual.
        if signal.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
async fn signalled() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn signalled() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
