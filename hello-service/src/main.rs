//! The `hello-service` program. Its code is in the library, so that the rehearsal can include it.

use std::process::ExitCode;

fn main() -> ExitCode {
    hello_service::run(std::env::args_os())
}
