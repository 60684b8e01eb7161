use flownic_wire::MacAddr;
use flownic_wire::flow::Fragment;

use super::*;

fn frame(identification: u32, offset: u16, more: bool, ports: Option<(u16, u16)>) -> FrameFlow {
    FrameFlow {
        dst_mac: MacAddr::default(),
        src_mac: MacAddr::default(),
        vlan: None,
        tuple: FlowTuple {
            src: "10.0.0.10".parse().unwrap(),
            dst: "10.0.0.20".parse().unwrap(),
            protocol: 17,
            src_port: 0,
            dst_port: 0,
        },
        fragment: Some(Fragment {
            identification,
            offset,
            more,
            ports,
        }),
        ttl: 64,
        ip_offset: 14,
        ip_length: 100,
        quoted: None,
    }
}

fn ports(result: Result<FlowTuple, Orphan>) -> Result<(u16, u16), Orphan> {
    result.map(|tuple| (tuple.src_port, tuple.dst_port))
}

const NOW: Duration = Duration::from_secs(1000);

/// R1.2: later fragments get the ports of the first one of their packet and network.
#[test]
fn r1_2_later_fragments_get_the_ports_of_the_first() {
    let mut fragments = Fragments::default();
    let later = frame(7, 100, true, None);
    assert_eq!(fragments.resolve(1, &later, NOW), Err(Orphan));
    let first = frame(7, 0, true, Some((5, 53)));
    assert_eq!(ports(fragments.resolve(1, &first, NOW)), Ok((5, 53)));
    assert_eq!(ports(fragments.resolve(1, &later, NOW)), Ok((5, 53)));
    let last = frame(7, 200, false, None);
    assert_eq!(ports(fragments.resolve(1, &last, NOW)), Ok((5, 53)));
    assert_eq!(
        fragments.resolve(2, &later, NOW),
        Err(Orphan),
        "other network"
    );
    let other = frame(8, 100, true, None);
    assert_eq!(
        fragments.resolve(1, &other, NOW),
        Err(Orphan),
        "other packet"
    );
}

/// R1.2: whole packets pass as they are; a first fragment must be long enough for its ports.
#[test]
fn r1_2_whole_and_tiny_packets() {
    let mut fragments = Fragments::default();
    let mut whole = frame(0, 0, false, None);
    whole.fragment = None;
    whole.tuple.dst_port = 80;
    assert_eq!(fragments.resolve(1, &whole, NOW), Ok(whole.tuple));
    let tiny = frame(7, 0, true, None);
    assert_eq!(fragments.resolve(1, &tiny, NOW), Err(Orphan));
    // An IPv6 fragment that is alone (RFC 6946) is not waited for.
    let atomic = frame(7, 0, false, Some((5, 53)));
    assert_eq!(ports(fragments.resolve(1, &atomic, NOW)), Ok((5, 53)));
    assert!(fragments.is_empty());
}

/// R1.8: bounded in time.
#[test]
fn r1_8_fragments_expire() {
    let mut fragments = Fragments::new(10, Duration::from_secs(30));
    let first = frame(7, 0, true, Some((5, 53)));
    let later = frame(7, 100, true, None);
    fragments.resolve(1, &first, NOW).unwrap();
    let at = |seconds| NOW + Duration::from_secs(seconds);
    assert!(fragments.resolve(1, &later, at(29)).is_ok());
    // The same identification again starts anew.
    fragments.resolve(1, &first, at(29)).unwrap();
    assert!(fragments.resolve(1, &later, at(58)).is_ok());
    assert_eq!(fragments.resolve(1, &later, at(59)), Err(Orphan));
    assert!(fragments.is_empty() && fragments.arrivals.is_empty());
}

/// R1.8: bounded in number, whatever comes.
#[test]
fn r1_8_fragments_are_bounded() {
    let mut fragments = Fragments::new(4, Duration::from_secs(30));
    for identification in 0..100 {
        let first = frame(identification % 7, 0, true, Some((5, 53)));
        fragments.resolve(1, &first, NOW).unwrap();
        assert!(fragments.len() <= 4 && fragments.arrivals.len() <= 4);
    }
    let newest = frame(99 % 7, 100, true, None);
    assert!(fragments.resolve(1, &newest, NOW).is_ok());
    let gone = frame(95 % 7, 100, true, None);
    assert_eq!(fragments.resolve(1, &gone, NOW), Err(Orphan));
    let mut none = Fragments::new(0, Duration::from_secs(30));
    let first = frame(1, 0, true, Some((5, 53)));
    assert!(none.resolve(1, &first, NOW).is_ok());
    assert!(none.is_empty());
}
