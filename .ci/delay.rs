//! A TCP proxy that lets every answer come late: `delay MILLISECONDS SCHEME://HOST:PORT/...` prints a URL for each address that
//! it stands in front of. It needs nothing but rustc.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let delay = arguments.next().and_then(|text| text.parse().ok()).expect("usage: delay MILLISECONDS URL...");
    let mut proxies = Vec::new();
    for url in arguments {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let upstream = rest.split('/').next().unwrap_or_default().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        println!("{scheme}://{}/", listener.local_addr().expect("an address"));
        proxies.push(thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(&upstream) {
                    relay(client, server, Duration::from_millis(delay));
                }
            }
        }));
    }
    proxies.into_iter().for_each(|proxy| proxy.join().expect("a proxy runs on"));
}

fn relay(client: TcpStream, server: TcpStream, delay: Duration) {
    let both = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    let (mut from_client, mut to_client) = (both(&client), client);
    let (mut from_server, mut to_server) = (both(&server), server);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (sender, chunks) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count) = from_server.read(&mut buffer) {
            if count == 0 || sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, chunk) in chunks {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to_client.write_all(&chunk).is_err() {
                return;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}
