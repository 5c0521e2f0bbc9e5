//! The addresses of this node: of every network interface, primary and secondary, IPv4 and IPv6.

use super::client::{ADDRESS, ask, is_switched_off, metadata, text};
use aws_config::imds;
use std::net::IpAddr;

/// The list of network interfaces, by MAC address (EC2 user guide, "Instance metadata categories").
const INTERFACES: &str = "network/interfaces/macs/";
/// The lists of addresses of one interface. IPv6 addresses are absent without any.
const LISTS: [&str; 2] = ["local-ipv4s", "ipv6s"];
/// The most interfaces that are read. The largest instance types have 60.
const MOST_INTERFACES: usize = 64;

/// Reads the addresses again: interfaces and addresses are attached and detached while a machine runs.
#[derive(Debug, Clone)]
pub struct Addresses(Option<imds::Client>);

impl Addresses {
    /// From the instance metadata service, at the address from the SDK's own settings.
    pub fn from_environment() -> Addresses {
        if is_switched_off() { Addresses(None) } else { Addresses::by(metadata()) }
    }

    /// From this metadata service.
    pub fn by(metadata: imds::client::Builder) -> Addresses {
        Addresses(Some(metadata.build()))
    }

    /// The addresses as they are now; `None`: there is no metadata service to ask.
    ///
    /// # Errors
    /// When the service does not answer, or answers with something else.
    pub async fn read(&self) -> Result<Option<Vec<IpAddr>>, String> {
        match &self.0 {
            Some(client) => read(client).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The addresses as the metadata service lists them, the primary one first.
pub(super) async fn read(client: &imds::Client) -> Result<Vec<IpAddr>, String> {
    let mut addresses = Vec::new();
    let mut add = |address: IpAddr| {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    };
    ask(client, &ADDRESS).await?.and_then(|text| text.parse().ok()).into_iter().for_each(&mut add);
    let interfaces = text(client, INTERFACES).await?.unwrap_or_default();
    for mac in interfaces.lines().map(|line| line.trim().trim_end_matches('/')).take(MOST_INTERFACES) {
        if !is_mac(mac) {
            return Err(wrong(INTERFACES));
        }
        for list in LISTS {
            let path = format!("{INTERFACES}{mac}/{list}");
            let listed = text(client, &path).await?.unwrap_or_default();
            for line in listed.lines().map(str::trim).filter(|line| !line.is_empty()) {
                add(line.parse().map_err(|_| wrong(&path))?);
            }
        }
    }
    Ok(addresses)
}

fn is_mac(text: &str) -> bool {
    text.len() == 17 && text.split(':').all(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok())
}

fn wrong(path: &str) -> String {
    format!("its answer is not a valid {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_six_pairs_of_hex_digits() {
        assert!(is_mac("0e:49:61:0f:c3:11"));
        for wrong in ["", "0e:49:61:0f:c3", "0e:49:61:0f:c3:1", "<html>:49:61:0f:c", "0e-49-61-0f-c3-11"] {
            assert!(!is_mac(wrong), "{wrong}");
        }
    }
}
