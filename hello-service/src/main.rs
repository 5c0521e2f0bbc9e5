//! The `hello-service` program; everything it does is in the library, so that the rehearsal can carry it inside.

use std::process::ExitCode;

fn main() -> ExitCode {
    hello_service::run(std::env::args_os())
}
