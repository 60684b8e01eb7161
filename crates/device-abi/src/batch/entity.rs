//! Codec of `flownic_pipeline::entity`.

use alloc::string::String;
use alloc::vec::Vec;

use flownic_pipeline::entity::{
    Action, Atomicity, Code, CounterData, Entity, FieldMatch, MatchValue, TableEntry, Update,
    UpdateError, UpdateKind,
};

use super::{Cursor, ItemWriter, Malformed, Reader, Reason, Unwritable, Writer};
use crate::admin::atomicity;

const ENTITY_ENTRY: u8 = 1;
const ENTITY_REGISTER: u8 = 2;
const ENTITY_COUNTER: u8 = 3;

const FLAG_DEFAULT: u8 = 1 << 0;
const FLAG_ACTION: u8 = 1 << 1;
const FLAG_COUNTER: u8 = 1 << 2;
const FLAGS: u8 = FLAG_DEFAULT | FLAG_ACTION | FLAG_COUNTER;

const MATCH_EXACT: u8 = 1;
const MATCH_LPM: u8 = 2;
const MATCH_TERNARY: u8 = 3;
const MATCH_RANGE: u8 = 4;
const MATCH_OPTIONAL: u8 = 5;

/// Longest message of a result, bytes; a longer one is cut.
pub const MESSAGE_LEN: usize = 512;

/// Longest result, bytes: what an output buffer must have for each update of a batch, after
/// [`super::EMPTY_LEN`], so that no result is lost.
pub const RESULT_LEN: usize = 4 + 4 + 2 + MESSAGE_LEN;

/// Code of an atomicity class in a command's flags.
pub fn atomicity_code(class: Atomicity) -> u32 {
    match class {
        Atomicity::ContinueOnError => atomicity::CONTINUE_ON_ERROR,
        Atomicity::RollbackOnError => atomicity::ROLLBACK_ON_ERROR,
        Atomicity::DataplaneAtomic => atomicity::DATAPLANE_ATOMIC,
    }
}

/// Atomicity class of a code.
pub fn atomicity_from_code(code: u32) -> Option<Atomicity> {
    match code {
        atomicity::CONTINUE_ON_ERROR => Some(Atomicity::ContinueOnError),
        atomicity::ROLLBACK_ON_ERROR => Some(Atomicity::RollbackOnError),
        atomicity::DATAPLANE_ATOMIC => Some(Atomicity::DataplaneAtomic),
        _ => None,
    }
}

fn code_from_u32(code: u32) -> Option<Code> {
    const ALL: [Code; 8] = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::Aborted,
        Code::Unimplemented,
        Code::Internal,
    ];
    ALL.into_iter().find(|&known| known as u32 == code)
}

impl Writer {
    /// Adds an update.
    pub fn update(&mut self, update: &Update) -> Result<(), Unwritable> {
        self.item(|item| {
            item.u8(match update.kind {
                UpdateKind::Insert => 1,
                UpdateKind::Modify => 2,
                UpdateKind::Delete => 3,
            });
            item.entity(&update.entity)
        })
    }

    /// Adds a table entry.
    pub fn entry(&mut self, entry: &TableEntry) -> Result<(), Unwritable> {
        self.item(|item| item.entry(entry))
    }

    /// Adds the result of an update; a message is cut after [`MESSAGE_LEN`] bytes.
    pub fn result(&mut self, result: &Result<(), UpdateError>) -> Result<(), Unwritable> {
        self.item(|item| match result {
            Ok(()) => {
                item.u32(0);
                Ok(())
            }
            Err(error) => {
                item.u32(error.code as u32);
                let end = error.message.floor_char_boundary(MESSAGE_LEN);
                item.bytes(&error.message.as_bytes()[..end])
            }
        })
    }
}

impl ItemWriter<'_> {
    fn entity(&mut self, entity: &Entity) -> Result<(), Unwritable> {
        match entity {
            Entity::TableEntry(entry) => {
                self.u8(ENTITY_ENTRY);
                self.entry(entry)
            }
            Entity::Register {
                register,
                index,
                value,
            } => {
                self.u8(ENTITY_REGISTER);
                self.u32(*register);
                self.u32(*index);
                self.bytes(value)
            }
            Entity::Counter {
                counter,
                index,
                data,
            } => {
                self.u8(ENTITY_COUNTER);
                self.u32(*counter);
                self.u32(*index);
                self.counter(data);
                Ok(())
            }
        }
    }

    fn entry(&mut self, entry: &TableEntry) -> Result<(), Unwritable> {
        let flag = |set, flag| if set { flag } else { 0 };
        self.u32(entry.table);
        self.u32(entry.priority.cast_unsigned());
        self.u8(flag(entry.is_default, FLAG_DEFAULT)
            | flag(entry.action.is_some(), FLAG_ACTION)
            | flag(entry.counter.is_some(), FLAG_COUNTER));
        self.u16(entry.matches.len())?;
        for field in &entry.matches {
            self.field(field)?;
        }
        if let Some(action) = &entry.action {
            self.u32(action.id);
            self.u16(action.params.len())?;
            for (id, value) in &action.params {
                self.u32(*id);
                self.bytes(value)?;
            }
        }
        if let Some(counter) = &entry.counter {
            self.counter(counter);
        }
        Ok(())
    }

    fn field(&mut self, field: &FieldMatch) -> Result<(), Unwritable> {
        self.u32(field.field);
        match &field.value {
            MatchValue::Exact(value) => {
                self.u8(MATCH_EXACT);
                self.bytes(value)
            }
            MatchValue::Lpm { value, prefix_len } => {
                self.u8(MATCH_LPM);
                self.bytes(value)?;
                self.u32(*prefix_len);
                Ok(())
            }
            MatchValue::Ternary { value, mask } => {
                self.u8(MATCH_TERNARY);
                self.bytes(value)?;
                self.bytes(mask)
            }
            MatchValue::Range { low, high } => {
                self.u8(MATCH_RANGE);
                self.bytes(low)?;
                self.bytes(high)
            }
            MatchValue::Optional(value) => {
                self.u8(MATCH_OPTIONAL);
                self.bytes(value)
            }
        }
    }

    fn counter(&mut self, data: &CounterData) {
        self.u64(data.packets);
        self.u64(data.bytes);
    }
}

impl Reader<'_> {
    /// Next update; `None` at the end.
    pub fn update(&mut self) -> Result<Option<Update>, Malformed> {
        let Some(mut item) = self.item()? else {
            return Ok(None);
        };
        let kind = item.code(|code| match code {
            1 => Some(UpdateKind::Insert),
            2 => Some(UpdateKind::Modify),
            3 => Some(UpdateKind::Delete),
            _ => None,
        })?;
        let entity = item.entity()?;
        item.end()?;
        Ok(Some(Update { kind, entity }))
    }

    /// Next table entry; `None` at the end.
    pub fn entry(&mut self) -> Result<Option<TableEntry>, Malformed> {
        let Some(mut item) = self.item()? else {
            return Ok(None);
        };
        let entry = item.entry()?;
        item.end()?;
        Ok(Some(entry))
    }

    /// Next result; `None` at the end.
    pub fn result(&mut self) -> Result<Option<Result<(), UpdateError>>, Malformed> {
        let Some(mut item) = self.item()? else {
            return Ok(None);
        };
        let offset = item.offset;
        let code = item.u32()?;
        let result = if code == 0 {
            Ok(())
        } else {
            let Some(code) = code_from_u32(code) else {
                return item.fail(offset, Reason::UnknownCode);
            };
            let offset = item.offset;
            let Ok(message) = core::str::from_utf8(item.bytes()?) else {
                return item.fail(offset, Reason::NotText);
            };
            Err(UpdateError {
                code,
                message: String::from(message),
            })
        };
        item.end()?;
        Ok(Some(result))
    }
}

impl Cursor<'_> {
    fn entity(&mut self) -> Result<Entity, Malformed> {
        let entity = self.code(|code| {
            (ENTITY_ENTRY..=ENTITY_COUNTER)
                .contains(&code)
                .then_some(code)
        })?;
        Ok(match entity {
            ENTITY_ENTRY => Entity::TableEntry(self.entry()?),
            ENTITY_REGISTER => Entity::Register {
                register: self.u32()?,
                index: self.u32()?,
                value: self.bytes()?.to_vec(),
            },
            _ => Entity::Counter {
                counter: self.u32()?,
                index: self.u32()?,
                data: self.counter()?,
            },
        })
    }

    fn entry(&mut self) -> Result<TableEntry, Malformed> {
        let table = self.u32()?;
        let priority = self.u32()?.cast_signed();
        let flags = self.code(|flags| (flags & !FLAGS == 0).then_some(flags))?;
        let matches = (0..self.u16()?)
            .map(|_| self.field())
            .collect::<Result<_, _>>()?;
        let action = if flags & FLAG_ACTION != 0 {
            Some(self.action()?)
        } else {
            None
        };
        let counter = if flags & FLAG_COUNTER != 0 {
            Some(self.counter()?)
        } else {
            None
        };
        let is_default = flags & FLAG_DEFAULT != 0;
        Ok(TableEntry {
            table,
            matches,
            priority,
            action,
            is_default,
            counter,
        })
    }

    fn field(&mut self) -> Result<FieldMatch, Malformed> {
        let field = self.u32()?;
        let kind = self.code(|code| {
            (MATCH_EXACT..=MATCH_OPTIONAL)
                .contains(&code)
                .then_some(code)
        })?;
        let value = self.bytes()?.to_vec();
        let value = match kind {
            MATCH_EXACT => MatchValue::Exact(value),
            MATCH_LPM => MatchValue::Lpm {
                value,
                prefix_len: self.u32()?,
            },
            MATCH_TERNARY => MatchValue::Ternary {
                value,
                mask: self.bytes()?.to_vec(),
            },
            MATCH_RANGE => MatchValue::Range {
                low: value,
                high: self.bytes()?.to_vec(),
            },
            _ => MatchValue::Optional(value),
        };
        Ok(FieldMatch { field, value })
    }

    fn action(&mut self) -> Result<Action, Malformed> {
        let id = self.u32()?;
        let params = (0..self.u16()?)
            .map(|_| Ok((self.u32()?, self.bytes()?.to_vec())))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Action { id, params })
    }

    fn counter(&mut self) -> Result<CounterData, Malformed> {
        Ok(CounterData {
            packets: self.u64()?,
            bytes: self.u64()?,
        })
    }
}
