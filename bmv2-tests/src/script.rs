//! Scripts: one statement a line, `#` begins a comment.
//!
//! ```text
//! add TABLE [PRIORITY] FIELD:VALUE … ACTION(PARAMETER:VALUE, …)
//! modify | remove …                   likewise; the action of `remove` is not needed
//! setdefault TABLE ACTION(PARAMETER:VALUE, …)
//! packet PORT HEX…
//! expect PORT [HEX… [$]]              in order on each port; `*` any digit, `$` end of packet
//! no_packet                           no packet may have come out since the last `expect`
//! wait                                until all packets before were handled
//! register_write NAME INDEX VALUE
//! check_register NAME INDEX VALUE
//! check_counter NAME(INDEX) [packets|bytes] == VALUE
//! mc_mgrp_create GROUP
//! mc_node_create INSTANCE PORT…       numbered from 0
//! mc_node_associate GROUP NODE
//! mirroring_add SESSION PORT
//! mirroring_add_mc SESSION GROUP
//! ```
//!
//! Values: decimal, `0x…`, `0b…`; `VALUE/LENGTH` for prefixes, `VALUE&&&MASK` or `*` digits for
//! ternary, `LOW..HIGH` for ranges. Larger priorities win.

use num_bigint::BigUint;

/// A statement and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Line number.
    pub number: usize,
    /// What to do.
    pub statement: Statement,
}

impl Line {
    /// All ports that a script names, in order.
    pub fn ports(script: &[Line]) -> Vec<u16> {
        let mut ports: Vec<u16> = script
            .iter()
            .flat_map(|line| match &line.statement {
                Statement::Packet { port, .. }
                | Statement::Expect { port, .. }
                | Statement::Mirror { port, .. } => vec![*port],
                Statement::Node { ports, .. } => ports.clone(),
                _ => Vec::new(),
            })
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// A table entry is written.
    Entry(EntryKind, Entry),
    /// The default entry is written.
    SetDefault {
        /// Table.
        table: String,
        /// Action.
        action: Call,
    },
    /// A packet comes in.
    Packet {
        /// Port.
        port: u16,
        /// Bytes.
        bytes: Vec<u8>,
    },
    /// A packet must come out; `None`: any number of any packets may.
    Expect {
        /// Port.
        port: u16,
        /// Bytes.
        pattern: Option<Pattern>,
    },
    /// Nothing but the expected packets may have come out.
    NoPacket,
    /// Until all packets before were handled.
    Wait,
    /// A register cell is written.
    RegisterWrite(Cell),
    /// A register cell must have a value.
    CheckRegister(Cell),
    /// A counter cell must have a value.
    CheckCounter {
        /// Counter.
        name: String,
        /// Cell.
        index: u32,
        /// Bytes, not packets.
        bytes: bool,
        /// How the value compares.
        relation: Relation,
        /// With this.
        value: u64,
    },
    /// An empty multicast group.
    Group(u16),
    /// A multicast node: instance and ports.
    Node {
        /// `egress_rid`.
        instance: u16,
        /// Ports.
        ports: Vec<u16>,
    },
    /// A node joins a group.
    Associate {
        /// Group.
        group: u16,
        /// Number of the node, from 0 in the order of creation.
        node: usize,
    },
    /// A clone session to a port.
    Mirror {
        /// Session.
        session: u16,
        /// Port.
        port: u16,
    },
    /// A clone session to a multicast group.
    MirrorGroup {
        /// Session.
        session: u16,
        /// Group.
        group: u16,
    },
    /// Only shows something.
    Show,
}

/// What is done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Inserted.
    Add,
    /// Changed.
    Modify,
    /// Taken out.
    Remove,
}

/// A table entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Table.
    pub table: String,
    /// Larger wins.
    pub priority: Option<i32>,
    /// Field and value.
    pub key: Vec<(String, Value)>,
    /// Action; only `remove` can do without.
    pub action: Option<Call>,
}

/// An action with arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Action.
    pub name: String,
    /// Parameter and value.
    pub arguments: Vec<(String, BigUint)>,
}

/// What a key field must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This.
    Exact(BigUint),
    /// This in its first bits.
    Prefix(BigUint, u32),
    /// This where the mask has ones.
    Ternary(BigUint, BigUint),
    /// Between these.
    Range(BigUint, BigUint),
}

/// A register cell with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Register.
    pub name: String,
    /// Cell.
    pub index: u32,
    /// Value.
    pub value: BigUint,
}

/// How two numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Relation {
    /// Whether it holds.
    pub fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Relation::Equal => left == right,
            Relation::NotEqual => left != right,
            Relation::Less => left < right,
            Relation::LessEqual => left <= right,
            Relation::Greater => left > right,
            Relation::GreaterEqual => left >= right,
        }
    }
}

/// Bytes of an expected packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Half bytes; `None`: any.
    pub digits: Vec<Option<u8>>,
    /// The packet must end here.
    pub exact: bool,
}

impl Pattern {
    /// Whether a packet is as expected.
    pub fn matches(&self, packet: &[u8]) -> bool {
        let length = packet.len() * 2;
        let fits = if self.exact {
            length == self.digits.len()
        } else {
            length >= self.digits.len()
        };
        let digit = |at: usize| {
            if at.is_multiple_of(2) {
                packet[at / 2] >> 4
            } else {
                packet[at / 2] & 15
            }
        };
        fits && self
            .digits
            .iter()
            .enumerate()
            .all(|(at, want)| want.is_none_or(|want| want == digit(at)))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for digit in &self.digits {
            match digit {
                Some(digit) => write!(f, "{digit:x}")?,
                None => write!(f, "*")?,
            }
        }
        f.write_str(if self.exact { "$" } else { "…" })
    }
}

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ScriptError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// Reads a script.
///
/// # Errors
/// The first line that is not understood.
pub fn parse(text: &str) -> Result<Vec<Line>, ScriptError> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let number = at + 1;
        let fail = |what| ScriptError { line: number, what };
        lines.push(Line {
            number,
            statement: statement(line).map_err(fail)?,
        });
    }
    Ok(lines)
}

fn statement(line: &str) -> Result<Statement, String> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let words: Vec<&str> = rest.split_whitespace().collect();
    Ok(match (word.to_ascii_lowercase().as_str(), &words[..]) {
        ("add", _) => Statement::Entry(EntryKind::Add, entry(rest, true)?),
        ("modify", _) => Statement::Entry(EntryKind::Modify, entry(rest, true)?),
        ("remove", _) => Statement::Entry(EntryKind::Remove, entry(rest, false)?),
        ("setdefault", [table, ..]) => {
            let call = rest[table.len()..].trim();
            Statement::SetDefault {
                table: (*table).to_owned(),
                action: self::call(call)?,
            }
        }
        ("packet", [port, data @ ..]) => Statement::Packet {
            port: small(port)?,
            bytes: bytes(&data.concat())?,
        },
        ("expect", [port]) => Statement::Expect {
            port: small(port)?,
            pattern: None,
        },
        ("expect", [port, data @ ..]) => Statement::Expect {
            port: small(port)?,
            pattern: Some(pattern(&data.concat())?),
        },
        ("no_packet", []) => Statement::NoPacket,
        ("wait", []) => Statement::Wait,
        ("register_write", [name, index, value]) => {
            Statement::RegisterWrite(cell(name, index, value)?)
        }
        ("check_register", [name, index, value]) => {
            Statement::CheckRegister(cell(name, index, value)?)
        }
        ("check_counter", _) => check_counter(rest)?,
        ("mc_mgrp_create", [group]) => Statement::Group(small(group)?),
        ("mc_node_create", [instance, ports @ ..]) => Statement::Node {
            instance: small(instance)?,
            ports: ports
                .iter()
                .map(|port| small(port))
                .collect::<Result<_, _>>()?,
        },
        ("mc_node_associate", [group, node]) => Statement::Associate {
            group: small(group)?,
            node: small::<usize>(node)?,
        },
        ("mirroring_add", [session, port]) => Statement::Mirror {
            session: small(session)?,
            port: small(port)?,
        },
        ("mirroring_add_mc", [session, group]) => Statement::MirrorGroup {
            session: small(session)?,
            group: small(group)?,
        },
        ("mirroring_get" | "register_read" | "counter_read" | "meter_get_rates", _) => {
            Statement::Show
        }
        _ => return Err(format!("{line:?} is not understood")),
    })
}

/// `TABLE [PRIORITY] FIELD:VALUE … ACTION(…)`
fn entry(text: &str, needs_action: bool) -> Result<Entry, String> {
    // An action is the only thing with parentheses; a handle `= $x` may follow it.
    let text = text.split(" = ").next().unwrap_or(text).trim();
    let (front, action) = match text.find('(') {
        None if needs_action => return Err("the action is missing".into()),
        None => (text, None),
        Some(open) => {
            let start = text[..open]
                .trim_end()
                .rfind(char::is_whitespace)
                .map_or(0, |at| at + 1);
            (&text[..start], Some(call(&text[start..])?))
        }
    };
    let mut words = front.split_whitespace().peekable();
    let table = words.next().ok_or("the table is missing")?.to_owned();
    let priority = words.next_if(|word| !word.contains(':'));
    let priority = priority.map(small::<i32>).transpose()?;
    let mut key = Vec::new();
    for word in words {
        let (field, value) = word
            .split_once(':')
            .ok_or(format!("{word:?} is no FIELD:VALUE"))?;
        key.push((field.to_owned(), self::value(value)?));
    }
    Ok(Entry {
        table,
        priority,
        key,
        action,
    })
}

/// `ACTION(PARAMETER:VALUE, …)`
fn call(text: &str) -> Result<Call, String> {
    let wrong = || format!("{text:?} is no ACTION(PARAMETER:VALUE, …)");
    let (name, rest) = text.split_once('(').ok_or_else(wrong)?;
    let inner = rest.trim_end().strip_suffix(')').ok_or_else(wrong)?;
    let mut arguments = Vec::new();
    for argument in inner
        .split(',')
        .map(str::trim)
        .filter(|argument| !argument.is_empty())
    {
        let (name, value) = argument.split_once(':').ok_or_else(wrong)?;
        arguments.push((name.trim().to_owned(), number(value.trim())?));
    }
    Ok(Call {
        name: name.trim().to_owned(),
        arguments,
    })
}

/// Base and bits of a digit.
fn base(text: &str) -> (&str, u32, u32) {
    match text.get(..2) {
        Some("0x" | "0X") => (&text[2..], 16, 4),
        Some("0b" | "0B") => (&text[2..], 2, 1),
        Some("0o" | "0O") => (&text[2..], 8, 3),
        _ => (text, 10, 0),
    }
}

fn number(text: &str) -> Result<BigUint, String> {
    let (digits, radix, _) = base(text);
    BigUint::parse_bytes(digits.replace('_', "").as_bytes(), radix)
        .ok_or(format!("{text:?} is no number"))
}

fn small<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let value = number(text)?;
    let value = u64::try_from(&value)
        .ok()
        .and_then(|value| T::try_from(value).ok());
    value.ok_or(format!("{text:?} is too large"))
}

fn value(text: &str) -> Result<Value, String> {
    if let Some((value, mask)) = text.split_once("&&&") {
        return Ok(Value::Ternary(number(value)?, number(mask)?));
    }
    if let Some((low, high)) = text.split_once("..") {
        return Ok(Value::Range(number(low)?, number(high)?));
    }
    if let Some((value, length)) = text.split_once('/') {
        return Ok(Value::Prefix(number(value)?, small(length)?));
    }
    if text.contains('*') {
        let (digits, radix, bits) = base(text);
        if bits == 0 {
            return Err(format!("{text:?}: * stands for a digit after 0x or 0b"));
        }
        let ones = char::from_digit((1 << bits) - 1, radix).unwrap_or('1');
        let mask: String = digits
            .chars()
            .map(|c| if c == '*' { '0' } else { ones })
            .collect();
        let parse = |digits: &str| {
            BigUint::parse_bytes(digits.as_bytes(), radix).ok_or(format!("{text:?} is no number"))
        };
        return Ok(Value::Ternary(
            parse(&digits.replace('*', "0"))?,
            parse(&mask)?,
        ));
    }
    Ok(Value::Exact(number(text)?))
}

fn cell(name: &str, index: &str, value: &str) -> Result<Cell, String> {
    Ok(Cell {
        name: name.to_owned(),
        index: small(index)?,
        value: number(value)?,
    })
}

/// `NAME(INDEX) [packets|bytes] == VALUE`
fn check_counter(text: &str) -> Result<Statement, String> {
    let wrong = || format!("{text:?} is no NAME(INDEX) [packets|bytes] == VALUE");
    let (name, rest) = text.split_once('(').ok_or_else(wrong)?;
    let (index, rest) = rest.split_once(')').ok_or_else(wrong)?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (bytes, relation, value) = match words[..] {
        ["bytes", relation, value] => (true, relation, value),
        ["packets", relation, value] | [relation, value] => (false, relation, value),
        _ => return Err(wrong()),
    };
    let relation = match relation {
        "==" => Relation::Equal,
        "!=" => Relation::NotEqual,
        "<" => Relation::Less,
        "<=" => Relation::LessEqual,
        ">" => Relation::Greater,
        ">=" => Relation::GreaterEqual,
        _ => return Err(wrong()),
    };
    Ok(Statement::CheckCounter {
        name: name.trim().to_owned(),
        index: small(index.trim())?,
        bytes,
        relation,
        value: small(value)?,
    })
}

fn bytes(digits: &str) -> Result<Vec<u8>, String> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("a packet is an even number of hexadecimal digits".into());
    }
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
    let (pairs, _) = digits.as_bytes().as_chunks::<2>();
    Ok(pairs
        .iter()
        .map(|[high, low]| value(*high) << 4 | value(*low))
        .collect())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let (text, exact) = match text.strip_suffix('$') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut digits = Vec::new();
    for digit in text.chars() {
        digits.push(match digit {
            '*' => None,
            _ => Some(digit.to_digit(16).ok_or(format!("{digit:?} is no digit"))? as u8),
        });
    }
    Ok(Pattern { digits, exact })
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
