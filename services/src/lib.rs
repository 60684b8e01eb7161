//! Remote services of FlowNIC, run by `flownic-cloud`.
//!
//! Each service is a state machine without I/O and without a clock (`events.rs`), surrounded by
//! tasks that turn streams, timers and disks into its events (`tasks.rs`). `README.md` lists the
//! files that every service has.

pub mod nis;
