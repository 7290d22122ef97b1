//! `chatspec schema`.

use clap::{Args, ValueEnum};

use super::Ended;
use crate::event;
use crate::load::profile_file;
use crate::scenario::file::{FencesFile, FragmentFile, ReadingsFile, RequestsFile, RequirementsFile, ScenarioFile, schema};

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which kind of file
    #[arg(value_enum, default_value_t = FileKind::Scenario)]
    file: FileKind,
    /// The lines of the event log instead, as --json writes them
    #[arg(long, conflicts_with = "file")]
    events: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FileKind {
    Scenario,
    Fragment,
    Requirements,
    Readings,
    Requests,
    Fences,
    /// A load's profile
    Load,
}

pub fn run(args: &SchemaArgs) -> Ended {
    let schema = match args.file {
        _ if args.events => event::schema(),
        FileKind::Scenario => schema::<ScenarioFile>(),
        FileKind::Fragment => schema::<FragmentFile>(),
        FileKind::Requirements => schema::<RequirementsFile>(),
        FileKind::Readings => schema::<ReadingsFile>(),
        FileKind::Requests => schema::<RequestsFile>(),
        FileKind::Fences => schema::<FencesFile>(),
        FileKind::Load => profile_file::schema(),
    };
    anstream::println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(0)
}
