//! `chatspec man`.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

use super::{Ended, Usage};
use crate::scenario::source::suggest;

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The page of this command, instead of the main one
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write a page for each command into this folder, and the main one
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub fn run(args: &ManArgs) -> Ended {
    // Commands know their full names, such as `chatspec-check`, once they are built.
    let mut main = super::command().disable_help_subcommand(true);
    main.build();
    match (&args.dir, &args.command) {
        (Some(dir), _) => {
            std::fs::create_dir_all(dir).map_err(|error| Usage(format!("--dir: {} can't be made: {error}", dir.display())))?;
            for command in std::iter::once(&main).chain(main.get_subcommands()) {
                let path = dir.join(Man::new(command.clone()).get_filename());
                std::fs::write(&path, page(command)?).with_context(|| format!("{} can't be written", path.display()))?;
            }
        }
        (None, None) => io::stdout().lock().write_all(&page(&main)?)?,
        (None, Some(name)) => {
            let Some(command) = main.find_subcommand(name) else {
                let help = suggest(name, main.get_subcommands().map(Command::get_name).collect::<Vec<_>>());
                return Err(Usage(format!("there is no command `{name}`; {help}")).into());
            };
            io::stdout().lock().write_all(&page(command)?)?;
        }
    }
    Ok(0)
}

/// The page of a command, in the language of `man`.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    // The crate would run the lines of the examples together.
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for part in after.split("\n\n") {
        match part.split_once(':') {
            Some(("Example" | "Examples", lines)) => writeln!(page, ".SH EXAMPLES\n.nf\n{}\n.fi", verbatim(lines.trim_matches('\n')))?,
            Some(("Exit codes", codes)) => {
                writeln!(page, ".SH \"EXIT STATUS\"\n{}", verbatim(codes.trim()))?;
            }
            _ => writeln!(page, ".PP\n{}", verbatim(part))?,
        }
    }
    if command.get_version().is_some() {
        man.render_version_section(&mut page)?;
    }
    Ok(page)
}

/// Lines as text, of which nothing is taken for a request.
fn verbatim(lines: &str) -> String {
    let escaped = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    };
    lines.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_the_lines_of_its_examples_and_takes_none_for_a_request() {
        let command = Command::new("x").after_help("Examples:\n  x --all 'a\\b'\n.so /etc\n\nExit codes: 0 fine, 1 not");
        let text = String::from_utf8(page(&command).expect("a vector takes every write")).expect("UTF-8");
        assert!(text.contains(".SH EXAMPLES\n.nf\n  x \\-\\-all 'a\\eb'\n\\&.so /etc\n.fi\n"), "{text}");
        assert!(text.contains(".SH \"EXIT STATUS\"\n0 fine, 1 not\n"), "{text}");
    }
}
