//! Variables in the environment. The units read them from /etc/node-agent/environment, where people write empty ones and mistype
//! others, and no such word may keep a node out of service.

use clap::{Arg, Command};
use std::ffi::OsString;

/// An empty variable counts as unset.
pub(super) fn without_empty(command: Command) -> Command {
    command.mut_args(|argument| if value(&argument).is_some() { argument } else { unset(argument) })
}

/// The command without the variables that cannot be parsed, and what is wrong with each.
pub(super) fn without_unusable(command: Command) -> (Command, Vec<String>) {
    let alone = command.clone().mut_args(unset);
    let mut wrong = Vec::new();
    let command = command.mut_args(|argument| {
        let (Some(name), Some(flag), Some(value)) =
            (argument.get_env(), argument.get_long(), value(&argument))
        else {
            return argument;
        };
        let mut given = OsString::from(format!("--{flag}="));
        given.push(&value);
        // Any verb without arguments of its own.
        let tried = alone.clone().try_get_matches_from([OsString::from("node-agent"), given, "idle".into()]);
        if tried.is_ok() {
            return argument;
        }
        wrong.push(format!("{}={}", name.to_string_lossy(), value.to_string_lossy()));
        unset(argument)
    });
    (command, wrong)
}

/// What the environment says for an argument, if it says something.
fn value(argument: &Arg) -> Option<OsString> {
    std::env::var_os(argument.get_env()?).filter(|value| !value.is_empty())
}

fn unset(argument: Arg) -> Arg {
    argument.env(None::<&'static str>)
}
