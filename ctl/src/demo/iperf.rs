//! What iperf3 reports, and where packets were lost when it was not in the NICs.

use serde::Deserialize;

use super::report::Check;

/// What `iperf3 --json` prints: a result, or what went wrong.
#[derive(Deserialize)]
pub(super) struct IperfReport {
    pub(super) error: Option<String>,
    pub(super) end: Option<Iperf>,
}

/// The part of iperf3's report that matters here.
#[derive(Default, Deserialize)]
pub(super) struct Iperf {
    #[serde(default)]
    sum: Sum,
    #[serde(default)]
    sum_sent: Sum,
    #[serde(default)]
    sum_received: Sum,
}

/// Totals of one direction.
#[derive(Default, Deserialize)]
pub(super) struct Sum {
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    bits_per_second: f64,
    #[serde(default)]
    retransmits: u64,
    #[serde(default)]
    packets: u64,
    #[serde(default)]
    lost_packets: i64,
}

/// TCP: it must get through; its retransmits are reported.
pub(super) fn tcp_check(seconds: u64, result: Result<Iperf, String>) -> Check {
    let what = format!("iperf3, TCP, {seconds} s");
    match result {
        Err(error) => Check::new(false, what, vec![error]),
        Ok(end) => {
            let received = &end.sum_received;
            let text = format!(
                "{:.0} Mbit/s over {:.1} s, {} retransmits",
                received.bits_per_second / 1e6,
                received.seconds,
                end.sum_sent.retransmits
            );
            Check::new(received.bits_per_second > 0.0, what, vec![text])
        }
    }
}

/// UDP: nothing may be lost. `outside` is what a's interface and b's sockets lost, of all losses.
pub(super) fn udp_check(seconds: u64, result: Result<Iperf, String>, outside: (u64, u64)) -> Check {
    let what = format!("iperf3, UDP, {seconds} s: no packet lost");
    match result {
        Err(error) => Check::new(false, what, vec![error]),
        Ok(end) => {
            let sum = &end.sum;
            let rate = sum.bits_per_second / 1e6;
            let mut details = vec![format!(
                "{rate:.1} Mbit/s, {} packets, {} lost",
                sum.packets, sum.lost_packets
            )];
            if outside != (0, 0) {
                let (interface, sockets) = outside;
                details.push(format!(
                    "not by the NICs: {interface} in a's full interface queue, {sockets} in b's full socket buffer"
                ));
            }
            Check::new(sum.packets > 0 && sum.lost_packets == 0, what, details)
        }
    }
}

/// Largest socket buffer that a program may ask for, bytes.
pub(super) fn largest_buffer() -> u64 {
    let limit = |name: &str| {
        let text =
            std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).unwrap_or_default();
        text.trim().parse().unwrap_or(100_000)
    };
    limit("rmem_max").min(limit("wmem_max"))
}

/// `RcvbufErrors` of UDP in the text of `/proc/net/snmp`: names in one line, numbers in the next.
pub(super) fn receive_buffer_errors(snmp: &str) -> u64 {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp:"));
    let (names, numbers) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let mut pairs = names.split(' ').zip(numbers.split(' '));
    let found = pairs.find(|(name, _)| *name == "RcvbufErrors");
    found
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        let snmp = "Tcp: A\nTcp: 1\nUdp: InDatagrams RcvbufErrors X\nUdp: 5 7 0\n";
        assert_eq!(receive_buffer_errors(snmp), 7);
        assert_eq!(receive_buffer_errors(""), 0);
        let json = r#"{"end":{"sum":{"seconds":1.0,"packets":10,"lost_packets":1,"bits_per_second":2e6}}}"#;
        let report: IperfReport = serde_json::from_str(json).unwrap();
        let check = udp_check(1, Ok(report.end.unwrap()), (1, 0));
        assert!(!check.ok);
        assert_eq!(check.details[0], "2.0 Mbit/s, 10 packets, 1 lost");
    }
}
