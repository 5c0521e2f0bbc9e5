//! Generates the manual pages and shell completions of the packages from the command lines.
//!
//!     cargo run -p rehearsal --example manuals -- target/manuals

use clap_complete::Shell;
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let Some(out) = std::env::args_os().nth(1).map(PathBuf::from) else {
        anyhow::bail!("usage: manuals DIRECTORY");
    };
    for (name, program) in
        [("node-agent", node_agent::cli::command()), ("hello-service", hello_service::command())]
    {
        let dir = out.join(name);
        std::fs::create_dir_all(&dir)?;
        clap_mangen::generate_to(program.clone(), &dir)?;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            clap_complete::generate_to(shell, &mut program.clone(), name, &dir)?;
        }
    }
    Ok(())
}
