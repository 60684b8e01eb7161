//! The driver on a device that hangs, dies, is reset, or answers nonsense: every call ends in a typed
//! error within its deadline.

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flownic_device_abi::admin::{CURSOR_END, Command, Completion, CompletionTail, Status};
use flownic_device_abi::ring::{DescriptorCompletion, DescriptorStatus};
use flownic_driver::hw::{HwError, PciFunction};
use flownic_driver::vfio_user::VfioUser;
use flownic_driver::{DeviceNic, Nic, NicError, Options};
use flownic_pipeline::entity::Atomicity;
use flownic_softnic::device::Device;
use support::tap::Tap;
use support::{REGISTER, Rig, Store, TABLE, identity, insert, small, within};

/// Deadlines that a test does not wait long for.
fn impatient() -> Options {
    Options {
        deadline: Duration::from_millis(400),
        ..small()
    }
}

fn is_gone(error: &NicError) -> bool {
    matches!(error, NicError::DeviceGone { .. })
}

/// Every call says that the device is lost, at once.
async fn all_calls_say_gone(nic: &DeviceNic) {
    let start = Instant::now();
    let packet = flownic_driver::PacketOut {
        metadata: vec![(1, vec![1])],
        payload: vec![],
    };
    let errors = [
        nic.write(&[insert(1)], Atomicity::ContinueOnError)
            .await
            .expect_err("gone"),
        nic.read_table(TABLE).await.expect_err("gone"),
        nic.read_registers(REGISTER, 0, 1).await.expect_err("gone"),
        nic.read_counters(support::COUNTER, 0, 1)
            .await
            .expect_err("gone"),
        nic.table_use().await.expect_err("gone"),
        nic.send(packet).await.expect_err("gone"),
        nic.receive().await.expect_err("gone"),
        nic.health().await.expect_err("gone"),
    ];
    for error in &errors {
        assert!(is_gone(error), "{error}");
    }
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "took {:?}",
        start.elapsed()
    );
}

/// R7.4: the agent restarts: tables stay, the next driver attaches at once.
#[tokio::test]
async fn a_new_driver_attaches_after_the_old_one() {
    within(async {
        let rig = Rig::new();
        for n in 0..5 {
            let nic = rig.open(small()).await.expect("opens");
            assert_eq!(nic.read_table(TABLE).await.expect("read").len(), n as usize);
            nic.write(&[insert(n)], Atomicity::ContinueOnError)
                .await
                .expect("written");
        }
    })
    .await;
}

/// R7.4: a second driver does not get in while the first is there, and is told in time.
#[tokio::test]
async fn a_second_driver_waits_for_its_turn() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        let start = Instant::now();
        let error = VfioUser::connect(&rig.socket, Duration::from_millis(300)).expect_err("in use");
        assert!(matches!(error, HwError::Timeout { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(2));
        nic.health().await.expect("the first one goes on");
        drop(nic);
        rig.open(small()).await.expect("now it is free");
    })
    .await;
}

/// R7.4: a worker that hangs makes the device lost at the command's deadline.
#[tokio::test]
async fn a_device_that_hangs_is_lost() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(impatient()).await.expect("opens");
        rig.hang.store(true, Ordering::Relaxed);
        rig.run(|_, _| ());
        let start = Instant::now();
        let error = nic
            .write(&[insert(1)], Atomicity::ContinueOnError)
            .await
            .expect_err("hangs");
        assert!(is_gone(&error), "{error}");
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "took {:?}",
            start.elapsed()
        );
        all_calls_say_gone(&nic).await;
        // The worker goes on; a new driver finds the device in order.
        rig.hang.store(false, Ordering::Relaxed);
        drop(nic);
        rig.open(small())
            .await
            .expect("opens")
            .health()
            .await
            .expect("healthy");
    })
    .await;
}

/// R7.4: somebody resets the function: noticed without a call, and told to who waits.
#[tokio::test]
async fn a_reset_in_flight_is_noticed() {
    within(async {
        let rig = Rig::with(Store {
            slow: Duration::from_secs(1),
            ..Store::default()
        });
        let tap = Arc::new(Tap::connect(&rig.socket));
        let nic = DeviceNic::open("tap", tap.clone(), small())
            .await
            .expect("opens");
        let (batch, reset) = ([insert(1)], tokio::time::sleep(Duration::from_millis(100)));
        let (written, received, ()) = tokio::join!(
            nic.write(&batch, Atomicity::ContinueOnError),
            nic.receive(),
            async {
                reset.await;
                tap.reset().expect("resets");
            }
        );
        let (written, received) = (written.expect_err("reset"), received.expect_err("reset"));
        assert!(written.to_string().contains("reset"), "{written}");
        assert!(is_gone(&written) && is_gone(&received));
        all_calls_say_gone(&nic).await;
        // The old command is still running; its completion must not reach the next driver.
        drop(nic);
        let nic = rig.open(small()).await.expect("opens");
        nic.health().await.expect("healthy");
        assert_eq!(nic.read_table(TABLE).await.expect("read").len(), 1);
    })
    .await;
}

/// R7.4: surprise removal: registers read all ones.
#[tokio::test]
async fn all_ones_mean_that_the_device_is_gone() {
    within(async {
        let rig = Rig::new();
        let tap = Arc::new(Tap::connect(&rig.socket));
        let nic = DeviceNic::open("tap", tap.clone(), small())
            .await
            .expect("opens");
        tap.all_ones.store(true, Ordering::Relaxed);
        let error = nic.receive().await.expect_err("gone");
        assert!(error.to_string().contains("all ones"), "{error}");
        all_calls_say_gone(&nic).await;
    })
    .await;
}

/// R7.4: the call under which the connection breaks says that the device is lost, like all after it.
#[tokio::test]
async fn a_connection_that_breaks_under_a_call_is_a_lost_device() {
    within(async {
        let rig = Rig::new();
        let tap = Arc::new(Tap::connect(&rig.socket));
        let options = Options {
            watch_interval: Duration::from_secs(60),
            ..small()
        };
        let nic = DeviceNic::open("tap", tap.clone(), options)
            .await
            .expect("opens");
        tap.broken.store(true, Ordering::Relaxed);
        // A device that is busy needs no waking; sooner or later it sleeps.
        let error = loop {
            if let Err(error) = nic.table_use().await {
                break error;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        assert!(is_gone(&error), "{error}");
        all_calls_say_gone(&nic).await;
    })
    .await;
}

/// R7.4: a device that is gone before it is opened is told as such.
#[tokio::test]
async fn all_ones_at_the_start_are_told() {
    within(async {
        let rig = Rig::new();
        let tap = Arc::new(Tap::connect(&rig.socket));
        tap.all_ones.store(true, Ordering::Relaxed);
        let error = DeviceNic::open("tap", tap, small())
            .await
            .expect_err("gone");
        assert!(
            matches!(
                &error,
                NicError::Open {
                    source: HwError::Gone(_),
                    ..
                }
            ),
            "{error}"
        );
    })
    .await;
}

/// R7.4: without a single interrupt everything works, only later.
#[tokio::test]
async fn lost_interrupts_only_cost_time() {
    within(async {
        let rig = Rig::new();
        let tap = Arc::new(Tap::connect(&rig.socket));
        tap.lose_interrupts.store(true, Ordering::Relaxed);
        let nic = DeviceNic::open("tap", tap, small()).await.expect("opens");
        nic.write(&[insert(1)], Atomicity::ContinueOnError)
            .await
            .expect("written");
        let (packet, ()) = tokio::join!(nic.receive(), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            rig.run(|device, _| assert!(device.punt(&[0x10, 1, 2, 3])));
        });
        assert_eq!(packet.expect("arrives").payload, [2, 3]);
        for port in 0..20 {
            let metadata = vec![(1, vec![port])];
            let packet = flownic_driver::PacketOut {
                metadata,
                payload: vec![0; 60],
            };
            nic.send(packet).await.expect("taken");
        }
    })
    .await;
}

/// The device's answer to the command of a call, as the test gives it.
type Answer = fn(&Command) -> (Vec<u8>, Completion);

fn answer(id: u16, code: u16, output_len: u32, count: u32) -> Completion {
    let tail = CompletionTail {
        id: id.into(),
        status_phase: (code << 1 | 1).into(),
        taken: 0.into(),
    };
    Completion {
        cursor: CURSOR_END.into(),
        output_len: output_len.into(),
        count: count.into(),
        detail: 0.into(),
        tail,
    }
}

/// R7.4: answers that make no sense end in typed errors.
#[tokio::test]
async fn malformed_completions_are_refused() {
    const SUCCESS: u16 = Status::Success as u16;
    // A list of one cell of one byte: a good answer, but for the completion.
    const ONE_CELL: [u8; 11] = [1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 7];
    let cases: [(&str, Answer); 8] = [
        ("the id of an earlier command in the same slot", |c| {
            (ONE_CELL.into(), answer(c.id.get() ^ 0x0100, SUCCESS, 11, 1))
        }),
        ("unknown id", |c| {
            (ONE_CELL.into(), answer(!c.id.get(), SUCCESS, 11, 1))
        }),
        ("more output than fits", |c| {
            (vec![], answer(c.id.get(), SUCCESS, u32::MAX, 1))
        }),
        ("unknown status", |c| {
            (vec![], answer(c.id.get(), 999, 0, 0))
        }),
        ("no output", |c| (vec![], answer(c.id.get(), SUCCESS, 0, 1))),
        ("garbage", |c| {
            (vec![0xff; 40], answer(c.id.get(), SUCCESS, 40, 1))
        }),
        ("no cells", |c| {
            (vec![0; 4], answer(c.id.get(), SUCCESS, 4, 1))
        }),
        ("one cell that is announced as two", |c| {
            (ONE_CELL.into(), answer(c.id.get(), SUCCESS, 11, 2))
        }),
    ];
    within(async {
        for (what, answer) in cases {
            let rig = Rig::new();
            let tap = Arc::new(Tap::connect(&rig.socket));
            let nic = DeviceNic::open("tap", tap.clone(), small())
                .await
                .expect("opens");
            let given = rig.statistics().admin_commands as u32;
            rig.hang.store(true, Ordering::Relaxed);
            rig.run(|_, _| ());
            let device = tokio::task::spawn_blocking(move || {
                let command = tap.command(given);
                let (output, completion) = answer(&command);
                tap.complete(given, &command, &output, completion);
            });
            let error = nic
                .read_registers(REGISTER, 0, 1)
                .await
                .expect_err("nonsense");
            let expected = matches!(
                error,
                NicError::Malformed { .. } | NicError::DeviceGone { .. }
            );
            assert!(expected, "{what}: {error}");
            device.await.expect("no panic");
        }
    })
    .await;
}

/// R7.4: a punt that is longer than its buffer makes the device lost; one with an error is skipped.
#[tokio::test]
async fn malformed_punts_are_refused() {
    within(async {
        let rig = Rig::new();
        let tap = Arc::new(Tap::connect(&rig.socket));
        let nic = DeviceNic::open("tap", tap.clone(), small())
            .await
            .expect("opens");
        tap.complete_punt(
            0,
            DescriptorCompletion::done(0, 8, DescriptorStatus::DmaFault, 0),
        );
        tap.complete_punt(
            1,
            DescriptorCompletion::done(1, 8, DescriptorStatus::Success, 2),
        );
        assert!(
            nic.receive()
                .await
                .expect("the second is good")
                .payload
                .is_empty()
        );
        tap.complete_punt(
            2,
            DescriptorCompletion::done(2, 8, DescriptorStatus::Success, (16 << 10) + 1),
        );
        let error = nic.receive().await.expect_err("too long");
        assert!(matches!(error, NicError::Malformed { .. }), "{error}");
        all_calls_say_gone(&nic).await;
    })
    .await;
}

/// R7.2: addresses and places without a device are told apart.
#[tokio::test]
async fn wrong_addresses_are_told() {
    within(async {
        for address in ["", "nic", "vfio-user:", "pigeon:/tmp/x"] {
            let error = flownic_driver::open(address)
                .await
                .err()
                .expect("no address");
            assert!(matches!(error, NicError::BadAddress { .. }), "{error}");
        }
        let error = flownic_driver::open("vfio-user:/nonexistent/socket")
            .await
            .err()
            .expect("nobody");
        assert!(
            matches!(
                &error,
                NicError::Open {
                    source: HwError::System { .. },
                    ..
                }
            ),
            "{error}"
        );
    })
    .await;
}

/// A vfio-user server that gives the same bytes to whatever it is asked; then it closes, or waits.
fn scripted(path: &Path, reply: Vec<u8>, close: bool) -> std::thread::JoinHandle<()> {
    let listener = UnixListener::bind(path).expect("binds");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a driver");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(&reply);
        if !close {
            // Until the driver gives up.
            while stream.read(&mut request).is_ok_and(|count| count > 0) {}
        }
    })
}

fn reply(id: u16, command: u16, size: u32, flags: u32, error: u32, body: &[u8]) -> Vec<u8> {
    let words = [size.to_le_bytes(), flags.to_le_bytes(), error.to_le_bytes()].concat();
    [&id.to_le_bytes()[..], &command.to_le_bytes(), &words, body].concat()
}

/// R7.4: whatever a server says, or does not say, connecting ends with an error in time.
#[test]
fn malformed_servers_are_refused_in_time() {
    let cases = [
        ("nothing", vec![], false),
        ("a closed connection", vec![], true),
        ("half a header", vec![0; 7], false),
        ("half a header and a closed connection", vec![0; 7], true),
        ("an error", reply(0, 1, 16, 0x21, 22, &[]), false),
        ("another id", reply(9, 1, 20, 1, 0, &[0; 4]), false),
        ("another command", reply(0, 2, 20, 1, 0, &[0; 4]), false),
        ("a command", reply(0, 1, 20, 0, 0, &[0; 4]), false),
        (
            "a size below the header's",
            reply(0, 1, 3, 1, 0, &[]),
            false,
        ),
        ("4 GiB", reply(0, 1, u32::MAX, 1, 0, &[]), false),
        ("no version", reply(0, 1, 16, 1, 0, &[]), false),
        ("version 7", reply(0, 1, 20, 1, 0, &[7, 0, 0, 0]), false),
        (
            "a version, then nothing",
            reply(0, 1, 20, 1, 0, &[0, 0, 1, 0]),
            false,
        ),
        (
            "a version, then garbage",
            [reply(0, 1, 20, 1, 0, &[0, 0, 1, 0]), vec![0xff; 500]].concat(),
            false,
        ),
        (
            "no PCI device",
            [
                reply(0, 1, 20, 1, 0, &[0; 4]),
                reply(1, 4, 32, 1, 0, &[0; 16]),
            ]
            .concat(),
            false,
        ),
        (
            "errors without end",
            reply(7, 9, 16, 0x21, 0, &[]).repeat(1000),
            false,
        ),
    ];
    let dir = tempfile::tempdir().expect("directory");
    for (i, (what, bytes, close)) in cases.into_iter().enumerate() {
        let path = dir.path().join(i.to_string());
        let server = scripted(&path, bytes, close);
        let start = Instant::now();
        let error = VfioUser::connect(&path, Duration::from_millis(200)).expect_err(what);
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{what}: took {:?}",
            start.elapsed()
        );
        let fits = match what {
            "nothing" | "half a header" | "a version, then nothing" => {
                matches!(error, HwError::Timeout { .. })
            }
            "an error" => matches!(error, HwError::Refused { errno: 22, .. }),
            _ if close => matches!(error, HwError::Gone(_)),
            _ => matches!(error, HwError::Malformed { .. }),
        };
        assert!(fits, "{what}: {error:?}");
        server.join().expect("no panic");
    }
}

/// Names the socket for a device in a process of its own.
const DEVICE_SOCKET: &str = "FLOWNIC_TEST_DEVICE_SOCKET";

/// Not a test by itself: the device process that other tests here start and kill. Without the
/// variable it has nothing to do.
#[test]
fn device_process() {
    let Some(socket) = std::env::var_os(DEVICE_SOCKET) else {
        return;
    };
    let device = Device::serve(Path::new(&socket), identity()).expect("served");
    let bell = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).expect("eventfd");
    let (_tasks, inbox) = std::sync::mpsc::channel();
    let never = std::sync::atomic::AtomicBool::new(false);
    support::work(device, Store::default(), &inbox, &never, &never, &bell);
}

/// A device in a process of its own; killed at the end.
struct DeviceProcess(Child);

impl DeviceProcess {
    fn start(socket: &Path) -> Self {
        let child = Process::new(std::env::current_exe().expect("known"))
            .args(["--exact", "device_process"])
            .env(DEVICE_SOCKET, socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        Self(child)
    }

    fn kill(&mut self) {
        self.0.kill().expect("is running");
        self.0.wait().expect("ends");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).expect("is running");
    }
}

impl Drop for DeviceProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Opens as soon as the process serves.
async fn open_when_served(socket: &Path, options: Options) -> DeviceNic {
    loop {
        if let Ok(function) = VfioUser::connect(socket, Duration::from_millis(500)) {
            let address = format!("vfio-user:{}", socket.display());
            return DeviceNic::open(&address, Arc::new(function), options)
                .await
                .expect("opens");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// R7.4: the device's process dies in the middle of a batch: who waits is told, and a new process at
/// the same place can be attached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_device_is_noticed_and_replaced() {
    within(async {
        let dir = tempfile::tempdir().expect("directory");
        let socket = dir.path().join("nic.sock");
        let mut device = DeviceProcess::start(&socket);
        let nic = open_when_served(&socket, small()).await;
        let busy = async {
            let mut n = 0;
            loop {
                if let Err(error) = nic.write(&[insert(n)], Atomicity::ContinueOnError).await {
                    return error;
                }
                n += 1;
            }
        };
        let (busy, waiting, killed) = tokio::join!(busy, nic.receive(), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            device.kill();
            Instant::now()
        });
        assert!(
            killed.elapsed() < Duration::from_secs(1),
            "took {:?}",
            killed.elapsed()
        );
        assert!(is_gone(&busy), "{busy}");
        assert!(is_gone(&waiting.expect_err("killed")));
        all_calls_say_gone(&nic).await;

        assert!(socket.exists(), "a killed process leaves its socket");
        let _device = DeviceProcess::start(&socket);
        let nic = open_when_served(&socket, small()).await;
        nic.health().await.expect("healthy");
    })
    .await;
}

/// R7.4: a process that is stopped, not dead, is noticed by the look at its registers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_device_is_noticed() {
    within(async {
        let dir = tempfile::tempdir().expect("directory");
        let socket = dir.path().join("nic.sock");
        let device = DeviceProcess::start(&socket);
        let nic = open_when_served(&socket, small()).await;
        device.signal(rustix::process::Signal::STOP);
        let stopped = Instant::now();
        let error = nic.receive().await.expect_err("stopped");
        assert!(is_gone(&error), "{error}");
        assert!(
            stopped.elapsed() < Duration::from_secs(5),
            "took {:?}",
            stopped.elapsed()
        );
        device.signal(rustix::process::Signal::CONT);
        all_calls_say_gone(&nic).await;
    })
    .await;
}
