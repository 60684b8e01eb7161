//! Compiles `proto/` without an installed protoc.

use std::error::Error;

/// Every file that is compiled, relative to `proto/`.
const FILES: [&str; 4] = [
    "flownic/v1/flow.proto",
    "flownic/v1/nis.proto",
    "flownic/v1/agent.proto",
    "p4/v1/p4runtime.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
