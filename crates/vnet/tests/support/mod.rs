//! Random configurations and packets, the reference evaluator, and a writer of configuration
//! files.

pub mod generate;
pub mod reference;
pub mod write;
