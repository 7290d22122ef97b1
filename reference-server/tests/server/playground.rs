//! The page to try the server on: it is there when it is wanted, and nothing of it when it isn't.

use crate::support::{Server, res};
use reference_server::playground::{PATH, Playground};
use reference_server::{Config, Fault};
use serde_json::Value;
use std::net::SocketAddr;

const FILES: [&str; 7] = ["page.css", "page.js", "dom.js", "panel.js", "log.js", "wire.js", "exercises.js"];

async fn with_page(oddities: &[&str]) -> Server {
    let oddities = oddities.iter().map(|oddity| (*oddity).to_owned()).collect();
    Server::start(Config { playground: Some(Playground { oddities }), ..Config::default() }).await
}

/// The page as a browser gets it that reached the server by this host, its policy, and its settings.
async fn page(server: &Server, host: &str) -> (String, String, Value) {
    let port = server.http.parse::<reqwest::Url>().unwrap().port().unwrap();
    let response = server.request("GET", PATH).header("Host", format!("{host}:{port}")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    let settings = text.split("data-settings=\"").nth(1).unwrap().split('"').next().unwrap();
    let settings = settings.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let settings = serde_json::from_str(&settings).unwrap();
    (text, policy, settings)
}

#[tokio::test]
async fn the_page_knows_where_the_websocket_is_by_the_name_that_the_browser_used() {
    let server = with_page(&[]).await;
    let port = server.ws_address().parse::<SocketAddr>().unwrap().port();
    for host in ["localhost", "127.0.0.1", "chat.example.org"] {
        let (_, policy, settings) = page(&server, host).await;
        assert_eq!(settings["ws"], format!("ws://{host}:{port}/"));
        assert_eq!(settings["capacity"], 10);
        assert!(policy.contains(&format!("connect-src 'self' ws://{host}:{port};")), "{policy}");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    }
    let (_, policy, settings) = page(&server, "[::1]").await;
    assert_eq!(settings["ws"], format!("ws://[::1]:{port}/"));
    assert!(policy.contains("connect-src 'self' ws:;"), "{policy}");
}

#[tokio::test]
async fn everything_that_the_page_loads_is_there_and_is_its_own() {
    let server = with_page(&[]).await;
    let (text, ..) = page(&server, "localhost").await;
    for file in FILES {
        let response = server.request("GET", &format!("{PATH}/{file}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{file}");
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind.starts_with("text/javascript"), file.ends_with(".js"), "{file}: {kind}");
        let body = response.text().await.unwrap();
        for imported in body.lines().filter(|line| line.starts_with("import")) {
            let name = imported.split("\"./").nth(1).unwrap().trim_end_matches("\";");
            assert!(FILES.contains(&name), "{file} imports {name}");
        }
        assert!(!body.contains("http://") && !body.contains("https://"), "{file} is content with this server");
    }
    assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
}

#[tokio::test]
async fn what_the_server_says_of_itself_is_text() {
    let (text, _, settings) = page(&with_page(&["</script><b title='\"'>&amp;"]).await, "localhost").await;
    assert_eq!(settings["oddities"][0], "</script><b title='\"'>&amp;");
    assert!(!text.contains("<b "), "{text}");
    let fault = Fault::named(reference_server::fault::all().next().unwrap().name).unwrap();
    let said = Playground::new(Some(&fault), None, &[]).oddities;
    assert!(said[0].contains(fault.name()) && said[0].contains(fault.spec().unwrap().requirement), "{said:?}");
}

#[tokio::test]
async fn the_rest_of_the_server_is_as_before() {
    for server in [with_page(&[]).await, Server::start(Config::default()).await] {
        for path in ["/nowhere", "/", "/playgrounds", "/playground/", "/playground/other.js"] {
            assert_eq!(server.request("GET", path).send().await.unwrap().status(), 404, "{path}");
            assert_eq!(res(server.request("GET", path)).await, "no such path", "{path}");
        }
    }
    let server = with_page(&[]).await;
    assert_eq!(res(server.request("DELETE", PATH)).await, "method not allowed");
    let page = server.request("GET", PATH).header("Origin", "http://elsewhere.example").send().await.unwrap();
    assert!(!page.headers().contains_key("access-control-allow-origin"), "other origins may call the chat, not read the page");
}

#[tokio::test]
async fn without_it_nothing_is_there() {
    let server = Server::start(Config::default()).await;
    assert_eq!(res(server.request("GET", PATH)).await, "no such path");
    for file in FILES {
        assert_eq!(res(server.request("GET", &format!("{PATH}/{file}"))).await, "no such path");
    }
}
