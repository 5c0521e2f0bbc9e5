//! This machine: its clock, its boots, its commands, its service, and the traits that a test puts in their place.

pub mod causes;
pub mod linux;
pub mod local_service;
pub mod ports;
pub mod program;
pub mod systemd;
pub mod time;
