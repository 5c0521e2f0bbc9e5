//! The real machine and the real service.

pub mod http_service;
pub mod linux;
pub mod systemd;
