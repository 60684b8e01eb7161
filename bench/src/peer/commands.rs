//! Updates as lines for `simple_switch_CLI`.

use std::fmt::Write;

use flownic_pipeline::entity::{Entity, MatchValue, TableEntry, Update};
use flownic_pipeline::p4info::P4Info;

use crate::error::BenchError;
use crate::workload::Workload;

/// Packets that may wait for the switch's egress: its own default, 64, loses some.
const QUEUE_DEPTH: u32 = 20_000;

/// Everything that a workload writes.
pub(crate) fn lines(
    p4info: &P4Info,
    workload: &dyn Workload,
    entries: u64,
) -> Result<String, BenchError> {
    let mut text = format!("set_queue_depth {QUEUE_DEPTH}\n");
    for update in workload.setup() {
        text.push_str(&line(p4info, update)?);
    }
    for flow in 0..entries {
        text.push_str(&line(p4info, &workload.entry(flow))?);
    }
    Ok(text)
}

fn line(p4info: &P4Info, update: &Update) -> Result<String, BenchError> {
    let line = match &update.entity {
        Entity::TableEntry(entry) => table_add(p4info, entry),
        Entity::Register {
            register,
            index,
            value,
        } => p4info.register_by_id(*register).map(|register| {
            // Decimal: here the tool knows no other numbers. Version registers have 32 bits.
            let name = &register.preamble.name;
            let value = value.iter().fold(0, |v, &byte| v << 8 | u64::from(byte));
            format!("register_write {name} {index} {value}\n")
        }),
        Entity::Counter { .. } => None,
    };
    line.ok_or_else(|| BenchError::Peer(format!("{update:?} cannot be written")))
}

/// Keys and parameters in the order of the program.
fn table_add(p4info: &P4Info, entry: &TableEntry) -> Option<String> {
    let table = p4info.table_by_id(entry.table)?;
    let given = entry.action.as_ref()?;
    let action = p4info.action_by_id(given.id)?;
    let (name, action_name) = (&table.preamble.name, &action.preamble.name);
    let mut line = format!("table_add {name} {action_name}");
    for field in &table.match_fields {
        let value = entry.matches.iter().find(|m| m.field == field.id)?;
        let value = match &value.value {
            MatchValue::Exact(value) => hex(value),
            MatchValue::Lpm { value, prefix_len } => format!("{}/{prefix_len}", hex(value)),
            _ => return None,
        };
        write!(line, " {value}").ok()?;
    }
    line.push_str(" =>");
    for param in &action.params {
        let (_, value) = given.params.iter().find(|(id, _)| *id == param.id)?;
        write!(line, " {}", hex(value)).ok()?;
    }
    line.push('\n');
    Some(line)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::from("0x");
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
