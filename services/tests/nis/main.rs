//! The network interface service from outside: the state machine's protocol, message by message,
//! then the same over real gRPC and as a process.

mod fixture;
mod grpc;
mod malformed;
mod process;
mod protocol;
