//! The software device under a driver that does everything wrong. Each test ends with a good driver
//! on the same device.

#![expect(
    clippy::disallowed_methods,
    reason = "states of another thread are polled"
)]

mod support;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flownic_device_abi::admin::{COMPLETION_LEN, Command, Completion, Opcode, Status};
use flownic_device_abi::bar0::{self, Fault};
use flownic_device_abi::register::Register;
use flownic_device_abi::ring::{DESCRIPTOR_LEN, Descriptor, DescriptorStatus};
use flownic_device_abi::{bar2, pci};
use flownic_driver::Nic;
use flownic_driver::hw::{DmaAccess, HwError, PciFunction, Width};
use flownic_driver::vfio::{DmaMemory, SharedMemory};
use flownic_driver::vfio_user::VfioUser;
use support::{P4INFO, Rig, small, within};
use zerocopy::{FromBytes, IntoBytes};

const IOVA: u64 = 0x4000_0000;
const SIZE: u32 = 4;
const SQ: usize = 0;
const CQ: usize = 0x1000;
const PUNT: usize = 0x2000;
const INJECT: usize = 0x3000;
const DATA: usize = 0x4000;
const LEN: usize = 0x10_0000;

/// A driver without any checks.
struct Raw {
    function: VfioUser,
    memory: DmaMemory,
    bar2: SharedMemory,
}

impl Raw {
    /// Attached, with memory mapped and DMA allowed, rings not set up.
    fn attach(rig: &Rig) -> Self {
        let function = VfioUser::connect(&rig.socket, Duration::from_secs(2)).expect("connects");
        let memory = DmaMemory::new(LEN, IOVA).expect("memory");
        function
            .dma_map(&memory, DmaAccess::ReadWrite)
            .expect("maps");
        function.config_write(4, &[0x06, 0]).expect("bus master");
        let bar2 = function.bar_map(pci::BAR2).expect("maps");
        Self {
            function,
            memory,
            bar2,
        }
    }

    /// With four entries in every ring.
    fn enabled(rig: &Rig) -> Self {
        let raw = Self::attach(rig);
        raw.set_up();
        raw.write(&bar0::CONTROL, bar0::CONTROL_ENABLE.into());
        assert_eq!(raw.status() & !bar0::STATUS_READY, bar0::STATUS_ENABLED);
        raw
    }

    fn set_up(&self) {
        for (register, offset) in [
            (&bar0::ADMIN_SQ_BASE, SQ),
            (&bar0::ADMIN_CQ_BASE, CQ),
            (&bar0::PUNT_BASE, PUNT),
            (&bar0::INJECT_BASE, INJECT),
        ] {
            self.write(register, IOVA + offset as u64);
        }
        for register in [&bar0::ADMIN_SIZE, &bar0::PUNT_SIZE, &bar0::INJECT_SIZE] {
            self.write(register, SIZE.into());
        }
    }

    fn write(&self, register: &Register, value: u64) {
        let width = if register.width == 4 {
            Width::U32
        } else {
            Width::U64
        };
        self.function
            .bar_write(pci::BAR0, register.offset.into(), width, value)
            .expect("posted");
    }

    fn read(&self, register: &Register) -> u64 {
        let width = if register.width == 4 {
            Width::U32
        } else {
            Width::U64
        };
        self.function
            .bar_read(pci::BAR0, register.offset.into(), width)
            .expect("read")
    }

    fn status(&self) -> u32 {
        self.read(&bar0::STATUS) as u32
    }

    /// Stores a doorbell and wakes the device.
    fn ring(&self, word: &Register, value: u32) {
        self.bar2
            .store_u32(word.offset as usize, value)
            .expect("in BAR2");
        self.write(&bar0::KICK, 1);
    }

    /// Gives command number `index` to the device and waits for its completion.
    fn execute(&self, index: u32, command: Command) -> Completion {
        let memory = self.memory.memory();
        let slot = (index % SIZE) as usize;
        memory
            .write(SQ + slot * 64, command.as_bytes())
            .expect("in memory");
        self.ring(&bar2::ADMIN_TAIL, index + 1);
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let bytes = memory
                .read_vec(CQ + slot * COMPLETION_LEN, COMPLETION_LEN)
                .expect("in memory");
            let completion = Completion::read_from_bytes(&bytes).expect("whole");
            if completion.tail.is_done(index, SIZE) {
                return completion;
            }
            assert!(Instant::now() < until, "no completion of {command:?}");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The descriptor in a slot, after the device is known to have handled it.
    fn descriptor(&self, ring: usize, slot: usize) -> Descriptor {
        let bytes = self
            .memory
            .memory()
            .read_vec(ring + slot * DESCRIPTOR_LEN, DESCRIPTOR_LEN);
        Descriptor::read_from_bytes(&bytes.expect("in memory")).expect("whole")
    }

    fn post(&self, ring: usize, slot: usize, descriptor: Descriptor) {
        let place = ring + slot * DESCRIPTOR_LEN;
        self.memory
            .memory()
            .write(place, descriptor.as_bytes())
            .expect("in memory");
    }
}

fn command(opcode: Opcode) -> Command {
    Command {
        opcode: (opcode as u16).into(),
        id: 0xabcd.into(),
        input: (IOVA + DATA as u64).into(),
        output: (IOVA + DATA as u64).into(),
        output_len: 0x1000.into(),
        ..Command::default()
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A good driver can use the device.
fn still_works(rig: &Rig) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(within(async {
        let nic = rig.open(small()).await.expect("opens");
        nic.health().await.expect("healthy");
        assert!(rig.run(|device, _| device.punt(&[0x30, 0, 1, 2])));
        assert_eq!(nic.receive().await.expect("arrives").payload, [1, 2]);
    }));
}

/// R6.4: every wrong command is completed with its error, and none with anything else.
#[test]
fn bad_commands_are_completed_with_errors() {
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    let good = |opcode| command(opcode);
    let unmapped = IOVA - 0x1000;
    let cases = [
        (good(Opcode::Nop), Status::Success),
        (
            Command {
                opcode: 999.into(),
                ..good(Opcode::Nop)
            },
            Status::BadOpcode,
        ),
        (
            Command {
                flags: 1.into(),
                ..good(Opcode::Nop)
            },
            Status::BadField,
        ),
        (
            Command {
                reserved: 1.into(),
                ..good(Opcode::Nop)
            },
            Status::BadField,
        ),
        (
            Command {
                reserved2: 1.into(),
                ..good(Opcode::Nop)
            },
            Status::BadField,
        ),
        (
            Command {
                input_len: u32::MAX.into(),
                ..good(Opcode::Nop)
            },
            Status::BadField,
        ),
        (
            Command {
                output_len: u32::MAX.into(),
                ..good(Opcode::Nop)
            },
            Status::BadField,
        ),
        (
            Command {
                output: unmapped.into(),
                ..good(Opcode::Identify)
            },
            Status::DmaFault,
        ),
        (
            Command {
                output: (IOVA + LEN as u64 - 8).into(),
                ..good(Opcode::Identify)
            },
            Status::DmaFault,
        ),
        (
            Command {
                output: u64::MAX.into(),
                ..good(Opcode::Identify)
            },
            Status::DmaFault,
        ),
        (
            Command {
                input: unmapped.into(),
                input_len: 8.into(),
                ..good(Opcode::Nop)
            },
            Status::DmaFault,
        ),
        (
            Command {
                output_len: 100.into(),
                ..good(Opcode::Identify)
            },
            Status::OutputTooShort,
        ),
        (
            Command {
                cursor: 1_000_000.into(),
                ..good(Opcode::ReadP4Info)
            },
            Status::BadField,
        ),
        (
            Command {
                output_len: 0.into(),
                ..good(Opcode::ReadP4Info)
            },
            Status::OutputTooShort,
        ),
        (
            Command {
                flags: 3.into(),
                input_len: 4.into(),
                ..good(Opcode::WriteBatch)
            },
            Status::BadField,
        ),
        (
            Command {
                input_len: 3.into(),
                ..good(Opcode::WriteBatch)
            },
            Status::BadInput,
        ),
        (
            Command {
                object: 9.into(),
                ..good(Opcode::ReadTable)
            },
            Status::NotFound,
        ),
        (
            Command {
                object: support::TABLE.into(),
                output_len: 0.into(),
                ..good(Opcode::ReadTable)
            },
            Status::OutputTooShort,
        ),
        (
            Command {
                object: 9.into(),
                count: 1.into(),
                ..good(Opcode::ReadRegisters)
            },
            Status::NotFound,
        ),
        (
            Command {
                object: support::REGISTER.into(),
                count: 1.into(),
                output_len: 9.into(),
                ..good(Opcode::ReadRegisters)
            },
            Status::OutputTooShort,
        ),
        (
            Command {
                object: 9.into(),
                count: 1.into(),
                ..good(Opcode::ReadCounters)
            },
            Status::NotFound,
        ),
        (
            Command {
                object: support::COUNTER.into(),
                count: 1.into(),
                output_len: 15.into(),
                ..good(Opcode::ReadCounters)
            },
            Status::OutputTooShort,
        ),
        (
            Command {
                output_len: 8.into(),
                ..good(Opcode::TableUse)
            },
            Status::OutputTooShort,
        ),
        (good(Opcode::Nop), Status::Success),
    ];
    for (i, (command, expected)) in (0..).zip(&cases) {
        let completion = raw.execute(i, *command);
        assert_eq!(
            completion.tail.status(),
            Ok(*expected),
            "case {i}: {command:?}"
        );
        assert_eq!(completion.tail.id.get(), 0xabcd);
    }
    let errors = cases
        .iter()
        .filter(|(_, status)| *status != Status::Success)
        .count();
    assert_eq!(rig.statistics().admin_errors, errors as u64);
    assert_eq!(rig.statistics().admin_commands, cases.len() as u64);
    drop(raw);
    still_works(&rig);
}

/// R6.4: a malformed batch tells the wrong byte, and nothing of it is done.
#[test]
fn malformed_batches_change_nothing() {
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    // One item of 2 bytes, of unknown kind 9.
    let input = [1, 0, 0, 0, 2, 0, 0, 0, 9, 1];
    raw.memory.memory().write(DATA, &input).expect("in memory");
    let batch = Command {
        input_len: (input.len() as u32).into(),
        ..command(Opcode::WriteBatch)
    };
    let completion = raw.execute(0, batch);
    assert_eq!(
        (completion.tail.status(), completion.detail.get()),
        (Ok(Status::BadInput), 8)
    );
    assert!(rig.run(|_, store| store.batches.is_empty()));
    drop(raw);
    still_works(&rig);
}

/// R6.4: bad set-ups are refused with their reason, and a reset is enough to go on.
#[test]
fn bad_set_ups_are_refused() {
    let rig = Rig::new();
    let raw = Raw::attach(&rig);
    let cases: [(&Register, u64, Fault); 9] = [
        (&bar0::ADMIN_SIZE, 3, Fault::BadSetup),
        (&bar0::ADMIN_SIZE, 0, Fault::BadSetup),
        (&bar0::ADMIN_SIZE, 1 << 20, Fault::BadSetup),
        (&bar0::PUNT_SIZE, 5, Fault::BadSetup),
        (&bar0::INJECT_BASE, IOVA + 8, Fault::BadSetup),
        (&bar0::ADMIN_SQ_BASE, 0, Fault::RingUnreachable),
        (
            &bar0::ADMIN_CQ_BASE,
            IOVA + LEN as u64 - 64,
            Fault::RingUnreachable,
        ),
        (&bar0::PUNT_BASE, u64::MAX - 63, Fault::RingUnreachable),
        (&bar0::DRIVER_FEATURES, 1, Fault::UnknownFeature),
    ];
    for (register, value, fault) in cases {
        raw.set_up();
        raw.write(register, value);
        raw.write(&bar0::CONTROL, bar0::CONTROL_ENABLE.into());
        assert_eq!(
            Fault::from_status(raw.status()),
            Some(fault),
            "{} = {value:#x}",
            register.name
        );
        assert_eq!(raw.status() & bar0::STATUS_ENABLED, 0);
        // Trying again does not help, a reset does.
        raw.write(&bar0::CONTROL, bar0::CONTROL_ENABLE.into());
        assert_eq!(Fault::from_status(raw.status()), Some(fault));
        raw.function.reset().expect("resets");
        raw.function
            .config_write(4, &[0x06, 0])
            .expect("bus master");
        assert_eq!(raw.status(), bar0::STATUS_READY);
    }
    raw.function
        .config_write(4, &[0x02, 0])
        .expect("no bus master");
    raw.set_up();
    raw.write(&bar0::CONTROL, bar0::CONTROL_ENABLE.into());
    assert_eq!(Fault::from_status(raw.status()), Some(Fault::BusMasterOff));
    drop(raw);
    still_works(&rig);
}

/// R6.4: a doorbell that is too far ahead stops the function only; the pipeline goes on.
#[test]
fn corrupt_doorbells_stop_the_function() {
    for word in [&bar2::ADMIN_TAIL, &bar2::INJECT_TAIL, &bar2::PUNT_TAIL] {
        let rig = Rig::new();
        let raw = Raw::enabled(&rig);
        raw.ring(word, SIZE + 1);
        rig.run(|device, _| device.punt(&[1, 2, 3]));
        wait_until(word.name, || {
            Fault::from_status(raw.status()) == Some(Fault::DoorbellCorrupt)
        });
        assert_eq!(rig.statistics().ring_errors, 1);
        assert!(!rig.run(|device, _| device.punt(&[1, 2, 3])));
        drop(raw);
        still_works(&rig);
    }
}

/// R6.4: bad inject descriptors are completed with errors; no byte of them reaches the pipeline.
#[test]
fn bad_inject_descriptors_are_refused() {
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    let data = IOVA + DATA as u64;
    raw.memory
        .memory()
        .write(DATA, &[7; 64])
        .expect("in memory");
    let mut unknown_flag = Descriptor::post(3, SIZE, data, 64);
    unknown_flag.completion.flags = 0x8000.into();
    raw.post(INJECT, 0, Descriptor::post(0, SIZE, data, 0));
    raw.post(INJECT, 1, Descriptor::post(1, SIZE, data, 1 << 20));
    raw.post(
        INJECT,
        2,
        Descriptor::post(2, SIZE, IOVA + LEN as u64 - 10, 64),
    );
    raw.post(INJECT, 3, unknown_flag);
    raw.ring(&bar2::INJECT_TAIL, 4);
    wait_until("four refusals", || rig.statistics().inject_errors == 4);
    let expected = [
        DescriptorStatus::BadLength,
        DescriptorStatus::BadLength,
        DescriptorStatus::DmaFault,
        DescriptorStatus::BadFlags,
    ];
    for (slot, expected) in expected.into_iter().enumerate() {
        let completion = raw.descriptor(INJECT, slot).completion;
        assert_eq!(completion.status.get(), expected as u16, "slot {slot}");
        assert!(completion.is_done(slot as u32, SIZE));
    }
    // The same descriptor again is of the lap before.
    raw.ring(&bar2::INJECT_TAIL, 5);
    wait_until("a fifth refusal", || rig.statistics().inject_errors == 5);
    raw.post(INJECT, 1, Descriptor::post(5, SIZE, data, 64));
    raw.ring(&bar2::INJECT_TAIL, 6);
    wait_until("a good packet", || rig.statistics().injects == 1);
    assert_eq!(rig.run(|_, store| store.injected.clone()), [vec![7; 64]]);
    drop(raw);
    still_works(&rig);
}

/// R6.4: bad punt buffers cost their packet only.
#[test]
fn bad_punt_buffers_lose_one_packet_each() {
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    let data = IOVA + DATA as u64;
    raw.post(PUNT, 0, Descriptor::post(0, SIZE, data, 63));
    raw.post(PUNT, 1, Descriptor::post(1, SIZE, 0, 4096));
    raw.post(PUNT, 2, Descriptor::post(2, SIZE, data, 64));
    raw.ring(&bar2::PUNT_TAIL, 3);
    let delivered = rig.run(|device, _| [(); 4].map(|()| device.punt(&[5; 64])));
    assert_eq!(delivered, [false, false, true, false]);
    let statuses = [0, 1, 2].map(|slot| raw.descriptor(PUNT, slot).completion);
    assert_eq!(statuses[0].status.get(), DescriptorStatus::BadLength as u16);
    assert_eq!(statuses[1].status.get(), DescriptorStatus::DmaFault as u16);
    assert_eq!(
        (statuses[2].status.get(), statuses[2].length.get()),
        (0, 64)
    );
    assert_eq!(
        raw.memory.memory().read_vec(DATA, 65).expect("in memory"),
        [vec![5; 64], vec![0]].concat()
    );
    let statistics = rig.statistics();
    assert_eq!(
        (
            statistics.punts,
            statistics.punt_errors,
            statistics.punt_ring_full
        ),
        (1, 2, 1)
    );
    drop(raw);
    still_works(&rig);
}

/// R6.4: rings that are unmapped under a running device stop the function, and nothing is touched.
#[test]
fn rings_unmapped_while_running_stop_the_function() {
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    raw.post(PUNT, 0, Descriptor::post(0, SIZE, IOVA + DATA as u64, 64));
    raw.ring(&bar2::PUNT_TAIL, 1);
    raw.function.dma_unmap(&raw.memory).expect("unmaps");
    assert!(!rig.run(|device, _| device.punt(&[5; 64])));
    assert_eq!(
        Fault::from_status(raw.status()),
        Some(Fault::RingUnreachable)
    );
    assert_eq!(
        raw.memory.memory().read_vec(DATA, 64).expect("in memory"),
        [0; 64]
    );
    drop(raw);
    still_works(&rig);
}

/// R6.4: without bus master the device does no DMA, though everything is mapped.
#[test]
fn bus_master_off_stops_dma() {
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    raw.post(PUNT, 0, Descriptor::post(0, SIZE, IOVA + DATA as u64, 64));
    raw.ring(&bar2::PUNT_TAIL, 1);
    raw.function.config_write(4, &[0x02, 0]).expect("writes");
    assert!(!rig.run(|device, _| device.punt(&[5; 64])));
    assert_eq!(
        raw.memory.memory().read_vec(DATA, 64).expect("in memory"),
        [0; 64]
    );
    drop(raw);
    still_works(&rig);
}

/// R6.4: a function level reset through configuration space stops the rings; set-up survives nothing.
#[test]
fn function_level_reset_stops_everything() {
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    let control = pci::EXPRESS_CONTROL as u16;
    raw.function
        .config_write(control, &pci::EXPRESS_CONTROL_FLR.to_le_bytes())
        .expect("writes");
    assert_eq!(raw.status(), bar0::STATUS_READY);
    assert_eq!(raw.read(&bar0::ADMIN_SQ_BASE), 0);
    let mut command = [0xff; 2];
    raw.function.config_read(4, &mut command).expect("reads");
    assert_eq!(command, [0, 0], "DMA is off after a reset");
    assert!(!rig.run(|device, _| device.punt(&[5; 64])));
    assert_eq!(rig.statistics().no_driver, 1);
    drop(raw);
    still_works(&rig);
}

/// R6.4: accesses to BAR0 that are not allowed read ones, write nothing, and are counted.
#[test]
fn bad_register_accesses_are_harmless() {
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    let read = |offset, width| raw.function.bar_read(pci::BAR0, offset, width);
    assert_eq!(read(0, Width::U8).expect("answers"), 0xff);
    assert_eq!(read(2, Width::U32).expect("answers"), 0xffff_ffff);
    assert_eq!(read(4, Width::U64).expect("answers"), u64::MAX);
    assert_eq!(read(0x1000, Width::U32).expect("answers"), 0xffff_ffff);
    assert_eq!(
        read(u64::MAX - 3, Width::U32).expect("answers"),
        0xffff_ffff
    );
    raw.write(&bar0::MAGIC, 0);
    raw.write(&bar0::PUNTS, 9);
    raw.write(&bar0::ADMIN_SIZE, 2); // not while it runs
    assert_eq!(raw.read(&bar0::MAGIC), u64::from(bar0::MAGIC_VALUE));
    assert_eq!(raw.read(&bar0::ADMIN_SIZE), u64::from(SIZE));
    assert_eq!(raw.read(&bar0::BAD_ACCESSES), 8);
    assert!(matches!(
        read_config_beyond_the_end(&raw),
        HwError::Refused { .. }
    ));
    assert_eq!(
        raw.read(&bar0::MAGIC),
        u64::from(bar0::MAGIC_VALUE),
        "the connection goes on"
    );
    drop(raw);
    still_works(&rig);
}

fn read_config_beyond_the_end(raw: &Raw) -> HwError {
    raw.function
        .config_read(4094, &mut [0; 4])
        .expect_err("beyond the end")
}

/// R6.4: overlapping DMA maps, and vectors that do not exist, are refused.
#[test]
fn bad_maps_and_vectors_are_refused() {
    let rig = Rig::new();
    let raw = Raw::attach(&rig);
    let again = raw
        .function
        .dma_map(&raw.memory, DmaAccess::Read)
        .expect_err("overlaps");
    assert!(matches!(again, HwError::Refused { .. }), "{again}");
    let event = raw.memory.file();
    let error = raw
        .function
        .enable_vectors(&[event; 5])
        .expect_err("there are four");
    assert!(matches!(error, HwError::Refused { .. }), "{error}");
    raw.function.disable_vectors().expect("none is set");
    drop(raw);
    still_works(&rig);
}

/// R6.4: what is no vfio-user message ends that connection only.
#[test]
fn garbage_on_the_socket_ends_that_connection_only() {
    let rig = Rig::new();
    let header = |command: u16, size: u32| {
        [
            &[1, 0][..],
            &command.to_le_bytes(),
            &size.to_le_bytes(),
            &[0; 8],
        ]
        .concat()
    };
    let garbage: [Vec<u8>; 6] = [
        vec![0xff; 4096],
        header(1, 16),                                    // a version without a version
        [header(1, 21), vec![0, 0, 1, 0, b'{']].concat(), // text without an end
        [header(1, 0), vec![0; 64]].concat(),             // shorter than its header
        [header(9, 32), vec![0xff; 16]].concat(),         // 4 GiB of a region that does not exist
        header(2, 48)[..7].to_vec(),                      // a cut header
    ];
    for bytes in garbage {
        let mut socket = UnixStream::connect(&rig.socket).expect("connects");
        // The server may close before all is written.
        let _ = socket.write_all(&bytes);
        drop(socket);
    }
    still_works(&rig);
}

/// R6.4: an interrupt descriptor that would block does not stop the worker.
#[test]
fn a_blocking_interrupt_descriptor_cannot_stop_the_worker() {
    use rustix::event::{EventfdFlags, eventfd};
    use std::os::fd::AsFd;
    let rig = Rig::new();
    let raw = Raw::enabled(&rig);
    let event = eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd");
    rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).expect("fills it");
    raw.function
        .enable_vectors(&[event.as_fd(); 4])
        .expect("sets");
    let completion = raw.execute(0, command(Opcode::Nop));
    assert_eq!(completion.tail.status(), Ok(Status::Success));
    assert_eq!(rig.run(|_, store| store.p4info.clone()), P4INFO.as_bytes());
    drop(raw);
    still_works(&rig);
}

/// R6.4: a hostile driver that writes into the rings at random cannot harm the device.
#[test]
fn random_rings_are_survived() {
    let rig = Arc::new(Rig::new());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        // xorshift64*: reproducible noise.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    for _ in 0..40 {
        let raw = Raw::enabled(&rig);
        for _ in 0..20 {
            let noise: Vec<u8> = (0..DATA / 8)
                .flat_map(|_| {
                    // Half of the words are addresses that are mapped or nearly so, the others are small.
                    let word = random();
                    let word = if word & 1 == 0 {
                        IOVA + (word >> 8) % (LEN as u64 + 64)
                    } else {
                        (word >> 8) % 0x2_0000
                    };
                    word.to_le_bytes()
                })
                .collect();
            raw.memory.memory().write(0, &noise).expect("in memory");
            let ahead = random() as u32 % (SIZE + 1);
            raw.ring(&bar2::ADMIN_TAIL, ahead);
            raw.ring(&bar2::INJECT_TAIL, ahead);
            raw.ring(&bar2::PUNT_TAIL, ahead);
            rig.run(|device, _| device.punt(&[5; 64]));
        }
        drop(raw);
    }
    still_works(&rig);
}
