//! Protobuf sources and generated code of FlowNIC's services.
