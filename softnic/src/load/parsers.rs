//! Parsers.

use std::collections::HashMap;

use super::Symbols;
use super::expr::Reader;
use super::json::{Json, LoadError};
use super::layout::FieldRef;
use super::ops;
use crate::program::{Arith, Expr, KeyPart, ParserOp, ParserState, Transition};

/// States and the one to begin with.
pub(crate) struct Parser {
    pub(crate) states: Vec<ParserState>,
    pub(crate) start: Option<u16>,
}

/// Loads the parser; `simple_switch` has one.
pub(crate) fn load(root: &Json<'_>, symbols: &Symbols) -> Result<Parser, LoadError> {
    let parsers = root.list("parsers")?;
    let Some(parser) = parsers.first() else {
        return Ok(Parser {
            states: Vec::new(),
            start: None,
        });
    };
    let list = parser.list("parse_states")?;
    let mut names = HashMap::new();
    for (at, state) in list.iter().enumerate() {
        let name = state.get("name")?;
        let Ok(at) = u16::try_from(at) else {
            return state.fail("more than 65536 states");
        };
        if names.insert(name.str()?, at).is_some() {
            return name.fail("another state has this name");
        }
    }
    let states = list.iter().map(|json| state(json, symbols, &names));
    let states = states.collect::<Result<_, _>>()?;
    let start = parser
        .opt("init_state")
        .map(|name| find(&name, &names))
        .transpose()?;
    Ok(Parser { states, start })
}

fn find(name: &Json<'_>, names: &HashMap<&str, u16>) -> Result<u16, LoadError> {
    names
        .get(name.str()?)
        .copied()
        .ok_or_else(|| name.error("there is no such state"))
}

fn state(
    json: &Json<'_>,
    symbols: &Symbols,
    names: &HashMap<&str, u16>,
) -> Result<ParserState, LoadError> {
    let ops = json.list("parser_ops")?;
    let ops = ops
        .iter()
        .map(|op| parser_op(op, symbols))
        .collect::<Result<_, _>>()?;
    let key = json.list("transition_key")?;
    let key: Vec<KeyPart> = key
        .iter()
        .map(|part| key_part(part, symbols))
        .collect::<Result<_, _>>()?;
    let bytes = key
        .iter()
        .map(|part| part.width().div_ceil(8) as usize)
        .sum();
    let (mut transitions, mut default) = (Vec::new(), None);
    for transition in json.list("transitions")? {
        let next = transition
            .opt("next_state")
            .map(|name| find(&name, names))
            .transpose()?;
        let kind = transition.opt("type");
        match kind.as_ref().map_or(Ok("hexstr"), Json::str)? {
            "default" => default = next,
            "hexstr" => transitions.push(select(&transition, bytes, next)?),
            // A value set is empty until somebody writes it, and nobody can yet.
            "parse_vset" => {}
            other => return transition.fail(format!("transition of type {other:?}")),
        }
    }
    Ok(ParserState {
        ops,
        key,
        transitions,
        default,
    })
}

fn select(json: &Json<'_>, bytes: usize, next: Option<u16>) -> Result<Transition, LoadError> {
    let mut value = json.get("value")?.hex_bytes(bytes)?;
    let mask = json
        .opt("mask")
        .map(|mask| mask.hex_bytes(bytes))
        .transpose()?;
    if let Some(mask) = &mask {
        for (value, mask) in value.iter_mut().zip(mask) {
            *value &= mask;
        }
    }
    Ok(Transition { value, mask, next })
}

fn key_part(json: &Json<'_>, symbols: &Symbols) -> Result<KeyPart, LoadError> {
    let (kind, value) = (json.get("type")?, json.get("value")?);
    Ok(match kind.str()? {
        "field" => match symbols.layout.field(&value)? {
            FieldRef::Bits(bits) => KeyPart::Field(bits),
            FieldRef::Valid(header) => KeyPart::Valid(header),
            FieldRef::Varbit(_) => return value.fail("a variable-length field is no key"),
        },
        "stack_field" => {
            let (stack, field, bits) = symbols.layout.stack_field(&value)?;
            KeyPart::StackLast {
                stack,
                field,
                width: bits.width,
            }
        }
        "lookahead" => {
            let (offset, width) = lookahead(&value)?;
            KeyPart::Lookahead { offset, width }
        }
        other => return kind.fail(format!("{other:?} is not supported as a key")),
    })
}

/// Offset and width, bits.
fn lookahead(json: &Json<'_>) -> Result<(u32, u32), LoadError> {
    let (offset, width) = json.pair()?;
    Ok((
        offset.number(1 << 20)? as u32,
        width.number(1 << 16)? as u32,
    ))
}

fn parser_op(json: &Json<'_>, symbols: &Symbols) -> Result<ParserOp, LoadError> {
    let reader = Reader {
        symbols,
        params: &[],
    };
    let name = json.get("op")?;
    let parameters = json.list("parameters")?;
    let nth = |at: usize| {
        parameters
            .get(at)
            .ok_or_else(|| json.error(format!("parameter {at} is missing")))
    };
    Ok(match name.str()? {
        "extract" => extract(json, nth(0)?, None, symbols)?,
        "extract_VL" => extract(json, nth(0)?, Some(reader.exact(nth(1)?)?), symbols)?,
        "set" => set(nth(0)?, nth(1)?, reader)?,
        "verify" => ParserOp::Verify {
            condition: reader.truth(nth(0)?)?,
            error: reader.exact(nth(1)?)?,
        },
        "advance" => ParserOp::Advance {
            bits: reader.exact(nth(0)?)?,
        },
        "shift" => {
            let bytes = nth(0)?.number(1 << 20)?;
            ParserOp::Advance {
                bits: Arith {
                    expr: Expr::Const(u128::from(bytes) * 8),
                    wide: false,
                },
            }
        }
        "primitive" => ParserOp::Run(ops::primitive(nth(0)?, reader)?),
        other => return name.fail(format!("parser operation {other:?} is not supported")),
    })
}

fn extract(
    json: &Json<'_>,
    what: &Json<'_>,
    bits: Option<Arith>,
    symbols: &Symbols,
) -> Result<ParserOp, LoadError> {
    let (kind, value) = (what.get("type")?, what.get("value")?);
    let layout = &symbols.layout;
    let (header, op) = match (kind.str()?, bits) {
        ("regular", None) => {
            let header = layout.header(&value)?;
            (header, ParserOp::Extract(header))
        }
        ("regular", Some(bits)) => {
            let header = layout.header(&value)?;
            (header, ParserOp::ExtractVarbit { header, bits })
        }
        ("stack", bits) => {
            let stack = layout.stack(&value)?;
            let op = match bits {
                None => ParserOp::ExtractNext(stack),
                Some(bits) => ParserOp::ExtractNextVarbit { stack, bits },
            };
            (layout.stacks[usize::from(stack)].headers[0], op)
        }
        (other, _) => return kind.fail(format!("extracting to {other:?} is not supported")),
    };
    let header = &layout.headers[usize::from(header)];
    let with_length = matches!(
        op,
        ParserOp::ExtractVarbit { .. } | ParserOp::ExtractNextVarbit { .. }
    );
    if header.metadata {
        return json.fail(format!("{} is metadata", header.name));
    }
    match (with_length, header.varbit.is_some()) {
        (false, true) => json.fail(format!("header {} needs a length", header.name)),
        (true, false) => json.fail(format!("header {} has no variable length", header.name)),
        _ => Ok(op),
    }
}

fn set(to: &Json<'_>, value: &Json<'_>, reader: Reader<'_>) -> Result<ParserOp, LoadError> {
    if value.get("type")?.str()? == "lookahead" {
        let (offset, width) = lookahead(&value.get("value")?)?;
        let (to, target) = reader.place(to)?;
        if target != width && width > 128 {
            return value.fail("a look-ahead of more than 128 bits needs a field of its width");
        }
        return Ok(ParserOp::SetLookahead { to, offset, width });
    }
    if let FieldRef::Varbit(to) = field_of(to, reader)? {
        return match field_of(value, reader)? {
            FieldRef::Varbit(from) => {
                Ok(ParserOp::Run(crate::program::Op::CopyVarbit { to, from }))
            }
            _ => value.fail("a variable-length field is expected"),
        };
    }
    ops::assign(to, value, reader).map(ParserOp::Run)
}

/// What a parameter of type `field` means.
fn field_of(json: &Json<'_>, reader: Reader<'_>) -> Result<FieldRef, LoadError> {
    match json.get("type")?.str()? {
        "field" => reader.symbols.layout.field(&json.get("value")?),
        _ => {
            // Anything else is no variable-length field; `assign` says what is wrong with it.
            let none = crate::program::Bits {
                at: 0,
                bytes: 0,
                shift: 0,
                width: 0,
                signed: false,
            };
            Ok(FieldRef::Bits(none))
        }
    }
}
