//! A TCP proxy that lets every answer come late: `delay MILLISECONDS URL...` prints a URL for each that it stands in front of.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use url::Url;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: delay MILLISECONDS URL...";
    let delay = Duration::from_millis(arguments.next().ok_or_else(|| anyhow::anyhow!(usage))?.parse()?);
    let mut proxies = Vec::new();
    for text in arguments {
        let mut url = Url::parse(&text)?;
        let upstream = url.socket_addrs(|| None)?.first().copied().ok_or_else(|| anyhow::anyhow!("{text} has no address"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        if url.set_port(Some(listener.local_addr()?.port())).is_err() {
            anyhow::bail!("{text} takes no port");
        }
        println!("{url}");
        proxies.push(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(upstream).await {
                        relay(client, server, delay).await;
                    }
                });
            }
        }));
    }
    for proxy in proxies {
        proxy.await?;
    }
    Ok(())
}

async fn relay(client: TcpStream, server: TcpStream, delay: Duration) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    });
    let (sender, mut chunks) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count) = from_server.read(&mut buffer).await {
            if count == 0 || sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            sleep_until(due).await;
            if to_client.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(reading, writing);
    there.abort();
}
