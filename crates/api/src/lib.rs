//! Protobuf sources and generated code of FlowNIC's services, and of P4Runtime.
//!
//! The sources in `proto/` are the definition; messages are explained there and the comments come
//! along into the generated code. Messages are checked by whoever receives them: a generated
//! struct promises nothing about the length of an address or the range of a number.

/// `flownic.v1`: flow entries, the network interface service, virtual networks, the agent.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("flownic.v1");
}

/// P4Runtime: the protocol between a controller and any P4 target.
pub mod p4 {
    /// `p4.v1`: entities, writes, reads, the stream, the service itself.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("p4.v1");
    }

    /// `p4.config`: what a program looks like to its controller.
    pub mod config {
        /// `p4.config.v1`: P4Info and its types.
        #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
        pub mod v1 {
            tonic::include_proto!("p4.config.v1");
        }
    }
}

/// Messages of Google's that P4Runtime uses.
pub mod google {
    /// `google.rpc`: the error model of gRPC services.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

#[cfg(test)]
mod tests;
