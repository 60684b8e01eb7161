//! The replay against a network of a few lines that can be told to misbehave: a demo whose checks
//! cannot fail shows nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flownic_wire::flow::FlowTuple;
use flownic_wire::{MacAddr, answer, arp, ethernet, ipv4, ipv6, nd};
use tokio::net::UnixDatagram;

use super::capture;
use super::replay::{Outcome, Pace, Vms, play};
use super::script::{Answer, Conversation, Expect, Topic, Vm, script};
use super::tenants::{TRAFFIC, TWO_TENANTS, Tenant, with_tunnel, without_port};
use super::vm::Endpoint;

const GATEWAYS: [MacAddr; 2] = [
    MacAddr([2, 0, 0x5e, 0, 0, 1]),
    MacAddr([2, 0, 0x5e, 0, 0, 2]),
];

fn recorded() -> Vec<Conversation> {
    script(&capture::read(TRAFFIC).unwrap(), usize::MAX).unwrap()
}

/// What the network does wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Lose,
    Corrupt,
    Duplicate,
    ForwardForbidden,
}

/// Two subnets and their router. Frames come in at `port-X`, go out to `vm-X`.
struct Network {
    folder: PathBuf,
    sockets: HashMap<Vm, Arc<UnixDatagram>>,
}

impl Network {
    fn start(folder: &std::path::Path, tenant: Tenant, fault: Fault) -> Network {
        let sockets: HashMap<Vm, Arc<UnixDatagram>> = Vm::ALL
            .into_iter()
            .map(|vm| {
                let socket =
                    UnixDatagram::bind(folder.join(format!("port-{}", vm.name()))).unwrap();
                (vm, Arc::new(socket))
            })
            .collect();
        for vm in Vm::ALL {
            let network = Network {
                folder: folder.to_owned(),
                sockets: sockets.clone(),
            };
            tokio::spawn(async move { network.serve(vm, tenant, fault).await });
        }
        Network {
            folder: folder.to_owned(),
            sockets,
        }
    }

    async fn serve(&self, from: Vm, tenant: Tenant, fault: Fault) {
        let mut buffer = vec![0; 65_536];
        let mut number = 0;
        loop {
            let length = self.sockets[&from].recv(&mut buffer).await.unwrap();
            let Some((to, mut frame)) = forward(from, &buffer[..length], tenant, fault) else {
                continue;
            };
            number += 1;
            let faulty = from == Vm::A && number == 100;
            match fault {
                Fault::Lose if faulty => continue,
                Fault::Corrupt if faulty => *frame.last_mut().unwrap() ^= 1,
                Fault::Duplicate if faulty => self.deliver(to, &frame).await,
                _ => {}
            }
            self.deliver(to, &frame).await;
        }
    }

    async fn deliver(&self, to: Vm, frame: &[u8]) {
        let path = self.folder.join(format!("vm-{}", to.name()));
        self.sockets[&to].send_to(frame, path).await.unwrap();
    }
}

fn mac(vm: Vm) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, [0x0a, 0x14, 0x1e][vm as usize]])
}

fn owner(address: IpAddr) -> Option<MacAddr> {
    match address.to_string().as_str() {
        "10.0.0.1" | "fd00:0:0:1::1" => Some(GATEWAYS[0]),
        "10.0.1.1" | "fd00:0:0:2::1" => Some(GATEWAYS[1]),
        "10.0.0.10" | "fd00:0:0:1::a" => Some(mac(Vm::A)),
        "10.0.0.20" | "fd00:0:0:1::14" => Some(mac(Vm::B)),
        "10.0.1.30" | "fd00:0:0:2::1e" => Some(mac(Vm::C)),
        _ => None,
    }
}

/// What a right network makes of a frame.
fn forward(from: Vm, frame: &[u8], tenant: Tenant, fault: Fault) -> Option<(Vm, Vec<u8>)> {
    let Ok(flow) = FlowTuple::from_frame(frame) else {
        let request = arp::Repr::parse(&frame[14..]).unwrap();
        let asked = frame[20..22] == [0, 1];
        return asked.then(|| {
            (
                from,
                answer::arp_reply(&request, owner(request.target_ip.into()).unwrap()),
            )
        });
    };
    if flow.tuple.protocol == 58 && (133..=137).contains(&(flow.tuple.src_port >> 8)) {
        let packet = ipv6::Packet::new_checked(&frame[14..]).unwrap();
        let asked = nd::Solicitation::parse(&packet).ok()?;
        let target = owner(asked.target.into()).unwrap();
        let router = GATEWAYS.contains(&target);
        return Some((
            from,
            answer::neighbour_advertisement(&asked, mac(from), target, router),
        ));
    }
    if tenant.refusal(&flow.tuple).is_some() && fault != Fault::ForwardForbidden {
        return None;
    }
    let to = Vm::ALL
        .into_iter()
        .find(|&vm| owner(flow.tuple.dst) == Some(mac(vm)))?;
    let mut frame = frame.to_vec();
    if GATEWAYS.contains(&flow.dst_mac) {
        if flow.ttl == 1 {
            let (gateway_mac, ipv4, ipv6) = (
                flow.dst_mac,
                [10, 0, 0, 1].into(),
                "fd00:0:0:1::1".parse().unwrap(),
            );
            let gateway = answer::Gateway {
                mac: gateway_mac,
                ipv4: Some(ipv4),
                ipv6: Some(ipv6),
            };
            return Some((from, answer::ttl_expired(&frame, &gateway).unwrap()));
        }
        let mut ethernet = ethernet::Frame::new_checked(&mut frame[..]).unwrap();
        ethernet.set_dst(mac(to));
        ethernet.set_src(GATEWAYS[usize::from(to == Vm::C)]);
        match flow.tuple.src {
            IpAddr::V4(_) => ipv4::Packet::new_header(&mut frame[14..])
                .unwrap()
                .decrement_ttl(),
            IpAddr::V6(_) => ipv6::Packet::new_header(&mut frame[14..])
                .unwrap()
                .decrement_hop_limit(),
        }
    }
    Some((to, frame))
}

struct Run {
    script: Vec<Conversation>,
    outcomes: Vec<Outcome>,
    unexpected: usize,
}

async fn run(tenant: Tenant, fault: Fault) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = |kind: &str, vm: Vm| folder.path().join(format!("{kind}-{}", vm.name()));
    let endpoint = |vm: Vm| {
        (
            vm,
            Endpoint::bind(&path("vm", vm), &path("port", vm)).unwrap(),
        )
    };
    let vms: Vms = Arc::new(Vm::ALL.into_iter().map(endpoint).collect());
    let _network = Network::start(folder.path(), tenant, fault);
    let script = tenant.adapt(&recorded());
    let pace = Pace {
        deadline: Duration::from_millis(500),
        patience: Duration::from_millis(1),
        at_once: 12,
    };
    let outcomes = play(Arc::new(script.clone()), Arc::clone(&vms), pace, || {}).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let unexpected = Vm::ALL
        .iter()
        .map(|vm| vms[vm].take_unexpected().len())
        .sum();
    Run {
        script,
        outcomes,
        unexpected,
    }
}

fn failures(run: &Run) -> Vec<String> {
    let failures = run
        .outcomes
        .iter()
        .filter_map(|outcome| outcome.failure.as_ref());
    failures.map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_right_network_passes() {
    for tenant in Tenant::ALL {
        let run = run(tenant, Fault::None).await;
        assert_eq!(failures(&run), [""; 0], "{tenant:?}");
        assert_eq!(run.unexpected, 0, "{tenant:?}");
        let planned: usize = run
            .script
            .iter()
            .map(|conversation| conversation.steps.len())
            .sum();
        let sent: usize = run.outcomes.iter().map(|outcome| outcome.sent).sum();
        assert_eq!(sent, planned);
    }
}

#[tokio::test]
async fn a_lost_packet_is_found() {
    let run = run(Tenant::Blue, Fault::Lose).await;
    let failures = failures(&run);
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(
        failures[0].contains("nothing like it arrived") || failures[0].contains("changed"),
        "{failures:?}"
    );
}

#[tokio::test]
async fn a_changed_byte_is_found() {
    let run = run(Tenant::Blue, Fault::Corrupt).await;
    let failures = failures(&run);
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("changed"), "{failures:?}");
    assert_eq!(run.unexpected, 1);
}

/// R1.2: none is forwarded twice.
#[tokio::test]
async fn r1_2_a_duplicate_is_found() {
    let run = run(Tenant::Blue, Fault::Duplicate).await;
    assert_eq!(run.unexpected, 1);
}

/// R3.6: what is forbidden must not arrive.
#[tokio::test]
async fn r3_6_a_forbidden_packet_that_arrives_is_found() {
    let run = run(Tenant::Red, Fault::ForwardForbidden).await;
    let refused = run
        .script
        .iter()
        .flat_map(|conversation| &conversation.steps);
    let refused = refused
        .filter(|step| matches!(step.expect, Expect::Refused(_)))
        .count();
    assert!(refused > 0);
    assert_eq!(run.unexpected, refused);
}

/// The recording has what its README says.
#[test]
fn the_recording_is_complete() {
    let script = recorded();
    let steps = || script.iter().flat_map(|conversation| &conversation.steps);
    let count =
        |wanted: &dyn Fn(&Expect) -> bool| steps().filter(|step| wanted(&step.expect)).count();
    assert!(count(&|expect| matches!(expect, Expect::Arrives { .. })) > 500);
    assert!(count(&|expect| matches!(expect, Expect::Answer(Answer::Arp { .. }))) >= 3);
    assert!(count(&|expect| matches!(expect, Expect::Answer(Answer::Neighbour { .. }))) >= 4);
    assert_eq!(
        count(&|expect| matches!(expect, Expect::Answer(Answer::TimeExceeded { .. }))),
        2
    );
    assert!(count(&|expect| matches!(expect, Expect::Absorbed)) >= 4);
    let topic = |wanted: fn(&Topic) -> bool| {
        script
            .iter()
            .any(|conversation| wanted(&conversation.topic))
    };
    assert!(topic(
        |topic| matches!(topic, Topic::Fragments { src, .. } if src.is_ipv4())
    ));
    assert!(topic(
        |topic| matches!(topic, Topic::Fragments { src, .. } if src.is_ipv6())
    ));
    for port in [53, 80, 5201, 9999] {
        let has = |ipv4: bool| {
            script.iter().any(|conversation| {
                matches!(conversation.topic, Topic::Flow(flow) if flow.dst_port == port && flow.src.is_ipv4() == ipv4)
            })
        };
        assert!(has(true) && has(false), "port {port}");
    }
}

#[test]
fn a_recording_that_is_cut_off_is_refused() {
    for length in [0, 10, 101, TRAFFIC.len() - 3] {
        assert!(capture::read(&TRAFFIC[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn configurations_are_changed_where_they_should_be() {
    let vxlan = with_tunnel(TWO_TENANTS, "vxlan").unwrap();
    assert_eq!(vxlan.matches("tunnel = \"vxlan\"").count(), 2);
    let closed = without_port(TWO_TENANTS, Tenant::Blue, "udp", "53").unwrap();
    let denies = |toml: &str| toml.matches("action = \"deny\"").count();
    assert_eq!(denies(&closed), denies(TWO_TENANTS) + 2);
}
