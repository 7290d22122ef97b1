//! Where the results of a load go beside the terminal: files in several formats, and a page for Prometheus while it runs.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use super::Usage;
use super::load::inconclusive;
use super::outputs::{OutputArgs, Outputs};
use super::target::REFERENCE_PROTOCOL;
use crate::event::{Event, Header, Measured, Planned, Second};
use crate::report::load::LoadReport;
use crate::report::openmetrics::{self, Totals};
use crate::report::terminal::Verbosity;
use crate::report::{csv, hgrm, hlog};

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Results")]
pub struct FileArgs {
    #[command(flatten)]
    pub outputs: OutputArgs,
    /// Write all formats into a folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the histograms as a log of HdrHistogram, version 2, tagged by metric and phase
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,
    /// Write the percentile distributions of deliveries, as HdrHistogram's tools print them; --out writes those of all metrics
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,
    /// Write a row for each second
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Serve the figures to Prometheus at this address while the load runs
    #[arg(long, value_name = "ADDR")]
    pub prometheus: Option<SocketAddr>,
}

/// Takes the events of a load, and writes the files at its end.
#[derive(Debug)]
pub struct Files {
    args: FileArgs,
    outputs: Outputs,
    header: Option<Header>,
    planned: Option<Planned>,
    seconds: Vec<Second>,
    measured: Option<Measured>,
    text: LoadReport,
    totals: Arc<Mutex<Totals>>,
}

impl Files {
    /// Opens the logs, sees that the others can be written, and begins to serve: before the load, so that none is lost to a wrong path.
    pub async fn open(args: FileArgs) -> anyhow::Result<Self> {
        if let Some(dir) = &args.out {
            std::fs::create_dir_all(dir).map_err(|error| Usage(format!("--out: {} can't be made: {error}", dir.display())))?;
        }
        let mut outputs = Outputs::open(&args.outputs, args.out.as_deref().map(|dir| (dir, "load")))?;
        for (option, path) in [("--hlog", &args.hlog), ("--hgrm", &args.hgrm), ("--csv", &args.csv)] {
            path.iter().try_for_each(|path| outputs.claim(option, path))?;
        }
        let totals = Arc::new(Mutex::new(Totals::default()));
        if let Some(address) = args.prometheus {
            serve(address, totals.clone()).await?;
        }
        Ok(Self {
            args,
            outputs,
            header: None,
            planned: None,
            seconds: Vec::new(),
            measured: None,
            text: LoadReport::new(Verbosity::Verbose),
            totals,
        })
    }

    pub fn event(&mut self, event: &Event) {
        self.outputs.event(event);
        self.text.event(event);
        match event {
            Event::Started(header) => self.header = Some(header.clone()),
            Event::Planned(planned) => self.planned = Some((**planned).clone()),
            Event::Second(second) => {
                let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
                // What this program has just encoded can be decoded.
                let _ = totals.add(second);
                if self.args.csv.is_some() || self.args.out.is_some() {
                    self.seconds.push(Second { deliver: String::new(), ..(**second).clone() });
                }
            }
            Event::Measured(measured) => self.measured = Some((**measured).clone()),
            _ => {}
        }
    }

    /// Shows something on the terminal.
    pub fn show(&mut self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
        self.outputs.show(write);
    }

    /// Says something in words of chatspec's own.
    pub fn say(&mut self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
        self.outputs.say(write);
    }

    /// A load that never began, and why: so that what was asked for says that much.
    pub fn never_began(self, why: &str) -> u8 {
        let code = inconclusive(why);
        self.outputs.never_began(Header::new("load", REFERENCE_PROTOCOL, "", 0), None, why, code)
    }

    /// A search that came to no load of which there is anything to write.
    pub fn forget(self, code: u8) -> u8 {
        self.outputs.forget(code)
    }

    /// Writes what isn't written yet. What can't be written doesn't keep the rest from it, and is told in the end; then the exit code is
    /// never 0.
    pub fn finish(mut self, code: u8) -> u8 {
        if let Err(error) = self.own_formats() {
            self.outputs.fail(format!("{error:#}"));
        }
        self.outputs.finish(code)
    }

    /// The formats that only loads have.
    fn own_formats(&self) -> anyhow::Result<()> {
        let mut failed: Vec<String> = Vec::new();
        let mut put = |path: PathBuf, text: &str| failed.extend(write(&path, text).err().map(|error| format!("{error:#}")));
        let within = |name: &str| self.args.out.as_ref().map(|dir| dir.join(name));
        if let (Some(header), Some(planned), Some(measured)) = (&self.header, &self.planned, &self.measured) {
            let log = hlog::hlog(header, planned, measured)?;
            self.args.hlog.clone().into_iter().chain(within("load.hlog")).for_each(|path| put(path, &log));
            for (name, text) in hgrm::all(planned, measured)? {
                let path = if name == "deliver" { self.args.hgrm.clone() } else { None };
                path.into_iter().chain(within(&format!("{name}.hgrm"))).for_each(|path| put(path, &text));
            }
            let percentiles = csv::percentiles(planned, measured)?;
            within("percentiles.csv").into_iter().for_each(|path| put(path, &percentiles));
        }
        let seconds = csv::seconds(&self.seconds);
        self.args.csv.clone().into_iter().chain(within("seconds.csv")).for_each(|path| put(path, &seconds));
        if let Some(path) = within("load.txt") {
            let mut text = anstream::StripStream::new(Vec::new());
            self.text.finish(&mut text)?;
            put(path, &String::from_utf8_lossy(&text.into_inner()));
        }
        if failed.is_empty() { Ok(()) } else { anyhow::bail!(failed.join("; ")) }
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} can't be written", path.display()))
}

/// Serves the figures until the program ends.
async fn serve(address: SocketAddr, totals: Arc<Mutex<Totals>>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener.map_err(|error| Usage(format!("--prometheus: {address} can't be listened at: {error}")))?;
    anstream::eprintln!("metrics at http://{}/metrics", listener.local_addr()?);
    let page = move || async move {
        let text = totals.lock().unwrap_or_else(PoisonError::into_inner).openmetrics();
        ([(CONTENT_TYPE, openmetrics::CONTENT_TYPE)], text)
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", get(page))).await });
    Ok(())
}
