//! Packets across the CPU port, against the software device.

#![expect(
    clippy::disallowed_methods,
    reason = "states of another thread are polled"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flownic_driver::packet_io::PacketError;
use flownic_driver::{DeviceNic, Nic, NicError, Options, PacketOut};
use support::{Rig, small, within};

/// A punt as the program sends it: 4 bits of reason, 12 bits of port, and a frame.
fn punt(n: u32) -> Vec<u8> {
    let mut packet = vec![0x30, 0x07];
    packet.extend(n.to_be_bytes());
    packet.resize(2 + 60 + n as usize % 1400, n as u8);
    packet
}

fn packet_out(port: u16, payload: Vec<u8>) -> PacketOut {
    PacketOut {
        metadata: vec![(1, port.to_be_bytes().to_vec())],
        payload,
    }
}

/// Punts packet `n` as soon as the ring has room for it.
fn punt_when_there_is_room(rig: &Rig, n: u32) {
    let until = std::time::Instant::now() + support::TEST_DEADLINE;
    while !rig.run(move |device, _| device.punt(&punt(n))) {
        assert!(
            std::time::Instant::now() < until,
            "never room for packet {n}"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// R1.2: punted packets arrive whole, in order and once, many times around the ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_punts_arrive_in_order() {
    within(async {
        const COUNT: u32 = 5000;
        let rig = Arc::new(Rig::new());
        let nic = rig.open(small()).await.expect("opens");
        let source = rig.clone();
        let sender = tokio::task::spawn_blocking(move || {
            (0..COUNT).for_each(|n| punt_when_there_is_room(&source, n));
        });
        for n in 0..COUNT {
            let packet = nic.receive().await.expect("arrives");
            assert_eq!(packet.metadata, [(1, vec![3]), (2, vec![7])]);
            assert_eq!(packet.payload, punt(n)[2..], "packet {n}");
        }
        sender.await.expect("no panic");
        assert_eq!(rig.statistics().punts, u64::from(COUNT));
    })
    .await;
}

/// R1.2: injected packets reach the pipeline whole, in order and once, many times around the ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_injects_arrive_in_order() {
    within(async {
        const COUNT: u16 = 5000;
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        let payload = |n: u16| vec![n as u8; 60 + usize::from(n) % 1400];
        for n in 0..COUNT {
            nic.send(packet_out(n, payload(n))).await.expect("taken");
        }
        nic.health().await.expect("the rings are served");
        while rig.statistics().injects < COUNT.into() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let injected = rig.run(|_, store| std::mem::take(&mut store.injected));
        assert_eq!(injected.len(), usize::from(COUNT));
        for (n, packet) in (0..COUNT).zip(&injected) {
            assert_eq!(packet[..2], n.to_be_bytes());
            assert_eq!(packet[2..], payload(n));
        }
    })
    .await;
}

/// R1.8: nothing is silently lost: what does not fit in the punt ring is counted, and what fits arrives.
#[tokio::test]
async fn punts_beyond_the_ring_are_counted() {
    within(async {
        let rig = Rig::new();
        assert!(
            !rig.run(|device, _| device.punt(&punt(0))),
            "nobody is there"
        );
        let nic = rig.open(small()).await.expect("opens");
        let sent = rig.run(|device, _| (0..20).map(|n| device.punt(&punt(n))).collect::<Vec<_>>());
        assert_eq!(sent, (0..20).map(|n| n < 8).collect::<Vec<_>>());
        for n in 0..8 {
            assert_eq!(nic.receive().await.expect("arrives").payload, punt(n)[2..]);
        }
        assert!(
            rig.run(|device, _| device.punt(&punt(99))),
            "there is room again"
        );
        assert_eq!(nic.receive().await.expect("arrives").payload, punt(99)[2..]);
        let statistics = rig.statistics();
        assert_eq!(
            (
                statistics.punts,
                statistics.punt_ring_full,
                statistics.no_driver
            ),
            (9, 12, 1)
        );
    })
    .await;
}

/// R1.2: giving up a wait loses no packet.
#[tokio::test]
async fn receiving_is_cancel_safe() {
    within(async {
        let rig = Arc::new(Rig::new());
        let nic = rig.open(small()).await.expect("opens");
        let source = rig.clone();
        let sender = tokio::task::spawn_blocking(move || {
            for n in 0..200 {
                punt_when_there_is_room(&source, n);
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let mut next = 0;
        while next < 200 {
            // Shorter than the time between packets: most waits are given up.
            if let Ok(packet) =
                tokio::time::timeout(Duration::from_micros(100), nic.receive()).await
            {
                assert_eq!(packet.expect("arrives").payload, punt(next)[2..]);
                next += 1;
            }
        }
        sender.await.expect("no panic");
    })
    .await;
}

/// R7.4: a waiting receiver is woken by the interrupt, not by chance.
#[tokio::test]
async fn a_punt_wakes_a_receiver_that_waits() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        let start = std::time::Instant::now();
        for n in 0..20 {
            let (packet, ()) = tokio::join!(nic.receive(), async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                rig.run(move |device, _| assert!(device.punt(&punt(n))));
            });
            assert_eq!(packet.expect("arrives").payload, punt(n)[2..]);
        }
        // Without interrupts each would wait for half a second.
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "took {:?}",
            start.elapsed()
        );
    })
    .await;
}

/// R7.4: a full inject ring makes senders wait; when the device does not take any, they are told.
#[tokio::test]
async fn a_full_inject_ring_is_told() {
    within(async {
        let rig = Rig::new();
        let options = Options {
            deadline: Duration::from_millis(300),
            ..small()
        };
        let nic: DeviceNic = rig.open(options).await.expect("opens");
        rig.hang.store(true, std::sync::atomic::Ordering::Relaxed);
        rig.run(|_, _| ()); // the worker is in its loop and sees it
        for n in 0..8 {
            nic.send(packet_out(n, vec![0; 60]))
                .await
                .expect("fits in the ring");
        }
        let error = nic
            .send(packet_out(8, vec![0; 60]))
            .await
            .expect_err("full");
        assert!(matches!(error, NicError::Busy { .. }), "{error}");
        rig.hang.store(false, std::sync::atomic::Ordering::Relaxed);
        nic.send(packet_out(9, vec![0; 60]))
            .await
            .expect("there is room again");
    })
    .await;
}

/// R7.4: packets that the device could not take are refused before they are sent.
#[tokio::test]
async fn impossible_packets_are_refused() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        let limit = nic.info().limits.packet;
        nic.send(packet_out(1, vec![0; limit - 2]))
            .await
            .expect("just fits");
        let error = nic
            .send(packet_out(1, vec![0; limit - 1]))
            .await
            .expect_err("too long");
        assert!(
            matches!(error, NicError::Packet(PacketError::TooLong { .. })),
            "{error}"
        );
        let error = nic
            .send(PacketOut {
                metadata: vec![],
                payload: vec![0; 60],
            })
            .await
            .expect_err("no port");
        assert!(
            matches!(error, NicError::Packet(PacketError::Missing { id: 1, .. })),
            "{error}"
        );
    })
    .await;
}

/// R7.4: a punt without a whole header is told, and the next one arrives.
#[tokio::test]
async fn a_punt_shorter_than_its_header_is_told() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        rig.run(|device, _| device.punt(&[0x30]) && device.punt(&punt(1)));
        let error = nic.receive().await.expect_err("too short");
        assert!(
            matches!(
                error,
                NicError::Packet(PacketError::TooShort { len: 1, header: 2 })
            ),
            "{error}"
        );
        assert_eq!(nic.receive().await.expect("arrives").payload, punt(1)[2..]);
    })
    .await;
}
