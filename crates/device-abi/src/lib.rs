//! The FlowNIC device interface: what a driver and a device, in hardware or in software, agree on.
//!
//! ```text
//!  host                                     device
//!  ┌──────────────────────────┐  trapped   ┌────────────────────────┐
//!  │ driver                   ├──────────► │ BAR0: identity, set-up │  module `bar0`
//!  │                          │  shared    ├────────────────────────┤
//!  │                          ├──────────► │ BAR2: doorbells        │  module `bar2`
//!  │ DMA memory:              │            └────────────────────────┘
//!  │  admin queue pair        │◄── commands, completions, data        modules `admin`, `batch`
//!  │  punt ring, inject ring  │◄── packets                            module `ring`
//!  └──────────────────────────┘◄── MSI-X                              module `pci`
//! ```
//!
//! This crate holds layouts and numbers, no behaviour of either side. Everything in memory is
//! little-endian. `docs/device-interface.md` says how the parts are used; its tables are rendered
//! from here (`tests/data_sheet.rs`).

#![no_std]

extern crate alloc;

pub mod admin;
pub mod bar0;
pub mod bar2;
pub mod batch;
mod codes;
pub mod pci;
pub mod register;
pub mod ring;

/// Version of this interface: `major << 16 | minor`. A driver works with a device of the same
/// major version; a larger minor version only adds.
pub const ABI_VERSION: u32 = 0x0001_0000;

/// The major half of a version.
pub const fn abi_major(version: u32) -> u16 {
    (version >> 16) as u16
}
