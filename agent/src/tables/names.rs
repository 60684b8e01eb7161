//! Look-ups in P4Info by name, with errors that say what the pipeline lacks.

use flownic_pipeline::p4info::{
    Action, ControllerPacketMetadata, MatchType, P4Info, SerializableEnumSpec, Table,
};

use super::entry::{ActionRef, Field, TableRef, Value};

/// The pipeline is not the one that this agent knows how to drive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the NIC's pipeline {0}; flownicd needs firmware made from p4/flownic.p4")]
pub struct Mismatch(String);

/// How a key field matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Equality.
    Exact,
    /// Longest prefix.
    Lpm,
}

/// P4Info, searched by name.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    p4info: &'a P4Info,
}

/// One table of it.
#[derive(Debug)]
pub struct TableNames<'a> {
    p4info: &'a P4Info,
    table: &'a Table,
    name: &'static str,
}

/// A header between pipeline and host.
#[derive(Debug)]
pub struct PacketHeader<'a> {
    header: &'a ControllerPacketMetadata,
    name: &'static str,
}

/// An enum of the program: names and numbers of its members.
#[derive(Debug, Clone)]
pub struct Numbers {
    name: &'static str,
    members: Vec<(u8, String)>,
}

fn lacks(kind: &str, name: &str) -> Mismatch {
    Mismatch(format!("has no {kind} \"{name}\""))
}

/// A width that differs would cut values off, or have them refused one by one.
fn check_width(what: &str, width: u32, expected: u32) -> Result<(), Mismatch> {
    if width == expected {
        return Ok(());
    }
    Err(Mismatch(format!(
        "has {what} with {width} bits, not {expected}"
    )))
}

impl<'a> Names<'a> {
    /// Searches in `p4info`.
    pub fn new(p4info: &'a P4Info) -> Self {
        Names { p4info }
    }

    /// A table.
    pub fn table(&self, name: &'static str) -> Result<TableNames<'a>, Mismatch> {
        Ok(TableNames {
            p4info: self.p4info,
            table: self
                .p4info
                .table(name)
                .ok_or_else(|| lacks("table", name))?,
            name,
        })
    }

    /// Id and number of cells of a register array of `width`-bit values.
    pub fn register(&self, name: &'static str, width: u32) -> Result<(u32, u32), Mismatch> {
        use flownic_pipeline::p4info::DataTypeSpec;
        let register = (self.p4info.register(name)).ok_or_else(|| lacks("register", name))?;
        let bits = match &register.type_spec {
            Some(DataTypeSpec::Bitstring(bits)) => bits.width(),
            _ => 0,
        };
        check_width(&format!("register \"{name}\""), bits, width)?;
        Ok((register.preamble.id, register.size))
    }

    /// Id and number of cells of a counter array.
    pub fn counter(&self, name: &'static str) -> Result<(u32, u32), Mismatch> {
        let counter = (self.p4info.counter(name)).ok_or_else(|| lacks("counter", name))?;
        let cells = u32::try_from(counter.size).unwrap_or(0);
        Ok((counter.preamble.id, cells))
    }

    /// A header between pipeline and host.
    pub fn packet_header(&self, name: &'static str) -> Result<PacketHeader<'a>, Mismatch> {
        let header = (self.p4info.controller_header(name))
            .ok_or_else(|| lacks("controller header", name))?;
        Ok(PacketHeader { header, name })
    }

    /// Members of a serializable enum of at most 8 bits.
    pub fn numbers(&self, name: &'static str) -> Result<Numbers, Mismatch> {
        let spec: &SerializableEnumSpec = (self.p4info.serializable_enum(name))
            .ok_or_else(|| lacks("serializable enum", name))?;
        let members = (spec.members.iter())
            .map(|member| Some((u8::from_bytes(&member.value)?, member.name.clone())))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Mismatch(format!("has enum \"{name}\" with more than 8 bits")))?;
        Ok(Numbers { name, members })
    }
}

impl TableNames<'_> {
    /// The table's id.
    pub fn reference(&self) -> TableRef {
        TableRef {
            id: self.table.preamble.id,
            name: self.name,
            size: u64::try_from(self.table.size).unwrap_or(0),
        }
    }

    /// A key field of `width` bits.
    pub fn field(&self, name: &'static str, width: u32, kind: Match) -> Result<Field, Mismatch> {
        let what = || format!("key field \"{name}\" of table \"{}\"", self.name);
        let field = (self.table.match_fields.iter())
            .find(|field| field.name == name)
            .ok_or_else(|| Mismatch(format!("has no {}", what())))?;
        let expected = match kind {
            Match::Exact => MatchType::Exact,
            Match::Lpm => MatchType::Lpm,
        };
        if field.match_type != Some(expected) {
            let found = field.match_type;
            return Err(Mismatch(format!(
                "has {} of kind {found:?}, not {kind:?}",
                what()
            )));
        }
        check_width(&what(), field.bitwidth, width)?;
        Ok(Field { id: field.id, name })
    }

    /// An action of this table with exactly these parameters, as (name, bits).
    pub fn action(&self, name: &str, params: &[(&str, u32)]) -> Result<ActionRef, Mismatch> {
        let what = || format!("action \"{name}\" of table \"{}\"", self.name);
        let action = (self.table.action_refs.iter())
            .filter_map(|reference| self.p4info.action_by_id(reference.id))
            .find(|action| is_called(action, name))
            .ok_or_else(|| Mismatch(format!("has no {}", what())))?;
        if action.params.len() != params.len() {
            let (found, expected) = (action.params.len(), params.len());
            let what = what();
            return Err(Mismatch(format!(
                "has {what} with {found} parameters, not {expected}"
            )));
        }
        let mut ids = Vec::with_capacity(params.len());
        for &(param, width) in params {
            let what = || format!("parameter \"{param}\" of {}", what());
            let found = action.param(param);
            let found = found.ok_or_else(|| Mismatch(format!("has no {}", what())))?;
            check_width(&what(), found.bitwidth, width)?;
            ids.push(found.id);
        }
        Ok(ActionRef {
            id: action.preamble.id,
            params: ids,
        })
    }
}

/// `name` is the last part of the action's full name.
fn is_called(action: &Action, name: &str) -> bool {
    action.preamble.name.rsplit('.').next() == Some(name)
}

impl PacketHeader<'_> {
    /// Id of a field of `width` bits.
    pub fn field(&self, name: &'static str, width: u32) -> Result<u32, Mismatch> {
        let what = || format!("field \"{name}\" of controller header \"{}\"", self.name);
        let field = self.header.field(name);
        let field = field.ok_or_else(|| Mismatch(format!("has no {}", what())))?;
        check_width(&what(), field.bitwidth, width)?;
        Ok(field.id)
    }
}

impl Numbers {
    /// Number of a member that the agent needs.
    pub fn number(&self, member: &str) -> Result<u8, Mismatch> {
        self.find(member)
            .ok_or_else(|| Mismatch(format!("has no \"{member}\" in enum \"{}\"", self.name)))
    }

    /// Number of a member.
    pub fn find(&self, member: &str) -> Option<u8> {
        let found = self.members.iter().find(|(_, name)| name == member)?;
        Some(found.0)
    }

    /// Name of a member.
    pub fn name(&self, number: u8) -> Option<&str> {
        let found = self.members.iter().find(|(value, _)| *value == number)?;
        Some(&found.1)
    }
}
