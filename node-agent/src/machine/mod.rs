//! This machine: its clock, its boots, its commands, its service, and the traits that tests implement instead.

pub mod causes;
pub mod linux;
pub mod local_service;
mod output;
pub mod ports;
pub mod program;
pub mod reboot_required;
pub mod systemd;
pub mod time;
