//! Addresses of this machine to connect from, as arguments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::str::FromStr;

use super::Usage;

/// More addresses than this are a mistake.
const MOST: u128 = 65_536;

/// An address, or all from one to another: `127.0.0.2-127.0.0.9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    first: IpAddr,
    count: u128,
    typed: String,
}

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| format!("`{text}` is no IP address"));
        let typed = text.to_owned();
        let Some((first, last)) = text.split_once('-') else {
            return Ok(Self { first: address(text)?, count: 1, typed });
        };
        let (first, last) = (address(first)?, address(last)?);
        if first.is_ipv4() != last.is_ipv4() {
            return Err(format!("`{text}` begins with one version of IP and ends with the other"));
        }
        let Some(more) = bits(last).checked_sub(bits(first)) else {
            return Err(format!("`{text}` ends before it begins"));
        };
        if more >= MOST {
            return Err(format!("`{text}` has more than {MOST} addresses"));
        }
        Ok(Self { first, count: more + 1, typed })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Sources {
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        (0..self.count).map(|place| match self.first {
            IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() + place as u32)),
            IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() + place)),
        })
    }

    /// As typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }
}

/// All addresses, each of which this machine must have.
pub fn addresses(sources: &[Sources]) -> anyhow::Result<Vec<IpAddr>> {
    let mut all: Vec<IpAddr> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for address in sources.iter().flat_map(Sources::addresses) {
        if !known.insert(address) {
            return Err(Usage(format!("--source: {address} is given twice, and has its ports only once")).into());
        }
        // Binding sends nothing, and fails for an address of another machine.
        if let Err(error) = UdpSocket::bind((address, 0)) {
            return Err(Usage(format!(
                "--source: nothing can be sent from {address} here ({error}); `ip addr` shows this machine's addresses"
            ))
            .into());
        }
        all.push(address);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<String>, String> {
        Ok(text.parse::<Sources>()?.addresses().map(|address| address.to_string()).collect())
    }

    #[test]
    fn a_range_is_all_its_addresses() {
        assert_eq!(all("127.0.0.2"), Ok(vec!["127.0.0.2".into()]));
        assert_eq!(all("127.0.0.254-127.0.1.1"), Ok(["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1"].map(String::from).into()));
        assert_eq!(all("fd00::ffff-fd00::1:1").map(|all| all.len()), Ok(3));
        assert_eq!(all("255.255.255.254-255.255.255.255").map(|all| all.len()), Ok(2));
    }

    #[test]
    fn what_is_no_range_is_told() {
        assert_eq!(all("127.0.0.9-127.0.0.2"), Err("`127.0.0.9-127.0.0.2` ends before it begins".into()));
        assert_eq!(all("127.0.0.1-::1"), Err("`127.0.0.1-::1` begins with one version of IP and ends with the other".into()));
        assert_eq!(all("10.0.0.0-11.0.0.0"), Err("`10.0.0.0-11.0.0.0` has more than 65536 addresses".into()));
        assert_eq!(all("eth0"), Err("`eth0` is no IP address".into()));
    }
}
