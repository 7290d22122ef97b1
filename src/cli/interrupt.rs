//! Ctrl-C, which ends a run with what it has.

use std::pin::Pin;

/// Comes true at Ctrl-C. It is listened for from the moment that this returns: whoever has read a line may interrupt.
pub async fn interrupt() -> impl Future<Output = ()> {
    let mut signal: Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>> = Box::pin(tokio::signal::ctrl_c());
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
