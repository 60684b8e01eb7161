//! A PCI function over a vfio-user socket: the device is another process (vfio-user protocol 0.1,
//! as QEMU and libvfio-user speak it).
//!
//! Every request has a deadline and every answer is checked against its request. After a late or
//! malformed answer the connection is given up, as nothing that follows could be trusted.

mod connection;
mod function;
mod protocol;

pub use function::VfioUser;
