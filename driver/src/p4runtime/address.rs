//! Where a P4Runtime target is and as whom to speak to it:
//! `p4runtime:HOST:PORT[?device-id=N&election-id=N&role=NAME&deadline-ms=N]`.

use std::time::Duration;

use super::error::P4RuntimeError;

/// The scheme, with its colon.
pub const SCHEME: &str = "p4runtime:";

/// A target and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `HOST:PORT`; an IPv6 address is in brackets.
    pub authority: String,
    /// Which device of the target. Default 0, as bmv2's own.
    pub device_id: u64,
    /// The controller with the largest one may write. Default 1, 0 is not possible.
    pub election_id: u128,
    /// Empty (the default): the role that may do everything.
    pub role: String,
    /// Longest time for an answer, or between two messages of a long one. Default 10 s.
    pub deadline: Duration,
}

impl Target {
    /// Reads an address; see the module for its form.
    ///
    /// # Errors
    /// [`P4RuntimeError::Address`], saying which part is wrong.
    pub fn parse(address: &str) -> Result<Target, P4RuntimeError> {
        parse(address).map_err(|reason| P4RuntimeError::Address {
            address: address.to_owned(),
            reason,
        })
    }
}

fn parse(address: &str) -> Result<Target, String> {
    let rest = address
        .strip_prefix(SCHEME)
        .ok_or_else(|| format!("it does not begin with `{SCHEME}`"))?;
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    check_authority(authority)?;
    let mut target = Target {
        authority: authority.to_owned(),
        device_id: 0,
        election_id: 1,
        role: String::new(),
        deadline: Duration::from_secs(10),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("`{pair}` is no KEY=VALUE"))?;
        target.set(key, value)?;
    }
    Ok(target)
}

impl Target {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || {
            let number = value.parse::<u128>();
            number.map_err(|_| format!("{key}: `{value}` is no number"))
        };
        let small = || {
            let number = u64::try_from(number()?);
            number.map_err(|_| format!("{key}: `{value}` is larger than 64 bits"))
        };
        match key {
            "device-id" => self.device_id = small()?,
            "election-id" => self.election_id = number()?,
            "role" => self.role = value.to_owned(),
            "deadline-ms" => self.deadline = Duration::from_millis(small()?),
            _ => {
                return Err(format!(
                    "`{key}` is none of device-id, election-id, role, deadline-ms"
                ));
            }
        }
        if self.election_id == 0 {
            return Err("election-id: 0 is not possible".to_owned());
        }
        if self.deadline.is_zero() {
            return Err("deadline-ms: 0 leaves no time for an answer".to_owned());
        }
        Ok(())
    }
}

fn check_authority(authority: &str) -> Result<(), String> {
    let (host, port) = authority
        .rsplit_once(':')
        .ok_or("HOST:PORT is expected, and there is no port")?;
    let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let plain = !host.is_empty() && !host.contains([':', '/', '@', '[', ']', ' ']);
    if !bracketed && !plain {
        return Err(format!("`{host}` is no host"));
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ => Err(format!("`{port}` is no port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r7_2_an_address_has_a_place_and_options() {
        let target = Target::parse("p4runtime:127.0.0.1:9559?device-id=1").unwrap();
        assert_eq!(target.authority, "127.0.0.1:9559");
        assert_eq!((target.device_id, target.election_id), (1, 1));
        let target = Target::parse(
            "p4runtime:[::1]:1?election-id=18446744073709551616&role=r&deadline-ms=250",
        )
        .unwrap();
        assert_eq!(target.authority, "[::1]:1");
        assert_eq!(target.election_id, 1 << 64);
        assert_eq!(target.role, "r");
        assert_eq!(target.deadline, Duration::from_millis(250));
    }

    #[test]
    fn r7_2_a_wrong_address_is_refused_with_the_part_that_is_wrong() {
        for (address, part) in [
            ("vfio:0000:01:00.0", "p4runtime:"),
            ("p4runtime:", "port"),
            ("p4runtime:host", "port"),
            ("p4runtime::1", "host"),
            ("p4runtime:::1:9559", "host"),
            ("p4runtime:host:0", "`0`"),
            ("p4runtime:host:65536", "65536"),
            ("p4runtime:a/b:1", "a/b"),
            ("p4runtime:h:1?device", "KEY=VALUE"),
            ("p4runtime:h:1?device-id=x", "device-id"),
            ("p4runtime:h:1?device-id=18446744073709551616", "64 bits"),
            ("p4runtime:h:1?election-id=0", "election-id"),
            ("p4runtime:h:1?deadline-ms=0", "deadline-ms"),
            ("p4runtime:h:1?colour=red", "colour"),
        ] {
            let error = Target::parse(address).unwrap_err().to_string();
            assert!(error.contains(part), "{address}: {error}");
            assert!(error.contains(address), "{address}: {error}");
        }
    }
}
