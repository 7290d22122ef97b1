use std::process::ExitCode;

// Many small texts live briefly here, in the harness as in the server, and the system's allocator takes its time over them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    chatspec::cli::main()
}
