//! A headless browser, spoken to by the WebDriver protocol (W3C), which is JSON over HTTP, through Debian's chromedriver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything that is asked of the browser takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";

pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// The browser's own files.
    _profile: tempfile::TempDir,
}

/// A program that can be called by one of these names.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name))).find(|file| file.is_file())
}

impl Browser {
    /// A browser with a window of its own, or `None`, said so, where none is installed. Where `CHATSPEC_BROWSER_TEST` is `required`, that is
    /// a failure.
    pub fn start(width: u32, height: u32) -> Option<Self> {
        let found = (program(&["chromedriver"]), program(&["chromium", "chromium-browser", "google-chrome"]));
        let (Some(driver), Some(browser)) = found else {
            let required = std::env::var("CHATSPEC_BROWSER_TEST").is_ok_and(|value| value == "required");
            assert!(
                !required,
                "chromedriver or chromium is missing, and CHATSPEC_BROWSER_TEST=required: install chromium and chromium-driver"
            );
            eprintln!("skipped: chromedriver or chromium is not installed");
            return None;
        };
        let mut driver =
            Command::new(driver).arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("chromedriver can be started");
        let said = BufReader::new(driver.stdout.take().expect("it is piped"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let profile = tempfile::tempdir().expect("a folder");
        let mut started = Self { driver, port: port.expect("chromedriver names its port"), session: String::new(), _profile: profile };
        let profile = format!("--user-data-dir={}", started._profile.path().display());
        let window = format!("--window-size={width},{height}");
        let quiet = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"];
        let more: [&str; 5] = ["--no-first-run", "--disable-component-update", "--disable-sync", &profile, &window];
        let args = [&quiet[..], &more[..]].concat();
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": browser, "args": args},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        let session = started.ask("POST", "/session", &json!({"capabilities": {"alwaysMatch": wanted}}));
        started.session = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}")).to_owned();
        // The page that a new window shows is the browser's own, and what it asked for is none of ours.
        started.of_session("POST", "/url", &json!({"url": "about:blank"}));
        started.requests();
        Some(started)
    }

    /// One request to the driver; its value.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.exchange(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert!(answer["value"]["error"].is_null(), "{method} {path}: {answer}");
        answer["value"].clone()
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: {}\r\n", self.port, body.len());
        stream.write_all(format!("{head}Content-Type: application/json\r\nConnection: close\r\n\r\n{body}").as_bytes())?;
        let mut reader = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer)?;
        Ok(serde_json::from_slice(&answer)?)
    }

    fn of_session(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
    }

    /// Opens a file, and waits for its load event.
    pub fn open(&self, file: &Path) {
        self.visit(&format!("file://{}", file.display()));
    }

    /// Opens an address, and waits for its load event.
    pub fn visit(&self, url: &str) {
        self.of_session("POST", "/url", &json!({"url": url}));
    }

    /// What a function's body in JavaScript returns on the page.
    pub fn eval(&self, script: &str) -> Value {
        self.of_session("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Presses and releases each key of a text, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> =
            keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))).collect();
        self.of_session("POST", "/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}));
    }

    /// What the browser's console shows since the last time, errors of scripts and of the content policy among it.
    pub fn console(&self) -> Vec<String> {
        self.log("browser").iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// The addresses that were asked for since the last time.
    pub fn requests(&self) -> Vec<String> {
        let sent = |entry: &Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            let asks = message["method"] == "Network.requestWillBeSent" || message["method"] == "Network.webSocketCreated";
            let url = &message["params"]["request"]["url"];
            asks.then(|| url.as_str().unwrap_or("a WebSocket").to_owned())
        };
        self.log("performance").iter().filter_map(sent).collect()
    }

    fn log(&self, of: &str) -> Vec<Value> {
        self.of_session("POST", "/se/log", &json!({"type": of})).as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session, and not with itself.
        let _ = self.exchange("DELETE", &format!("/session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
