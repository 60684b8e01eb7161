//! The declarations that every program includes: `core.p4` and `v1model.p4`. They state the
//! interfaces of the P4_16 core library and of the v1model architecture.

/// Text of an included file that is not found elsewhere.
pub(crate) fn find(name: &str) -> Option<&'static str> {
    match name {
        "core.p4" => Some(include_str!("core.p4")),
        "v1model.p4" => Some(include_str!("v1model.p4")),
        _ => None,
    }
}
