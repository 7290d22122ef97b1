//! TLS in front of a server.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::{Server, listener};

/// The server behind TLS, with a certificate that nobody has signed.
pub async fn secured(mut server: Server) -> Server {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (http, http_task) = proxy(acceptor.clone(), &server.http).await;
    let (ws, ws_task) = proxy(acceptor, &server.ws).await;
    server.http = format!("https://localhost:{http}/");
    server.ws = format!("wss://localhost:{ws}/");
    server.tasks.extend([http_task, ws_task]);
    server
}

/// Passes on what comes, decrypted; the port where it does.
async fn proxy(acceptor: TlsAcceptor, target: &str) -> (u16, JoinHandle<()>) {
    let url = Url::parse(target).expect("a URL");
    let upstream = (url.host_str().expect("a host").to_owned(), url.port().expect("a port"));
    let listener = listener().await;
    let port = listener.local_addr().expect("an address").port();
    let task = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
            tokio::spawn(async move {
                let (Ok(mut client), Ok(mut server)) = (acceptor.accept(client).await, TcpStream::connect(upstream).await) else {
                    return;
                };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, task)
}
