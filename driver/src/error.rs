//! What can go wrong with a NIC.

use std::time::Duration;

use flownic_device_abi::admin::Status;
use flownic_device_abi::bar0::Fault;
use flownic_device_abi::batch::Malformed;

use crate::hw::HwError;
use crate::p4runtime::P4RuntimeError;
use crate::packet_io::PacketError;
use crate::vfio::OutOfBounds;

/// A NIC cannot be opened, or a call failed.
#[derive(Debug, thiserror::Error)]
pub enum NicError {
    /// The address names no kind of NIC that we know.
    #[error("`{address}` is no NIC address: {reason}")]
    BadAddress {
        /// As given.
        address: String,
        /// What is expected.
        reason: String,
    },
    /// The way to the NIC failed while it was opened.
    #[error("cannot open {address}: {source}")]
    Open {
        /// As given.
        address: String,
        /// Why.
        source: HwError,
    },
    /// The device is something else.
    #[error("{address} is PCI device {vendor:04x}:{device:04x}, not a FlowNIC")]
    NotFlowNic {
        /// As given to open.
        address: String,
        /// Vendor id.
        vendor: u16,
        /// Device id.
        device: u16,
    },
    /// The device is a FlowNIC, but not one for this driver.
    #[error("{address} cannot be used: {reason}")]
    Incompatible {
        /// As given to open.
        address: String,
        /// What does not fit.
        reason: String,
    },
    /// The device refused its set-up.
    #[error("{address} refused its set-up: {}", fault.map_or("not enabled, no reason given".into(), |fault| format!("{fault:?}")))]
    Setup {
        /// As given to open.
        address: String,
        /// The reason that it gave.
        fault: Option<Fault>,
    },
    /// The NIC is lost: it went away, does not answer, or stopped. Open it again.
    #[error("{address} is lost: {reason}")]
    DeviceGone {
        /// As given to open.
        address: String,
        /// How it was noticed.
        reason: String,
    },
    /// The NIC answered something that makes no sense.
    #[error("malformed answer of the NIC to {what}: {reason}")]
    Malformed {
        /// The call.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The NIC refused a call.
    #[error("{what} was refused: {}", if message.is_empty() { status.meaning() } else { message })]
    Refused {
        /// The call.
        what: &'static str,
        /// The NIC's code.
        status: Status,
        /// The NIC's words, may be empty.
        message: String,
    },
    /// A batch of an atomic class does not fit in the NIC's buffer. Nothing was done.
    #[error(
        "the batch does not fit: update {fitting} of {updates} goes beyond {limit} bytes; atomic batches cannot be split"
    )]
    BatchTooLong {
        /// Updates of the batch.
        updates: usize,
        /// Updates that fit.
        fitting: usize,
        /// Bytes of the buffer.
        limit: usize,
    },
    /// One update alone cannot be encoded or does not fit. Nothing of it was done.
    #[error("update {index} cannot be sent: it {reason}")]
    BadUpdate {
        /// Which one, from 0.
        index: usize,
        /// Why.
        reason: String,
    },
    /// The NIC took no packet or command for too long, but is there.
    #[error("the NIC is busy: {what} for {after:?}")]
    Busy {
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// A packet or its metadata do not fit the controller header of the program.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The way to the NIC failed.
    #[error(transparent)]
    Hw(#[from] HwError),
    /// A P4Runtime target did not do something, for a reason that other NICs do not have.
    #[error(transparent)]
    P4Runtime(P4RuntimeError),
}

impl From<OutOfBounds> for NicError {
    /// Our own offsets are within the memory; one that is not came from the device.
    fn from(error: OutOfBounds) -> Self {
        NicError::Malformed {
            what: "shared memory",
            reason: error.to_string(),
        }
    }
}

impl NicError {
    /// A result that is not what the grammar asks for.
    pub(crate) fn malformed(what: &'static str) -> impl Fn(Malformed) -> Self {
        move |error| NicError::Malformed {
            what,
            reason: error.to_string(),
        }
    }
}
