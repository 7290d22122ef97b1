use std::process::ExitCode;

fn main() -> ExitCode {
    chatspec::cli::main()
}
