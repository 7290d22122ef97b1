//! The options that describe a target: one block, the same for every command that has one.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::{Usage, own_server};
use crate::cluster::HeaderFrom;
pub use crate::cluster::shell::quote;
use crate::conformance::Pins;
use crate::conformance::target::TargetSpec;
use crate::requirement::RequirementId;
use crate::scenario::protocol::Protocol;
use crate::scenario::source::suggest;
use crate::wire::tls;

/// The protocol that the reference server speaks.
pub const REFERENCE_PROTOCOL: &str = "chatroom";

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
    /// The HTTP address, with whatever comes before `/chatroom`
    #[arg(long, value_name = "URL")]
    pub http: Option<String>,
    /// The WebSocket address, with its path
    #[arg(long, value_name = "URL")]
    pub ws: Option<String>,
    /// The number of places in a room, instead of finding it out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub capacity: Option<u64>,
    /// A reading that the target follows, instead of finding it out, such as R-LIST=rooms; may be repeated
    #[arg(long, value_name = "ID=VALUE")]
    pub reading: Vec<String>,
    /// A header for every request and handshake; may be repeated
    #[arg(long, value_name = "NAME:VALUE")]
    pub header: Vec<String>,
    /// A header whose value is in an environment variable, since others can see a command line; may be repeated
    #[arg(long, value_name = "NAME:VARIABLE")]
    pub header_env: Vec<String>,
    /// Accept any TLS certificate
    #[arg(long)]
    pub insecure: bool,
}

/// A target ready to be tried; a server that was started for it lives as long as this.
pub struct Resolved {
    pub spec: TargetSpec,
    pub pins: Pins,
    /// The options that describe it again, for the line that reproduces a failure.
    pub options: Vec<String>,
    _server: Option<own_server::OwnServer>,
}

impl TargetArgs {
    pub async fn resolve(&self, protocol: &Protocol) -> anyhow::Result<Resolved> {
        self.resolve_with(protocol, &[]).await
    }

    /// The same; where nobody's address is given, the reference server is started with these options.
    pub async fn resolve_with(&self, protocol: &Protocol, serving: &[&str]) -> anyhow::Result<Resolved> {
        let pins = Pins { readings: self.pinned(protocol)?, facts: self.facts(protocol)? };
        let headers = self.headers()?;
        let mut options: Vec<String> = Vec::new();
        let (spec, server) = match (&self.http, &self.ws) {
            (None, None) => {
                if protocol.name != REFERENCE_PROTOCOL {
                    return Err(Usage(format!("the protocol `{}` has no reference server: give --http and --ws", protocol.name)).into());
                }
                let server = own_server::OwnServer::start(serving, &[]).await?;
                (server.spec(headers, vec!["the reference server, started for this run".to_owned()]), Some(server))
            }
            _ => {
                let (http, ws, notes) = self.addresses(protocol)?;
                tls::config(self.insecure, &[&http, &ws]).map_err(|error| Usage(error.to_string()))?;
                options.extend(["--http".into(), http.to_string(), "--ws".into(), ws.to_string()]);
                (TargetSpec { http, ws, headers, insecure: self.insecure, keeps_http: false, pid: None, notes }, None)
            }
        };
        options.extend(self.capacity.iter().flat_map(|capacity| ["--capacity".to_owned(), capacity.to_string()]));
        options.extend(self.reading.iter().flat_map(|reading| ["--reading".to_owned(), quote(reading)]));
        // A header may be a secret, so its value isn't repeated.
        options.extend(spec.headers.iter().take(self.header.len()).flat_map(|(name, _)| ["--header".to_owned(), format!("'{name}: …'")]));
        options.extend(self.header_env.iter().flat_map(|header| ["--header-env".to_owned(), quote(header)]));
        options.extend(self.insecure.then(|| "--insecure".to_owned()));
        Ok(Resolved { spec, pins, options, _server: server })
    }

    fn pinned(&self, protocol: &Protocol) -> anyhow::Result<Vec<(String, String)>> {
        let readings = &protocol.declarations.readings;
        let mut pinned = Vec::new();
        for text in &self.reading {
            let Some((id, value)) = text.split_once('=') else {
                return Err(Usage(format!("--reading takes ID=VALUE, such as R-LIST=rooms; `{text}` has no `=`")).into());
            };
            // `R-PARAMS` stands for `R-PARAMS.list` and its like.
            let meant: Vec<_> = readings.values().filter(|reading| reading.id == id || reading.id.starts_with(&format!("{id}."))).collect();
            if meant.is_empty() {
                let help = suggest(id, readings.keys().map(String::as_str).collect::<Vec<_>>());
                return Err(Usage(format!("--reading: there is no reading `{id}`; {help}")).into());
            }
            for reading in meant {
                if !reading.values.contains_key(value) {
                    let values = reading.values.keys().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
                    return Err(Usage(format!("--reading: `{value}` is no value of {}; its values are {values}", reading.id)).into());
                }
                pinned.push((reading.id.clone(), value.to_owned()));
            }
        }
        Ok(pinned)
    }

    fn facts(&self, protocol: &Protocol) -> anyhow::Result<Vec<(String, u64)>> {
        match self.capacity {
            Some(_) if !protocol.declarations.facts.iter().any(|fact| fact == "capacity") => {
                Err(Usage(format!("--capacity: the protocol `{}` knows no capacity", protocol.name)).into())
            }
            Some(capacity) => Ok(vec![("capacity".to_owned(), capacity)]),
            None => Ok(Vec::new()),
        }
    }

    /// Names and values of all headers, those of `--header` first.
    fn headers(&self) -> anyhow::Result<Vec<(String, String)>> {
        let typed = self.header.iter().map(|text| named(text, "--header", "NAME:VALUE").map(|(name, value)| (name, value.to_owned())));
        let found = self.header_env.iter().map(|text| {
            let (name, variable) = named(text, "--header-env", "NAME:VARIABLE")?;
            let value = std::env::var(variable).map_err(|_| {
                Usage(format!("--header-env: the environment has no {variable}, whose value `{name}` is to have: export it"))
            })?;
            Ok((name, value))
        });
        let sound = |(name, value): (String, String)| match HeaderValue::from_str(&value) {
            Ok(_) => Ok((name, value)),
            Err(_) => Err(Usage(format!("--header: `{name}` with this value can't be an HTTP header")).into()),
        };
        typed.chain(found).map(|header| header.and_then(sound)).collect()
    }

    /// What other machines are told of a target that this one needn't reach: the options, and where its headers' values come from. What
    /// this command line has as a header's value goes nowhere.
    pub fn for_others(&self, protocol: &Protocol) -> anyhow::Result<ForOthers> {
        let (http, ws, notes) = self.addresses(protocol)?;
        self.pinned(protocol)?;
        self.facts(protocol)?;
        let mut words = vec!["--http".to_owned(), http.to_string(), "--ws".to_owned(), ws.to_string()];
        words.extend(self.capacity.iter().flat_map(|capacity| ["--capacity".to_owned(), capacity.to_string()]));
        words.extend(self.reading.iter().flat_map(|reading| ["--reading".to_owned(), reading.clone()]));
        words.extend(self.insecure.then(|| "--insecure".to_owned()));
        let typed = self.header.iter().map(|text| named(text, "--header", "NAME:VALUE").map(|(name, _)| HeaderFrom::variable_of(&name)));
        let found = self.header_env.iter().map(|text| {
            let (name, variable) = named(text, "--header-env", "NAME:VARIABLE")?;
            let is_variable =
                variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !variable.starts_with(|c: char| c.is_ascii_digit());
            if variable.is_empty() || !is_variable {
                return Err(Usage(format!("--header-env: `{variable}` can't be a variable's name; it has letters, digits and `_`")).into());
            }
            Ok(HeaderFrom { name, variable: variable.to_owned() })
        });
        let headers: Vec<HeaderFrom> = typed.chain(found).collect::<anyhow::Result<_>>()?;
        for (place, header) in headers.iter().enumerate() {
            if headers[..place].iter().any(|other| other.variable == header.variable) {
                let (name, variable) = (&header.name, &header.variable);
                return Err(Usage(format!("two headers have the variable {variable}: give `--header-env {name}:ANOTHER_VARIABLE`")).into());
            }
        }
        Ok(ForOthers { http, ws, words, headers, notes })
    }

    /// Both addresses, of which at least one has to be given.
    fn addresses(&self, protocol: &Protocol) -> anyhow::Result<(Url, Url, Vec<String>)> {
        let http = self.http.as_deref().map(|text| address(text, "--http", &["http", "https"])).transpose()?;
        let ws = self.ws.as_deref().map(|text| address(text, "--ws", &["ws", "wss"])).transpose()?;
        complete(http, ws, protocol)
    }
}

/// A target as other machines are told of it.
#[derive(Debug)]
pub struct ForOthers {
    pub http: Url,
    pub ws: Url,
    /// The options that describe it but for its headers, not quoted.
    pub words: Vec<String>,
    pub headers: Vec<HeaderFrom>,
    /// What was assumed.
    pub notes: Vec<String>,
}

/// A header's name, checked, and what follows its colon.
fn named<'a>(text: &'a str, option: &str, form: &str) -> anyhow::Result<(String, &'a str)> {
    let (name, rest) = text.split_once(':').ok_or_else(|| Usage(format!("{option} takes {form}; `{text}` has no `:`")))?;
    let name = name.trim();
    if HeaderName::from_str(name).is_err() {
        return Err(Usage(format!("{option}: `{name}` can't be the name of an HTTP header")).into());
    }
    Ok((name.to_owned(), rest.trim()))
}

fn address(text: &str, option: &str, schemes: &[&str]) -> anyhow::Result<Url> {
    let example = format!("{}://127.0.0.1:{}", schemes[0], if schemes[0] == "http" { 5000 } else { 2333 });
    let wrong = |why: String| Usage(format!("{option}: {why}; an address looks like {example}"));
    let url = Url::parse(text).map_err(|error| {
        let missing = !text.contains("://");
        wrong(if missing { format!("`{text}` has no scheme such as `{}://`", schemes[0]) } else { format!("`{text}` is no URL ({error})") })
    })?;
    if !schemes.contains(&url.scheme()) {
        let why = if text.contains("://") {
            format!("the scheme of `{text}` is `{}`, not `{}`", url.scheme(), schemes.join("` or `"))
        } else {
            format!("`{text}` has no scheme such as `{}://`", schemes[0])
        };
        return Err(wrong(why).into());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong(format!("`{text}` names no host")).into());
    }
    Ok(url)
}

/// The listener that wasn't given is on the same host, at the protocol's own port.
fn complete(http: Option<Url>, ws: Option<Url>, protocol: &Protocol) -> anyhow::Result<(Url, Url, Vec<String>)> {
    let other = |given: &Url, scheme: &str, secure_scheme: &str, port: u16| {
        let secure = matches!(given.scheme(), "https" | "wss");
        let host = given.host_str().unwrap_or_default();
        Url::parse(&format!("{}://{host}:{port}/", if secure { secure_scheme } else { scheme }))
    };
    match (http, ws) {
        (Some(http), Some(ws)) => Ok((http, ws, Vec::new())),
        (Some(http), None) => {
            let ws = other(&http, "ws", "wss", protocol.ws_port)?;
            let note = format!("--ws was not given: {ws} is the document's port on the same host");
            Ok((http, ws, vec![note]))
        }
        (None, Some(ws)) => {
            let http = other(&ws, "http", "https", protocol.http_port)?;
            let note = format!("--http was not given: {http} is the document's port on the same host");
            Ok((http, ws, vec![note]))
        }
        (None, None) => Err(Usage("give --http and --ws".into()).into()),
    }
}

/// `ID=DURATION` pairs, such as `GONE-2=10s`.
pub fn waits(texts: &[String], protocol: &Protocol) -> anyhow::Result<HashMap<RequirementId, Duration>> {
    let known = &protocol.declarations.registry.requirements;
    let parsed = texts.iter().map(|text| {
        let (id, duration) =
            text.split_once('=').ok_or_else(|| Usage(format!("--within takes ID=DURATION, such as GONE-2=10s; `{text}` has no `=`")))?;
        let id = RequirementId::new(id);
        if !known.contains_key(&id) {
            let help = suggest(id.as_str(), known.keys().map(RequirementId::as_str).collect::<Vec<_>>());
            return Err(Usage(format!("--within: there is no requirement `{id}`; {help}")).into());
        }
        let duration = humantime::parse_duration(duration).map_err(|error| Usage(format!("--within: `{duration}`: {error}")))?;
        Ok((id, duration))
    });
    parsed.collect()
}
