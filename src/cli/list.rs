//! `chatspec list`.

use clap::Args;

use super::suite::SuiteArgs;
use super::{Ended, Usage};
use crate::requirement::RequirementId;
use crate::scenario::select::select;

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only these: a scenario, a requirement, an area, a level or a glob
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    suite: SuiteArgs,
}

pub fn run(args: &ListArgs) -> Ended {
    let protocol = args.suite.load()?;
    let selected = select(&protocol, &args.selectors, &[]).map_err(|error| Usage(error.to_string()))?;
    let mut area = "";
    for index in &selected {
        let scenario = &protocol.scenarios[*index];
        if scenario.area != area {
            area = &scenario.area;
            anstream::println!("{area}");
        }
        let proves: Vec<String> = scenario.proves().iter().map(RequirementId::to_string).collect();
        anstream::println!("  {:<52} {:<24} {}", scenario.id, proves.join(" "), scenario.title);
    }
    anstream::println!("\n{} scenarios. `chatspec explain ID` tells more of one, of a requirement or of a reading.", selected.len());
    Ok(0)
}
