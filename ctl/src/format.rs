//! Values as people write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flownic_wire::MacAddr;

/// An address of 4 or 16 bytes; anything else as hexadecimal digits.
pub(crate) fn address(bytes: &[u8]) -> String {
    match bytes.len() {
        4 => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).to_string(),
        16 => <[u8; 16]>::try_from(bytes)
            .map_or_else(|_| hex(bytes), |all| Ipv6Addr::from(all).to_string()),
        _ => hex(bytes),
    }
}

/// A MAC address; anything that is not six bytes as hexadecimal digits.
pub(crate) fn mac(bytes: &[u8]) -> String {
    <[u8; 6]>::try_from(bytes).map_or_else(|_| hex(bytes), |all| MacAddr(all).to_string())
}

/// `0x…`, two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// Name of an IP protocol, or its number.
pub(crate) fn protocol(number: u32) -> String {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmpv6".into(),
        other => other.to_string(),
    }
}

/// Number of an IP protocol from its name or number.
pub(crate) fn parse_protocol(text: &str) -> Option<u32> {
    match text.to_ascii_lowercase().as_str() {
        "icmp" => Some(1),
        "tcp" => Some(6),
        "udp" => Some(17),
        "icmpv6" => Some(58),
        other => other.parse().ok().filter(|&number: &u32| number < 256),
    }
}

/// A pipeline port: `vf 3`, `uplink 0`, `host`.
pub(crate) fn port(number: u32) -> String {
    match number {
        0..=15 => format!("uplink {number}"),
        16..=271 => format!("vf {}", number - 16),
        510 => "host".into(),
        other => format!("port {other}"),
    }
}

/// Microseconds with a unit that fits.
pub(crate) fn microseconds(us: u64) -> String {
    match us {
        0..=999 => format!("{us} µs"),
        1_000..=999_999 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// Seconds as `1d 2h`, `3m 4s`: the two largest units.
pub(crate) fn seconds(total: u64) -> String {
    let parts = [
        (total / 86_400, "d"),
        (total / 3_600 % 24, "h"),
        (total / 60 % 60, "m"),
        (total % 60, "s"),
    ];
    let first = parts.iter().position(|part| part.0 > 0).unwrap_or(3);
    let words: Vec<String> = parts[first..]
        .iter()
        .take(2)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    words.join(" ")
}

/// An IPv4 address that the API carries as a number.
pub(crate) fn ipv4(number: u32) -> String {
    Ipv4Addr::from(number).to_string()
}

/// Parses an address of either family.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        let six = [0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xa];
        assert_eq!(address(&six), "fd00:0:0:1::a");
        assert_eq!(address(&[10, 0, 0, 1]), "10.0.0.1");
        assert_eq!(mac(&[2, 0, 0, 0, 0, 10]), "02:00:00:00:00:0a");
        assert_eq!(mac(&[2]), "0x02");
        assert_eq!(port(16), "vf 0");
        assert_eq!(port(271), "vf 255");
        assert_eq!(port(272), "port 272");
        assert_eq!(seconds(0), "0s");
        assert_eq!(seconds(3_661), "1h 1m");
        assert_eq!(microseconds(1_500), "1.5 ms");
        assert_eq!(parse_protocol("TCP"), Some(6));
        assert_eq!(parse_protocol("300"), None);
    }
}
