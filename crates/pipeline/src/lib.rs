//! Typed model of bmv2 JSON, P4Info and P4Runtime entities.

pub mod entity;
