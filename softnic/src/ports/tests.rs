use std::os::unix::net::UnixDatagram;
use std::time::{Duration, UNIX_EPOCH};

use super::address::{AddressError, CaptureAddress, Endpoint, PortAddress};
use super::pcapng::{Capture, Direction};
use super::port::{Port, QUEUE_FRAMES, STUCK_AFTER};
use super::{MAX_FRAME, MIN_FRAME};

fn open(text: &str) -> Port {
    Port::open(&text.parse().unwrap()).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is tested is what time does"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn buffer() -> Box<[u8; MAX_FRAME + 1]> {
    vec![0; MAX_FRAME + 1].try_into().unwrap()
}

#[test]
fn addresses_are_read() {
    let unix = Endpoint::Unix {
        path: "/a".into(),
        peer: Some("/b".into()),
    };
    assert_eq!(
        "3=unix:/a,peer=/b".parse(),
        Ok(PortAddress {
            number: 3,
            endpoint: unix
        })
    );
    let tap = |namespace: Option<&str>| Endpoint::Tap {
        name: "vf0".into(),
        namespace: namespace.map(Into::into),
    };
    assert_eq!(
        "16=tap:vf0".parse(),
        Ok(PortAddress {
            number: 16,
            endpoint: tap(None)
        })
    );
    let named = PortAddress {
        number: 16,
        endpoint: tap(Some("/run/netns/vm")),
    };
    assert_eq!("16=tap:vf0@vm".parse(), Ok(named.clone()));
    assert_eq!("16=tap:vf0@/run/netns/vm".parse(), Ok(named));
    assert_eq!(
        "0=/x".parse(),
        Ok(CaptureAddress {
            number: 0,
            file: "/x".into()
        })
    );
}

#[test]
fn bad_addresses_are_refused() {
    let parse = |text: &str| text.parse::<PortAddress>().unwrap_err();
    assert_eq!(parse("unix:/a"), AddressError::NoNumber);
    assert_eq!(parse("510=unix:/a"), AddressError::Number("510".into()));
    assert_eq!(parse("1=veth:a"), AddressError::Kind("veth:a".into()));
    assert_eq!(parse("1=unix:/a,x=1"), AddressError::Option("x=1".into()));
    assert_eq!(parse("1=unix:"), AddressError::NoPath);
    assert_eq!(
        parse("1=tap:0123456789abcdef"),
        AddressError::Name("0123456789abcdef".into())
    );
}

/// R6.5: a port answers to whoever sent last.
#[test]
fn unix_port_answers_to_the_last_sender() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut port = open(&format!("1=unix:{}", path("nic").display()));
    port.send(&[1; 60]);
    assert_eq!(port.counters().tx_no_peer, 1);

    let vm = UnixDatagram::bind(path("vm")).unwrap();
    vm.send_to(&[7; 60], path("nic")).unwrap();
    vm.send_to(&[8; MIN_FRAME - 1], path("nic")).unwrap();
    vm.send_to(&[9; MAX_FRAME + 1], path("nic")).unwrap();
    let mut room = buffer();
    assert_eq!(port.receive(&mut room), Some(&[7; 60][..]));
    assert_eq!(port.receive(&mut room), None);
    let counters = port.counters();
    assert_eq!((counters.rx_packets, counters.rx_bytes), (1, 60));
    assert_eq!((counters.rx_runts, counters.rx_oversize), (1, 1));

    port.send(&[2; 61]);
    let mut got = [0; 100];
    assert_eq!(vm.recv(&mut got).unwrap(), 61);
    assert_eq!(port.counters().tx_packets, 1);
}

/// R6.5: two NICs that are each other's peers, whichever is there first.
#[test]
fn unix_port_finds_its_peer_again() {
    let directory = tempfile::tempdir().unwrap();
    let address = |own: &str, peer: &str| {
        let path = |name: &str| directory.path().join(name).display().to_string();
        format!("0=unix:{},peer={}", path(own), path(peer))
    };
    let mut a = open(&address("a", "b"));
    a.send(&[1; 60]);
    assert_eq!(a.counters().tx_no_peer, 1);
    for round in 0..2 {
        let mut b = open(&address("b", "a"));
        // After a failure a port does not look for its peer at once.
        pause(Duration::from_millis(30));
        a.send(&[2; 60]);
        if round == 1 {
            // The first frame found the old socket dead.
            pause(Duration::from_millis(30));
            a.send(&[2; 60]);
        }
        b.send(&[3; 60]);
        assert_eq!(
            b.receive(&mut buffer()),
            Some(&[2; 60][..]),
            "round {round}"
        );
        assert_eq!(
            a.receive(&mut buffer()),
            Some(&[3; 60][..]),
            "round {round}"
        );
    }
}

/// A receiver that is slow holds up the sender; one that is dead does not hold up the others.
#[test]
fn output_waits_and_then_drops() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let slow = UnixDatagram::bind(path("slow")).unwrap();
    let mut port = open(&format!("1=unix:{}", path("nic").display()));
    slow.send_to(&[0; 60], path("nic")).unwrap();
    port.receive(&mut buffer()).unwrap();

    let mut sent = 0;
    while !port.is_full() {
        port.send(&[1; 60]);
        sent += 1;
        assert!(sent < 100_000, "the queue never fills");
    }
    assert_eq!(port.counters().tx_queue_full, 0);
    pause(STUCK_AFTER + Duration::from_millis(20));
    assert!(!port.is_full(), "a stuck port must not stop the others");
    port.send(&[1; 60]);
    assert_eq!(port.counters().tx_queue_full, 1);

    // It wakes up: everything that waited arrives, in order.
    slow.set_nonblocking(true).unwrap();
    let (mut got, mut room) = (0, [0; 100]);
    loop {
        while slow.recv(&mut room).is_ok() {
            got += 1;
        }
        if port.flush() == 0 && !port.has_queue() {
            break;
        }
    }
    while slow.recv(&mut room).is_ok() {
        got += 1;
    }
    assert_eq!(got, sent);
    assert!(sent > QUEUE_FRAMES);
}

#[test]
fn a_live_socket_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nic");
    let address: PortAddress = format!("1=unix:{}", path.display()).parse().unwrap();
    let other = UnixDatagram::bind(&path).unwrap();
    let error = Port::open(&address).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    drop(other);
    drop(Port::open(&address).unwrap());
    assert!(!path.exists(), "the socket is removed with the port");
}

#[test]
fn capture_has_the_blocks_of_the_format() {
    let mut file = Vec::new();
    let mut capture = Capture::new(&mut file, "uplink").unwrap();
    let at = UNIX_EPOCH + Duration::from_nanos(0x0000_0001_0000_0002);
    capture.frame(&[0xaa; 15], Direction::Out, at).unwrap();
    capture.flush().unwrap();

    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let (mut kinds, mut offset) = (Vec::new(), 0);
    while offset < file.len() {
        let length = word(offset + 4) as usize;
        assert_eq!(length % 4, 0);
        assert_eq!(word(offset + length - 4) as usize, length);
        kinds.push((word(offset), offset));
        offset += length;
    }
    let names: Vec<u32> = kinds.iter().map(|kind| kind.0).collect();
    assert_eq!(names, [0x0a0d_0d0a, 1, 6]);
    let packet = kinds[2].1;
    let head: Vec<u32> = (0..5).map(|at| word(packet + 8 + at * 4)).collect();
    assert_eq!(head, [0, 1, 2, 15, 15]);
    // epb_flags: code 2, length 4, outbound.
    assert_eq!(
        &file[packet + 28 + 16..packet + 28 + 24],
        [2, 0, 4, 0, 2, 0, 0, 0]
    );
}
