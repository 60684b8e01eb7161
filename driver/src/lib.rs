//! The host driver of FlowNICs, in user space.
//!
//! ```text
//!   Nic            one trait, whatever the NIC is            module `nic`
//!    └ DeviceNic    admin queue, packet rings, watch          modules `device`, `admin`, `rings`
//!       └ PciFunction  config space, BARs, DMA, interrupts    module `hw`
//!          └ VfioUser     a device in another process         module `vfio_user`
//!    └ P4RuntimeNic any P4Runtime target                     module `p4runtime`
//! ```
//!
//! Nothing that a device says is trusted: lengths and indices are checked, waits have a deadline,
//! and whatever goes wrong ends in a typed error. Unsafe code is in `vfio` only.

mod admin;
mod device;
mod error;
mod events;
pub mod hw;
mod liveness;
mod nic;
pub mod p4runtime;
pub mod packet_io;
mod registers;
mod rings;
pub mod vfio;
pub mod vfio_user;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use device::{DeviceNic, Options};
pub use error::NicError;
pub use nic::{Limits, Nic, NicInfo, PacketIn, PacketOut, PciInfo, TableUse};

use hw::{HwError, PciFunction};

/// For each request over a vfio-user socket. A device in software answers within microseconds, on a
/// host that is overloaded within a second; a wrong alarm costs more than a late one.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// Opens a NIC by its address:
///
/// * `vfio-user:PATH`: a FlowNIC device that another process serves on a UNIX socket;
/// * `p4runtime:HOST:PORT[?device-id=N&…]`: a P4Runtime target that has a program, see
///   [`p4runtime::Target`]; [`p4runtime::open_with_pipeline`] gives it one.
///
/// # Errors
/// [`NicError::BadAddress`], or what the kind of NIC says.
pub async fn open(address: &str) -> Result<Box<dyn Nic>, NicError> {
    match address.split_once(':') {
        Some(("vfio-user", path)) if !path.is_empty() => {
            let function = connect(address, path.into()).await?;
            Ok(Box::new(
                DeviceNic::open(address, function, Options::default()).await?,
            ))
        }
        Some(("p4runtime", _)) => Ok(Box::new(p4runtime::open(address).await?)),
        _ => Err(NicError::BadAddress {
            address: address.into(),
            reason: "expected vfio-user:PATH or p4runtime:HOST:PORT".into(),
        }),
    }
}

async fn connect(address: &str, path: PathBuf) -> Result<Arc<dyn PciFunction>, NicError> {
    let open = |source| NicError::Open {
        address: address.into(),
        source,
    };
    let connect = move || vfio_user::VfioUser::connect(&path, REQUEST_DEADLINE);
    let task = tokio::task::spawn_blocking(connect).await;
    let connected = task.map_err(|error| {
        open(HwError::System {
            what: "connect",
            source: error.into(),
        })
    })?;
    Ok(Arc::new(connected.map_err(open)?))
}
