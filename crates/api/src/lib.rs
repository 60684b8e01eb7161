//! Protobuf sources and generated code of FlowNIC's services.
//!
//! The sources in `proto/` are the definition; messages are explained there and the comments come
//! along into the generated code. Messages are checked by whoever receives them: a generated
//! struct promises nothing about the length of an address or the range of a number.

/// `flownic.v1`: flow entries, the network interface service, virtual networks, the agent.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("flownic.v1");
}

#[cfg(test)]
mod tests;
