//! `chatspec schema`.

use clap::{Args, ValueEnum};
use schemars::generate::SchemaSettings;

use super::Ended;
use crate::scenario::file::{FencesFile, FragmentFile, ReadingsFile, RequestsFile, RequirementsFile, ScenarioFile};

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which kind of file
    #[arg(value_enum, default_value_t = FileKind::Scenario)]
    file: FileKind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FileKind {
    Scenario,
    Fragment,
    Requirements,
    Readings,
    Requests,
    Fences,
}

pub fn run(args: &SchemaArgs) -> Ended {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = match args.file {
        FileKind::Scenario => generator.into_root_schema_for::<ScenarioFile>(),
        FileKind::Fragment => generator.into_root_schema_for::<FragmentFile>(),
        FileKind::Requirements => generator.into_root_schema_for::<RequirementsFile>(),
        FileKind::Readings => generator.into_root_schema_for::<ReadingsFile>(),
        FileKind::Requests => generator.into_root_schema_for::<RequestsFile>(),
        FileKind::Fences => generator.into_root_schema_for::<FencesFile>(),
    };
    anstream::println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(0)
}
