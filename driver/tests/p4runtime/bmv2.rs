//! Tier 4: the firmware on the reference switch, `simple_switch_grpc`, through the same driver.
//!
//! The switch runs in a network namespace of its own, so that its ports and interfaces disturb
//! nothing. There a test starts itself again. Ports 16 and 17 are the two ends of one cable: a
//! packet sent out of port 16 comes in at port 17 as if a VM had sent it.

use std::env;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::differences;
use flownic_driver::p4runtime::{self, P4RuntimeError, P4RuntimeNic};
use flownic_driver::{Nic, NicError, PacketIn, PacketOut};
use flownic_pipeline::entity::{
    Action, Atomicity, Code, CounterData, Entity, FieldMatch, MatchValue, TableEntry, Update,
    UpdateKind, canonical,
};
use flownic_pipeline::p4info::{MatchType, P4Info};

const SWITCH: &str = "simple_switch_grpc";
const INSIDE: &str = "FLOWNIC_TEST_INSIDE_NAMESPACE";
const ADDRESS: &str = "p4runtime:127.0.0.1:9559?device-id=1";
const CPU_PORT: u64 = 510;

/// R7.2, R7.3: the reference switch takes our program, our entries and our packets.
#[test]
fn r7_2_the_reference_switch_is_a_nic() {
    if in_namespace("bmv2::r7_2_the_reference_switch_is_a_nic") {
        let switch = Switch::start();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(scenario());
        drop(switch);
    }
}

/// Whether the test is in its namespace. Outside, starts `test` inside and waits for it.
fn in_namespace(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    for tool in [SWITCH, "p4c-bm2-ss", "unshare", "ip"] {
        if find(tool).is_none() {
            notice(&format!("`{tool}` is not on the PATH"));
            return false;
        }
    }
    let possible = Command::new("unshare")
        .args(NAMESPACES)
        .arg("true")
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        notice("network namespaces cannot be made here");
        return false;
    }
    let status = Command::new("unshare")
        .args(NAMESPACES)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "the test inside the namespace failed");
    false
}

const NAMESPACES: [&str; 4] = ["--user", "--map-root-user", "--net", "--"];

/// Straight to stderr: what goes through the print macros is hidden when a test passes.
fn notice(why: &str) {
    let notice = format!("\n=== NOT RUN: tests on the reference switch: {why} ===\n\n");
    let _ = std::io::stderr().write_all(notice.as_bytes());
}

fn find(tool: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut places = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.find_map(|place| Some(place.join(tool)).filter(|file| file.is_file()))
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let program = find(words.next().unwrap()).unwrap();
    let status = Command::new(program).args(words).status().unwrap();
    assert!(status.success(), "{command}");
}

/// A running switch with a cable between ports 16 and 17.
struct Switch(Child);

impl Switch {
    fn start() -> Switch {
        run("ip link set lo up");
        run("ip link add end16 type veth peer name end17");
        for end in ["end16", "end17"] {
            // The kernel must not speak on the cable by itself.
            let setting = format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6");
            if Path::new(&setting).exists() {
                std::fs::write(setting, "1").unwrap();
            }
            run(&format!("ip link set {end} up mtu 9000"));
        }
        let mut command = Command::new(find(SWITCH).unwrap());
        command
            .args(["--no-p4", "--device-id", "1", "--thrift-port", "9090"])
            .args(["-i", "16@end16", "-i", "17@end17", "--"])
            .args(["--grpc-server-addr", "127.0.0.1:9559"])
            .args(["--cpu-port", &CPU_PORT.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let switch = Switch(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect("127.0.0.1:9559").is_err() {
            assert!(Instant::now() < deadline, "the switch did not start");
            // The switch has no way to say that it is ready.
            run("sleep 0.05");
        }
        switch
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The firmware: what the switch loads, and its interface.
fn firmware() -> (Vec<u8>, P4Info) {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("flownic.json");
    let p4info = directory.path().join("flownic.p4info.txtpb");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../p4/flownic.p4");
    let status = Command::new("p4c-bm2-ss")
        .arg("--p4runtime-files")
        .arg(&p4info)
        .arg("-o")
        .arg(&json)
        .arg(source)
        .status()
        .unwrap();
    assert!(status.success());
    let text = std::fs::read_to_string(p4info).unwrap();
    let p4info = P4Info::from_text(&text).unwrap();
    (std::fs::read(json).unwrap(), p4info)
}

async fn scenario() {
    let (json, p4info) = firmware();
    let error = p4runtime::open(ADDRESS).await.unwrap_err();
    assert!(
        matches!(error, NicError::P4Runtime(P4RuntimeError::NoPipeline)),
        "{error:?}"
    );
    let nic = reopen(|| p4runtime::open_with_pipeline(ADDRESS, &p4info, &json)).await;
    assert_eq!(*nic.p4info(), p4info);
    assert_eq!(
        nic.info().pipeline_cookie,
        p4runtime::cookie(&p4info, &json)
    );
    entries(&nic).await;
    results(&nic).await;
    differences::compare(&nic, &json, &p4info).await;
    unsupported(&nic).await;
    packets(&nic).await;

    // The next driver finds everything as it was.
    let before = read_all(&nic).await;
    drop(nic);
    let nic = reopen(|| p4runtime::open_with_pipeline(ADDRESS, &p4info, &json)).await;
    assert_eq!(read_all(&nic).await, before);
}

/// Opens the switch, which may not have noticed yet that the last session has ended.
async fn reopen<F>(open: impl Fn() -> F) -> P4RuntimeNic
where
    F: Future<Output = Result<P4RuntimeNic, NicError>>,
{
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match open().await {
            Ok(nic) => return nic,
            Err(NicError::P4Runtime(P4RuntimeError::ElectionId { .. }))
                if Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn read_all(nic: &P4RuntimeNic) -> Vec<TableEntry> {
    let mut all = Vec::new();
    for table in &nic.p4info().tables {
        all.extend(nic.read_table(table.preamble.id).await.unwrap());
    }
    all
}

// ── Entries by name ────────────────────────────────────────────────────────────────────────────

pub fn bytes(number: u64) -> Vec<u8> {
    canonical(&number.to_be_bytes()).to_vec()
}

/// An entry with the key fields in their order (longest prefix: full length) and the named action's
/// parameters; those that are not named are 0.
pub fn entry(
    nic: &P4RuntimeNic,
    table: &str,
    key: &[u64],
    action: &str,
    params: &[(&str, u64)],
) -> TableEntry {
    let p4info = nic.p4info();
    let table = p4info.table(table).unwrap();
    let matches = table
        .match_fields
        .iter()
        .zip(key)
        .map(|(field, number)| FieldMatch {
            field: field.id,
            value: match field.match_type {
                Some(MatchType::Lpm) => MatchValue::Lpm {
                    value: bytes(*number),
                    prefix_len: field.bitwidth,
                },
                _ => MatchValue::Exact(bytes(*number)),
            },
        });
    let action = p4info.action(action).unwrap();
    let params = action.params.iter().map(|param| {
        let named = params.iter().find(|(name, _)| *name == param.name);
        (param.id, bytes(named.map_or(0, |(_, value)| *value)))
    });
    TableEntry {
        table: table.preamble.id,
        matches: matches.collect(),
        action: Some(Action {
            id: action.preamble.id,
            params: params.collect(),
        }),
        ..Default::default()
    }
}

pub fn update(kind: UpdateKind, entry: &TableEntry) -> Update {
    Update {
        kind,
        entity: Entity::TableEntry(entry.clone()),
    }
}

async fn write(nic: &P4RuntimeNic, updates: &[Update]) -> Vec<Option<Code>> {
    let results = nic
        .write(updates, Atomicity::ContinueOnError)
        .await
        .unwrap();
    let codes = results
        .into_iter()
        .map(|result| result.err().map(|error| error.code));
    codes.collect()
}

async fn read_table(nic: &P4RuntimeNic, name: &str) -> Vec<TableEntry> {
    let table = nic.p4info().table(name).unwrap().preamble.id;
    nic.read_table(table).await.unwrap()
}

pub const VM_MAC: u64 = 0x0200_0000_000a;
pub const VM_IP: u64 = 0x0a00_000a;
const PEER_IP: u64 = 0x0a00_0014;

/// The flow of [`frame`], as seen at port 17, with an action.
fn flow(nic: &P4RuntimeNic, dst_port: u64, action: &str, params: &[(&str, u64)]) -> TableEntry {
    let key = [100, 0, 17, VM_IP, PEER_IP, 17, 4000, dst_port];
    entry(nic, "flow_ipv4", &key, action, params)
}

// ── Scenarios ──────────────────────────────────────────────────────────────────────────────────

/// Entries of every table come back as they were written.
async fn entries(nic: &P4RuntimeNic) {
    let written = [
        entry(nic, "port_map", &[0], "uplink", &[]),
        entry(nic, "port_map", &[17], "vf", &[]),
        entry(
            nic,
            "vf_attach",
            &[17, 0],
            "attach",
            &[("vni", 100), ("mtu", 1450)],
        ),
        entry(nic, "vf_mac", &[17, 0, VM_MAC], "NoAction", &[]),
        entry(nic, "vf_ipv4", &[17, 0, VM_IP], "NoAction", &[]),
        flow(
            nic,
            1,
            "deny",
            &[
                ("reason", 33),
                ("vn_slot", 4095),
                ("vn_lb", u32::MAX.into()),
            ],
        ),
    ];
    let updates = written
        .each_ref()
        .map(|entry| update(UpdateKind::Insert, entry));
    assert_eq!(write(nic, &updates).await, [None; 6]);
    let mut read = read_all(nic).await;
    for entry in &mut read {
        let counted = entry.counter.take();
        assert_eq!(counted.is_some(), entry.table == written[5].table);
    }
    assert_eq!(read, written);
    let uses = nic.table_use().await.unwrap();
    assert_eq!(uses.iter().map(|table| table.used).sum::<u64>(), 6);
    let table = nic.p4info().table("flow_ipv4").unwrap();
    let flows = uses.iter().find(|u| u.table == table.preamble.id).unwrap();
    assert_eq!((flows.used, flows.size), (1, 1 << 20));
}

/// Each update has its result, in large batches too.
async fn results(nic: &P4RuntimeNic) {
    let mut unknown = flow(nic, 2, "deny", &[]);
    unknown.table = 0x02ff_ffff;
    let mut wide = flow(nic, 2, "deny", &[]);
    wide.matches[0].value = MatchValue::Exact(vec![1, 0, 0, 0]);
    let mut short = flow(nic, 2, "deny", &[]);
    short.matches.pop();
    let updates = [
        update(UpdateKind::Insert, &flow(nic, 1, "deny", &[])),
        update(UpdateKind::Insert, &flow(nic, 2, "deny", &[])),
        update(UpdateKind::Insert, &unknown),
        update(UpdateKind::Insert, &wide),
        update(UpdateKind::Insert, &short),
        update(UpdateKind::Modify, &flow(nic, 3, "deny", &[])),
        update(UpdateKind::Delete, &flow(nic, 3, "deny", &[])),
        update(UpdateKind::Delete, &flow(nic, 2, "deny", &[])),
    ];
    let results = nic
        .write(&updates, Atomicity::ContinueOnError)
        .await
        .unwrap();
    let codes = results
        .into_iter()
        .map(|result| result.err().map(|error| error.code));
    let expected = [
        Some(Code::AlreadyExists),
        None,
        // No such table.
        Some(Code::InvalidArgument),
        Some(Code::InvalidArgument),
        Some(Code::InvalidArgument),
        Some(Code::NotFound),
        Some(Code::NotFound),
        None,
    ];
    assert_eq!(codes.collect::<Vec<_>>(), expected);

    let mut many: Vec<_> = (1000..2500)
        .map(|port| update(UpdateKind::Insert, &flow(nic, port, "deny", &[])))
        .collect();
    many[1200] = update(UpdateKind::Insert, &flow(nic, 1, "deny", &[]));
    let results = write(nic, &many).await;
    let failed: Vec<_> = (0..)
        .zip(&results)
        .filter(|(_, code)| code.is_some())
        .collect();
    assert_eq!(failed, [(1200, &Some(Code::AlreadyExists))]);
    assert_eq!(read_table(nic, "flow_ipv4").await.len(), 1500);
    for update in &mut many {
        update.kind = UpdateKind::Delete;
    }
    assert_eq!(write(nic, &many).await, vec![None; 1500]);
    assert_eq!(read_table(nic, "flow_ipv4").await.len(), 0);
}

/// What the switch cannot do is told apart from what went wrong.
async fn unsupported(nic: &P4RuntimeNic) {
    let register = nic.p4info().register("vn_versions").unwrap().preamble.id;
    let error = nic.read_registers(register, 0, 5).await.unwrap_err();
    assert!(matches!(
        error,
        NicError::P4Runtime(P4RuntimeError::Unsupported { .. })
    ));
    let entity = Entity::Register {
        register,
        index: 0,
        value: vec![1],
    };
    let updates = [Update {
        kind: UpdateKind::Modify,
        entity,
    }];
    assert_eq!(write(nic, &updates).await, [Some(Code::Unimplemented)]);
    let updates = [update(UpdateKind::Insert, &flow(nic, 2, "deny", &[]))];
    for atomicity in [Atomicity::RollbackOnError, Atomicity::DataplaneAtomic] {
        let results = nic.write(&updates, atomicity).await.unwrap();
        let error = results[0].clone().unwrap_err();
        assert_eq!(error.code, Code::Unimplemented, "{error}");
    }
}

/// An untagged UDP packet of the VM; checksums of UDP are not the NIC's business.
fn frame(dst_port: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 20];
    frame.extend_from_slice(&VM_MAC.to_be_bytes()[2..]);
    frame.extend_from_slice(&[8, 0]);
    let mut ip = vec![0x45, 0, 0, 36, 0, 0, 0x40, 0, 64, 17, 0, 0];
    ip.extend_from_slice(&VM_IP.to_be_bytes()[4..]);
    ip.extend_from_slice(&PEER_IP.to_be_bytes()[4..]);
    let words = ip
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend_from_slice(&ip);
    frame.extend_from_slice(&4000u16.to_be_bytes());
    frame.extend_from_slice(&dst_port.to_be_bytes());
    frame.extend_from_slice(&[0, 16, 0, 0]);
    frame.extend_from_slice(b"payload!");
    frame
}

async fn send(nic: &P4RuntimeNic, port: u64, frame: &[u8]) {
    let header = nic.p4info().controller_header("packet_out").unwrap();
    let packet = PacketOut {
        metadata: vec![(header.field("egress_port").unwrap().id, bytes(port))],
        payload: frame.to_vec(),
    };
    nic.send(packet).await.unwrap();
}

async fn receive(nic: &P4RuntimeNic) -> PacketIn {
    let packet = tokio::time::timeout(Duration::from_secs(10), nic.receive());
    packet.await.expect("no packet came").unwrap()
}

fn metadata(nic: &P4RuntimeNic, packet: &PacketIn, name: &str) -> Vec<u8> {
    let header = nic.p4info().controller_header("packet_in").unwrap();
    let id = header.field(name).unwrap().id;
    let field = packet.metadata.iter().find(|(field, _)| *field == id);
    field.unwrap().1.clone()
}

/// Miss, entry, hit: the packet's life, with the reference switch as the NIC.
async fn packets(nic: &P4RuntimeNic) {
    let frame = frame(53);
    send(nic, 16, &frame).await;
    let punted = receive(nic).await;
    assert_eq!(punted.payload, frame);
    let fields =
        ["reason", "tunnel", "ingress_port", "vni"].map(|name| metadata(nic, &punted, name));
    assert_eq!(fields, [vec![1], vec![0], vec![17], vec![100]]);

    // To the CPU port, so that it can be seen here. There it has no punt header.
    let hit = flow(nic, 53, "to_vf", &[("port", CPU_PORT)]);
    assert_eq!(
        write(nic, &[update(UpdateKind::Insert, &hit)]).await,
        [None]
    );
    send(nic, 16, &frame).await;
    let forwarded = receive(nic).await;
    assert!(frame.ends_with(&forwarded.payload));
    assert_eq!(frame.len() - forwarded.payload.len(), 15);
    let counted = CounterData {
        packets: 1,
        bytes: frame.len() as u64,
    };
    eventually(async || read_table(nic, "flow_ipv4").await[0].counter == Some(counted)).await;

    // The guard: another source address is dropped, and counted under the port and the reason.
    let mut spoofed = frame.clone();
    spoofed[29] = 11;
    spoofed[25] -= 1;
    send(nic, 16, &spoofed).await;
    let drops = nic.p4info().counter("drops").unwrap().preamble.id;
    eventually(async || {
        let cell = nic.read_counters(drops, 17 << 6 | 11, 1).await.unwrap();
        cell[0].packets == 1
    })
    .await;

    // A modified entry keeps its counter.
    let denied = flow(nic, 53, "deny", &[("reason", 33)]);
    assert_eq!(
        write(nic, &[update(UpdateKind::Modify, &denied)]).await,
        [None]
    );
    let expected = TableEntry {
        counter: Some(counted),
        ..denied
    };
    assert_eq!(read_table(nic, "flow_ipv4").await, [expected]);
    send(nic, 16, &frame).await;
    eventually(async || {
        let cell = nic.read_counters(drops, 17 << 6 | 33, 1).await.unwrap();
        cell[0].packets == 1
    })
    .await;
}

/// Waits for the switch's other threads.
async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition().await {
        assert!(Instant::now() < deadline, "it did not become so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
