//! Typed entries and P4Runtime's terms: there and back, and what a wrong pipeline is told.

mod support;

use std::net::{IpAddr, Ipv4Addr};

use flownic_agent::tables::flow::{self, Direction, Routed, Scope, Tunnel, Verdict};
use flownic_agent::tables::packet_io::PuntReason;
use flownic_agent::tables::{Table, Tables, port_map, tunnel_termination, underlay_route};
use flownic_agent::tables::{vf_arp, vf_attach, vf_ipv4, vf_ipv6, vf_mac};
use flownic_pipeline::entity::MatchValue;
use flownic_pipeline::p4info::P4Info;
use flownic_versions::Versions;
use flownic_wire::MacAddr;
use flownic_wire::flow::FlowTuple;
use support::messages::punt_header;
use support::{p4info, tables};

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 10]);

fn there_and_back<T: Table>(table: &T, key: T::Key, action: T::Action)
where
    T::Key: PartialEq,
{
    let entry = table.encode(&key, &action);
    assert_eq!(table.read_key(&entry).as_ref(), Ok(&key));
    assert_eq!(table.read_action(&entry).as_ref(), Ok(&action));
}

#[test]
fn configuration_entries_survive_coding() {
    let tables = tables();
    let ip = Ipv4Addr::new(10, 0, 0, 10);
    let (port, vlan, mac, prefix_len) = (16, 7, MAC, 32);
    there_and_back(
        &tables.port_map,
        port_map::Key { port },
        port_map::Action::Vf,
    );
    there_and_back(
        &tables.port_map,
        port_map::Key { port: 0 },
        port_map::Action::Uplink,
    );
    let attach = vf_attach::Action {
        vni: 0xff_ffff,
        mtu: 1450,
    };
    there_and_back(&tables.vf_attach, vf_attach::Key { port, vlan }, attach);
    there_and_back(&tables.vf_mac, vf_mac::Key { port, vlan, mac }, ());
    let key = vf_arp::Key {
        port,
        vlan,
        mac,
        ip,
        prefix_len,
    };
    there_and_back(&tables.vf_arp, key, ());
    let key = vf_ipv4::Key {
        port,
        vlan,
        ip,
        prefix_len,
    };
    there_and_back(&tables.vf_ipv4, key, ());
    let key = vf_ipv6::Key {
        port,
        vlan,
        ip: "fe80::".parse().unwrap(),
        prefix_len: 10,
    };
    there_and_back(&tables.vf_ipv6, key, ());
    there_and_back(
        &tables.tunnel_termination,
        tunnel_termination::Key { vtep: ip },
        (),
    );
    let route = underlay_route::Action {
        port: 0,
        src_mac: MAC,
        next_hop_mac: MacAddr([2, 0, 0, 0, 1, 2]),
        src_vtep: ip,
        mtu: 1600,
    };
    let any = underlay_route::Key {
        vtep: Ipv4Addr::UNSPECIFIED,
        prefix_len: 0,
    };
    there_and_back(&tables.underlay_route, any, route);
    assert_eq!(
        tables.underlay_route.encode(&any, &route).matches,
        [],
        "P4Runtime: left out"
    );
}

/// R1.5: an entry carries slots and versions of both scopes; every verdict, both IP versions.
#[test]
fn flow_entries_survive_coding() {
    let tables = tables();
    let routed = Some(Routed {
        src_mac: MAC,
        dst_mac: MacAddr::BROADCAST,
    });
    let verdicts = [
        Verdict::ToTunnel {
            tunnel: Tunnel::Vxlan,
            remote_vtep: Ipv4Addr::new(192, 0, 2, 2),
            routed,
        },
        Verdict::ToTunnel {
            tunnel: Tunnel::Geneve,
            remote_vtep: Ipv4Addr::new(192, 0, 2, 2),
            routed: None,
        },
        Verdict::ToVf {
            port: 16,
            vlan: 4094,
            routed,
        },
        Verdict::Deny(33),
    ];
    let addresses: [(IpAddr, IpAddr); 2] = [
        ([10, 0, 0, 10].into(), [0, 0, 0, 0].into()),
        ("fd00::a".parse().unwrap(), "fd00::14".parse().unwrap()),
    ];
    for (verdict, (src, dst)) in verdicts.into_iter().flat_map(|v| addresses.map(|a| (v, a))) {
        let key = flow::Key {
            vni: 100,
            direction: Direction::Inbound,
            attach: 0xc000_0202,
            tuple: FlowTuple {
                src,
                dst,
                protocol: 17,
                src_port: 40_000,
                dst_port: 53,
            },
        };
        let action = flow::Action {
            vn: Scope {
                slot: 4095,
                versions: Versions([1, 2, 3, 4, 5]),
            },
            vnic: Scope {
                slot: 7,
                versions: Versions([6, 7, 8, 9, u32::MAX]),
            },
            verdict,
        };
        let entry = tables.flows.encode(&key, &action);
        assert_eq!(tables.flows.decode(&entry), Ok((key, action)));
        assert_eq!(
            tables.flows.decode_key(&tables.flows.encode_key(&key)),
            Ok(key)
        );
    }
}

#[test]
fn an_entry_that_does_not_fit_is_told_with_its_table_and_field() {
    let tables = tables();
    let key = port_map::Key { port: 16 };
    let mut entry = tables.port_map.encode(&key, &port_map::Action::Vf);
    entry.matches[0].value = MatchValue::Exact(vec![1, 0, 0]);
    let error = tables.port_map.read_key(&entry).unwrap_err().to_string();
    assert!(
        error.contains("port_map") && error.contains("meta.ingress_port"),
        "{error}"
    );
    entry.action.as_mut().unwrap().id += 1;
    let error = tables.port_map.read_action(&entry).unwrap_err().to_string();
    assert!(
        error.contains("port_map") && error.contains("action"),
        "{error}"
    );
}

#[test]
fn punt_headers_survive_coding_and_bad_ones_are_named() {
    let io = &tables().packet_io;
    let header = punt_header(PuntReason::Stale, 100, 3);
    let mut metadata = io.encode_in(&header);
    assert_eq!(io.decode(&metadata), Ok(header));
    metadata[0].1 = vec![99];
    let error = io.decode(&metadata).unwrap_err().to_string();
    assert_eq!(error, "punted packet: unknown reason 99");
    metadata.remove(0);
    let error = io.decode(&metadata).unwrap_err().to_string();
    assert!(error.contains("\"reason\" is missing"), "{error}");
}

/// R6.6: a pipeline that lacks something is refused with the name of what it lacks.
#[test]
fn a_pipeline_that_lacks_something_is_refused_by_name() {
    let lacks = |what: &str, change: &dyn Fn(&mut P4Info)| {
        let mut p4info = p4info();
        change(&mut p4info);
        let error = Tables::resolve(&p4info).expect_err(what).to_string();
        assert!(error.contains(what), "\"{error}\" does not name {what}");
    };
    fn rename<'a>(name: &'a mut String, from: &str) -> Option<&'a mut String> {
        name.ends_with(from).then_some(name)
    }
    let table = |p: &mut P4Info, name: &str| {
        p.tables
            .iter()
            .position(|t| t.preamble.alias == name)
            .unwrap()
    };
    lacks("no table \"vf_mac\"", &|p| {
        let at = table(p, "vf_mac");
        p.tables.remove(at);
    });
    lacks("no key field \"attach\" of table \"flow_ipv6\"", &|p| {
        let at = table(p, "flow_ipv6");
        p.tables[at]
            .match_fields
            .retain(|field| field.name != "attach");
    });
    lacks(
        "\"src\" of table \"flow_ipv4\" with 31 bits, not 32",
        &|p| {
            let at = table(p, "flow_ipv4");
            for field in &mut p.tables[at].match_fields {
                if field.name == "src" {
                    field.bitwidth = 31;
                }
            }
        },
    );
    lacks("no action \"to_vf\"", &|p| {
        for action in &mut p.actions {
            if let Some(name) = rename(&mut action.preamble.name, ".to_vf") {
                name.push('x');
            }
        }
    });
    lacks("no parameter \"remote_vtep\"", &|p| {
        for action in &mut p.actions {
            for param in &mut action.params {
                if let Some(name) = rename(&mut param.name, "remote_vtep") {
                    name.push('x');
                }
            }
        }
    });
    lacks("no register \"vnic_versions\"", &|p| {
        p.registers
            .retain(|register| register.preamble.alias != "vnic_versions");
    });
    lacks("no counter \"punts\"", &|p| {
        p.counters.retain(|c| c.preamble.alias != "punts")
    });
    lacks("no \"GENEVE\" in enum \"TunnelKind\"", &|p| {
        let enums = &mut p.type_info.as_mut().unwrap().serializable_enums;
        enums
            .get_mut("TunnelKind")
            .unwrap()
            .members
            .retain(|m| m.name != "GENEVE");
    });
    lacks(
        "no field \"stale_vn\" of controller header \"packet_in\"",
        &|p| {
            for header in &mut p.controller_packet_metadata {
                header.metadata.retain(|field| field.name != "stale_vn");
            }
        },
    );
}
