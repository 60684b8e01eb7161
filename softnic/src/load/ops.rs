//! Actions and their primitives.

use super::Symbols;
use super::expr::{Reader, Typed};
use super::json::{Json, LoadError};
use super::layout::FieldRef;
use crate::program::{Action, Arith, Bits, Expr, HeaderRef, Op, Place};

/// An action.
pub(crate) fn action(json: &Json<'_>, symbols: &Symbols) -> Result<Action, LoadError> {
    let (mut params, mut at) = (Vec::new(), 0);
    for param in json.list("runtime_data")? {
        let width = param.get("bitwidth")?.number(1 << 16)? as u32;
        let bytes = width.div_ceil(8);
        params.push(Bits {
            at,
            bytes,
            shift: 0,
            width,
            signed: false,
        });
        at += bytes;
    }
    let ops = primitives(&json.list("primitives")?, symbols, &params)?;
    let name = json.get("name")?.str()?.to_owned();
    Ok(Action {
        name,
        params,
        data_bytes: at,
        ops,
    })
}

/// Primitives of an action with these parameters.
pub(crate) fn primitives(
    list: &[Json<'_>],
    symbols: &Symbols,
    params: &[Bits],
) -> Result<Vec<Op>, LoadError> {
    let reader = Reader { symbols, params };
    let mut ops = Vec::with_capacity(list.len());
    for json in list {
        ops.push(match json.get("op")?.str()? {
            "_jump" => Op::Jump(jump(json, &json.list("parameters")?, 0, list.len())?),
            "_jump_if_zero" => {
                let parameters = json.list("parameters")?;
                let value = reader.exact(nth(json, &parameters, 0)?)?;
                Op::JumpIfZero {
                    value,
                    to: jump(json, &parameters, 1, list.len())?,
                }
            }
            _ => primitive(json, reader)?,
        });
    }
    Ok(ops)
}

/// Where a jump goes: at most to the end.
fn jump(
    json: &Json<'_>,
    parameters: &[Json<'_>],
    position: usize,
    end: usize,
) -> Result<u32, LoadError> {
    let target = nth(json, parameters, position)?;
    match usize::try_from(&target.get("value")?.hex()?) {
        Ok(to) if to <= end => Ok(to as u32),
        _ => target.fail(format!("a jump goes from 0 to {end}")),
    }
}

fn nth<'a, 'b>(
    json: &Json<'_>,
    parameters: &'b [Json<'a>],
    at: usize,
) -> Result<&'b Json<'a>, LoadError> {
    parameters
        .get(at)
        .ok_or_else(|| json.error(format!("parameter {at} is missing")))
}

/// One primitive that is no jump.
pub(crate) fn primitive(json: &Json<'_>, reader: Reader<'_>) -> Result<Op, LoadError> {
    let name = json.get("op")?;
    let parameters = json.list("parameters")?;
    let nth = |at| nth(json, &parameters, at);
    let symbols = reader.symbols;
    Ok(match name.str()? {
        "assign" | "modify_field" => assign(nth(0)?, nth(1)?, reader)?,
        "assign_VL" => Op::CopyVarbit {
            to: varbit(nth(0)?, symbols)?,
            from: varbit(nth(1)?, symbols)?,
        },
        "assign_header" | "copy_header" => copy_header(nth(0)?, nth(1)?, reader)?,
        "assign_header_stack" => copy_stack(nth(0)?, nth(1)?, reader)?,
        "add_header" => Op::SetValid(reader.header(nth(0)?)?),
        "remove_header" => Op::SetInvalid(reader.header(nth(0)?)?),
        "push" => Op::Push {
            stack: stack(nth(0)?, reader)?,
            count: reader.exact(nth(1)?)?,
        },
        "pop" => Op::Pop {
            stack: stack(nth(0)?, reader)?,
            count: reader.exact(nth(1)?)?,
        },
        "mark_to_drop" | "drop" => Op::MarkToDrop,
        "count" => {
            let array = nth(0)?.get("value")?;
            let Some(&counter) = symbols.counters.get(array.str()?) else {
                return array.fail("there is no such counter");
            };
            Op::Count {
                counter,
                index: reader.exact(nth(1)?)?,
            }
        }
        "register_read" => {
            let register = reader.register(&nth(1)?.get("value")?)?;
            let (to, _) = reader.place(nth(0)?)?;
            Op::RegisterRead {
                to,
                register,
                index: reader.exact(nth(2)?)?,
            }
        }
        "register_write" => {
            let register = reader.register(&nth(0)?.get("value")?)?;
            let width = symbols.register_widths[usize::from(register)];
            let index = reader.exact(nth(1)?)?;
            Op::RegisterWrite {
                register,
                index,
                value: reader.assigned(nth(2)?, width)?,
            }
        }
        "modify_field_with_hash_based_offset" => {
            let array = nth(2)?.get("value")?;
            let Some(&calculation) = symbols.calculations.get(array.str()?) else {
                return array.fail("there is no such calculation");
            };
            let (to, _) = reader.place(nth(0)?)?;
            let (base, size) = (reader.exact(nth(1)?)?, reader.exact(nth(3)?)?);
            Op::Hash {
                to,
                base,
                calculation,
                size,
            }
        }
        "modify_field_rng_uniform" => {
            let (to, _) = reader.place(nth(0)?)?;
            Op::Random {
                to,
                low: reader.exact(nth(1)?)?,
                high: reader.exact(nth(2)?)?,
            }
        }
        "execute_meter" => {
            let array = nth(0)?.get("value")?;
            if !symbols.meters.contains_key(array.str()?) {
                return array.fail("there is no such meter");
            }
            Op::Meter {
                to: reader.place(nth(2)?)?.0,
            }
        }
        "clone_ingress_pkt_to_egress" | "clone_egress_pkt_to_egress" => {
            let session = reader.exact(nth(0)?)?;
            Op::Clone {
                session,
                fields: field_list(nth(1)?, symbols)?,
            }
        }
        "resubmit" => Op::Resubmit {
            fields: field_list(nth(0)?, symbols)?,
        },
        "recirculate" => Op::Recirculate {
            fields: field_list(nth(0)?, symbols)?,
        },
        "generate_digest" => Op::Digest,
        "truncate" => Op::Truncate {
            bytes: reader.exact(nth(0)?)?,
        },
        "exit" => Op::Exit,
        "assert" | "assume" => Op::Assert(truth_or_data(nth(0)?, reader)?),
        "log_msg" => log(nth(0)?, nth(1)?, reader)?,
        "no_op" => Op::Nothing,
        other => return name.fail(format!("primitive {other:?} is not supported")),
    })
}

/// `to = value`.
pub(crate) fn assign(to: &Json<'_>, value: &Json<'_>, reader: Reader<'_>) -> Result<Op, LoadError> {
    let (place, width) = reader.place(to)?;
    let value = reader.assigned(value, width)?;
    Ok(match (place, value) {
        (
            Place::Field(to),
            Arith {
                expr: Expr::Field(from),
                ..
            },
        ) if to.is_aligned() && from.is_aligned() && to.bytes == from.bytes => Op::CopyBytes {
            to: to.at,
            from: from.at,
            bytes: to.bytes,
        },
        (to, value) => Op::Assign { to, value },
    })
}

/// The header whose variable-length field is named.
fn varbit(json: &Json<'_>, symbols: &Symbols) -> Result<u16, LoadError> {
    match symbols.layout.field(&json.get("value")?)? {
        FieldRef::Varbit(header) => Ok(header),
        _ => json.fail("a variable-length field is expected"),
    }
}

fn copy_header(to: &Json<'_>, from: &Json<'_>, reader: Reader<'_>) -> Result<Op, LoadError> {
    let (target, source) = (reader.header(to)?, reader.header(from)?);
    same_type(to, reader, &target, &source)?;
    Ok(Op::CopyHeader {
        to: target,
        from: source,
    })
}

fn same_type(
    json: &Json<'_>,
    reader: Reader<'_>,
    a: &HeaderRef,
    b: &HeaderRef,
) -> Result<(), LoadError> {
    let headers = &reader.symbols.layout.headers;
    let kind = |header| headers[usize::from(reader.example(header))].kind;
    match kind(a) == kind(b) {
        true => Ok(()),
        false => json.fail("the headers are of different types"),
    }
}

fn copy_stack(to: &Json<'_>, from: &Json<'_>, reader: Reader<'_>) -> Result<Op, LoadError> {
    let (target, source) = (stack(to, reader)?, stack(from, reader)?);
    let stacks = &reader.symbols.layout.stacks;
    let (a, b) = (
        &stacks[usize::from(target)].headers,
        &stacks[usize::from(source)].headers,
    );
    if a.len() != b.len() {
        return to.fail("the stacks are of different sizes");
    }
    same_type(to, reader, &HeaderRef::Fixed(a[0]), &HeaderRef::Fixed(b[0]))?;
    Ok(Op::CopyStack {
        to: target,
        from: source,
    })
}

fn stack(json: &Json<'_>, reader: Reader<'_>) -> Result<u16, LoadError> {
    match reader.typed(json, 0)? {
        Typed::Stack(stack) => Ok(stack),
        _ => json.fail("a header stack is expected"),
    }
}

/// The list of an id; 0 is "none".
fn field_list(json: &Json<'_>, symbols: &Symbols) -> Result<Option<u16>, LoadError> {
    let value = json.get("value")?;
    let id = u64::try_from(&value.hex()?).map_err(|_| value.error("an id is expected"))?;
    match symbols.field_lists.get(&id) {
        Some(&list) => Ok(Some(list)),
        None if id == 0 => Ok(None),
        None => value.fail("there is no field list with this id"),
    }
}

/// `assert` takes either.
fn truth_or_data(json: &Json<'_>, reader: Reader<'_>) -> Result<Arith, LoadError> {
    match reader.typed(json, 0)? {
        Typed::Bool(value) => Ok(Arith {
            expr: Expr::FromBool(Box::new(value)),
            wide: false,
        }),
        _ => reader.exact(json),
    }
}

fn log(format: &Json<'_>, values: &Json<'_>, reader: Reader<'_>) -> Result<Op, LoadError> {
    let format = format.get("value")?.str()?.to_owned();
    let values = values.get("value")?.items()?;
    let values = values
        .iter()
        .map(|value| reader.exact(value))
        .collect::<Result<_, _>>()?;
    Ok(Op::Log { format, values })
}
