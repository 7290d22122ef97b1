//! The reference server's playground in a browser: two users talk, each documented mistake gets its documented error, and nothing that is sent
//! becomes markup. Without a browser on this machine the tests skip, and say so.

mod support;

use std::time::{Duration, Instant};

use reference_server::playground::Playground;
use reference_server::{Config, Fault};
use serde_json::{Value, json};
use support::browser::{Browser, ENTER};
use support::{Server, reference};

/// Longer than anything that the page does on a busy machine; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Finds parts of the page: `panel(0)` is the first user's, `press(0, "HTTP", "create")` one of its buttons.
const HELP: &str = "
    const panel = (user) => document.querySelectorAll('.panel')[user];
    const came = (user) => panel(user).querySelector('.came');
    const press = (user, group, name) => {
        came(user).hidden = true;
        const title = [...panel(user).querySelectorAll('.group h3')].find((title) => title.textContent === group);
        [...title.nextElementSibling.querySelectorAll('button')].find((button) => button.textContent === name).click();
    };
";

struct Page {
    browser: Browser,
    server: Server,
}

impl Page {
    async fn open(config: Config, width: u32) -> Option<Self> {
        let browser = tokio::task::spawn_blocking(move || Browser::start(width, 900)).await.expect("it starts")?;
        let server = reference(config).await;
        let page = Self { browser, server };
        tokio::task::block_in_place(|| page.browser.visit(&format!("{}playground", page.server.http)));
        page.until("return document.querySelectorAll('.panel').length === 2");
        Some(page)
    }

    fn eval(&self, script: &str) -> Value {
        tokio::task::block_in_place(|| self.browser.eval(&format!("{HELP}{script}")))
    }

    /// Asks the page again and again until it says yes.
    fn until(&self, script: &str) {
        let began = Instant::now();
        while self.eval(script) != Value::Bool(true) {
            assert!(began.elapsed() < PATIENCE, "it never came to this: {script}\n{}", self.eval("return document.body.innerText"));
            std::thread::yield_now();
        }
    }

    /// Presses a button of a user's, and gives what the page says of what came: `pass`, `other` or `fail`.
    fn press(&self, user: usize, group: &str, name: &str) -> Value {
        self.eval(&format!("press({user}, {}, {})", json!(group), json!(name)));
        self.until(&format!("return !came({user}).hidden"));
        self.eval(&format!("return came({user}).className.replace('came ', '')"))
    }

    /// Errors on the console, but for those by which the browser itself names each answer of 400.
    fn errors(&self) -> Vec<String> {
        let console = tokio::task::block_in_place(|| self.browser.console());
        console.into_iter().filter(|line| !line.contains("status of 400")).collect()
    }
}

fn with_page() -> Config {
    Config { playground: Some(Playground::default()), ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_play_the_flows_and_hear_each_other() {
    let Some(page) = Page::open(with_page(), 1280).await else { return };
    assert_eq!(page.press(0, "Flows", "Create and enter"), "pass");
    assert_eq!(page.press(1, "Flows", "Enter"), "pass");
    assert_eq!(page.press(0, "HTTP", "create"), "other", "the room is there already");
    page.until("return document.querySelector('#room-rows')?.innerText.includes('2 of 10')");

    // By keyboard: Enter in the field of the text sends it.
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    page.eval(&format!("const field = panel(1).querySelectorAll('.fields input')[2]; field.value = {}; field.focus()", json!(hostile)));
    tokio::task::block_in_place(|| page.browser.press(ENTER));
    page.until(&format!("return panel(0).querySelector('.received').textContent.includes({})", json!(hostile)));
    assert_eq!(page.eval("return document.querySelectorAll('main script, main img').length"), 0);
    assert_eq!(page.eval("return [...document.querySelectorAll('#log .who')].some((who) => who.textContent === 'bob')"), true);

    assert_eq!(page.press(1, "Flows", "Leave"), "pass");
    page.until("return document.querySelector('#room-rows').innerText.includes('1 of 10')");
    assert_eq!(page.errors(), Vec::<String>::new());
    let own = [page.server.http.trim_end_matches('/').to_owned(), "data:".to_owned(), "a WebSocket".to_owned()];
    for url in tokio::task::block_in_place(|| page.browser.requests()) {
        assert!(own.iter().any(|own| url.starts_with(own)), "it asked for {url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_gets_what_the_document_says() {
    let Some(page) = Page::open(with_page(), 1280).await else { return };
    let buttons = page.eval("return panel(0).querySelectorAll('.exercises button').length").as_u64().expect("a number");
    assert!(buttons >= 30, "{buttons}");
    for button in 0..buttons {
        let found = format!("panel(0).querySelectorAll('.exercises button')[{button}]");
        page.eval(&format!("{found}.click()"));
        page.until(&format!("return {found}.querySelector('.sign').textContent !== ''"));
        let sign = page.eval(&format!("return {found}.querySelector('.sign').textContent"));
        assert_eq!(sign, "✓", "{}", page.eval("return came(0).innerText"));
    }
    assert_eq!(page.errors(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_said_and_seen_and_a_phone_shows_it_all() {
    let fault = Some(Fault::named("empty-msg-is-invalid-data").expect("there is such a fault"));
    let playground = Playground { oddities: vec!["It is <b>wrong</b> on purpose.".to_owned()] };
    let Some(page) = Page::open(Config { playground: Some(playground), fault, ..Config::default() }, 500).await else { return };
    assert_eq!(page.eval("return document.querySelector('#oddities').textContent"), "It is <b>wrong</b> on purpose.");
    let null_message =
        "[...panel(0).querySelectorAll('.exercises button')].find((button) => button.textContent.startsWith('null message'))";
    page.eval(&format!("{null_message}.click()"));
    page.until(&format!("return {null_message}.querySelector('.sign').textContent === '✗'"));
    assert!(page.eval("return came(0).innerText").as_str().expect("a text").contains("Came: error invalid data"));
    assert_eq!(page.eval("return document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0, "nothing sticks out");
    let dark = "const before = document.documentElement.dataset.theme; document.querySelector('#theme').click(); \
                return before !== document.documentElement.dataset.theme";
    assert_eq!(page.eval(dark), true);
}
