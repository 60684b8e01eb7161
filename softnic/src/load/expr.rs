//! Expressions.

use num_bigint::{BigInt, Sign};

use super::Symbols;
use super::json::{Json, LoadError};
use super::layout::FieldRef;
use super::range::Range;
use crate::program::{
    Arith, BinaryOp, Bits, BoolExpr, Compare, CompareAs, Expr, HeaderId, HeaderRef, Place,
};

/// Operations inside of operations, at most.
const MAX_DEPTH: usize = 400;

/// Shift amounts and widths of casts, at most.
const MAX_WIDTH: u64 = 1 << 16;

/// An expression of any type.
#[derive(Debug, Clone)]
pub(crate) enum Typed {
    Data(Expr, Range),
    Bool(BoolExpr),
    Header(HeaderRef),
    Stack(u16),
    Union(Vec<HeaderId>),
    /// The variable-length field of a header.
    Varbit(HeaderId),
}

impl Typed {
    fn name(&self) -> &'static str {
        match self {
            Typed::Data(..) => "an integer",
            Typed::Bool(_) => "a truth value",
            Typed::Header(_) => "a header",
            Typed::Stack(_) => "a header stack",
            Typed::Union(_) => "a header union",
            Typed::Varbit(_) => "a variable-length field",
        }
    }
}

/// Reads expressions in one context.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) symbols: &'a Symbols,
    /// Parameters of the action.
    pub(crate) params: &'a [Bits],
}

impl Reader<'_> {
    /// An integer that is assigned to `width` bits.
    pub(crate) fn assigned(&self, json: &Json<'_>, width: u32) -> Result<Arith, LoadError> {
        let (expr, range) = self.data(json, 0)?;
        Ok(Arith {
            expr,
            wide: width > 128 || !range.low,
        })
    }

    /// An integer whose whole value matters.
    pub(crate) fn exact(&self, json: &Json<'_>) -> Result<Arith, LoadError> {
        let (expr, range) = self.data(json, 0)?;
        Ok(Arith {
            expr,
            wide: !range.exact(),
        })
    }

    /// A truth value.
    pub(crate) fn truth(&self, json: &Json<'_>) -> Result<BoolExpr, LoadError> {
        match self.typed(json, 0)? {
            Typed::Bool(value) => Ok(value),
            other => json.fail(format!("a truth value is expected, not {}", other.name())),
        }
    }

    /// A header.
    pub(crate) fn header(&self, json: &Json<'_>) -> Result<HeaderRef, LoadError> {
        match self.typed(json, 0)? {
            Typed::Header(header) => Ok(header),
            other => json.fail(format!("a header is expected, not {}", other.name())),
        }
    }

    /// Something to assign to, and its width.
    pub(crate) fn place(&self, json: &Json<'_>) -> Result<(Place, u32), LoadError> {
        match self.data(json, 0)?.0 {
            Expr::Field(bits) => Ok((Place::Field(bits), bits.width)),
            Expr::StackLast { stack, field } => {
                let width = self.field_width(
                    &HeaderRef::Element {
                        stack,
                        index: Box::new(Arith {
                            expr: Expr::Const(0),
                            wide: false,
                        }),
                    },
                    field,
                );
                Ok((Place::StackLast { stack, field }, width))
            }
            Expr::HeaderField { header, field } => {
                let width = self.field_width(&header, field);
                Ok((Place::HeaderField { header, field }, width))
            }
            Expr::Register { register, index } => {
                let width = self.symbols.register_widths[usize::from(register)];
                Ok((
                    Place::Register {
                        register,
                        index: *index,
                    },
                    width,
                ))
            }
            _ => json.fail("this cannot be assigned to"),
        }
    }

    fn data(&self, json: &Json<'_>, depth: usize) -> Result<(Expr, Range), LoadError> {
        match self.typed(json, depth)? {
            Typed::Data(expr, range) => Ok((expr, range)),
            other => json.fail(format!("an integer is expected, not {}", other.name())),
        }
    }

    fn bool(&self, json: &Json<'_>, depth: usize) -> Result<BoolExpr, LoadError> {
        match self.typed(json, depth)? {
            Typed::Bool(value) => Ok(value),
            other => json.fail(format!("a truth value is expected, not {}", other.name())),
        }
    }

    /// An expression of any type.
    pub(crate) fn typed(&self, json: &Json<'_>, depth: usize) -> Result<Typed, LoadError> {
        if depth > MAX_DEPTH {
            return json.fail(format!("operations are nested deeper than {MAX_DEPTH}"));
        }
        let layout = &self.symbols.layout;
        let kind = json.get("type")?;
        let value = json.get("value")?;
        Ok(match kind.str()? {
            "expression" if value.has("type") => self.typed(&value, depth + 1)?,
            "expression" => self.operation(&value, depth + 1)?,
            "field" => match layout.field(&value)? {
                FieldRef::Bits(bits) => {
                    Typed::Data(Expr::Field(bits), Range::field(bits.width, bits.signed))
                }
                FieldRef::Valid(header) => Typed::Data(Expr::Valid(header), Range::field(1, false)),
                FieldRef::Varbit(header) => Typed::Varbit(header),
            },
            "hexstr" => constant(value.hex()?),
            "bool" => Typed::Bool(BoolExpr::Const(value.bool()?)),
            "local" | "runtime_data" => {
                let at = value.number(u64::from(u16::MAX))? as usize;
                let Some(bits) = self.params.get(at) else {
                    return value.fail("the action has no such parameter");
                };
                Typed::Data(Expr::Param(*bits), Range::field(bits.width, false))
            }
            "register" => {
                let (name, index) = value.pair()?;
                let register = self.register(&name)?;
                let index = Box::new(self.exact(&index)?);
                let width = self.symbols.register_widths[usize::from(register)];
                Typed::Data(
                    Expr::Register { register, index },
                    Range::field(width, false),
                )
            }
            "header" => Typed::Header(HeaderRef::Fixed(layout.header(&value)?)),
            "header_stack" => Typed::Stack(layout.stack(&value)?),
            "header_union" => Typed::Union(layout.union(&value)?),
            "stack_field" => {
                let (stack, field, bits) = layout.stack_field(&value)?;
                Typed::Data(
                    Expr::StackLast { stack, field },
                    Range::field(bits.width, bits.signed),
                )
            }
            other => return kind.fail(format!("{other:?} is not supported here")),
        })
    }

    /// The register array of a name.
    pub(crate) fn register(&self, json: &Json<'_>) -> Result<u16, LoadError> {
        let name = json.str()?;
        let register = self.symbols.registers.get(name);
        register
            .copied()
            .ok_or_else(|| json.error(format!("there is no register {name:?}")))
    }

    fn operation(&self, json: &Json<'_>, depth: usize) -> Result<Typed, LoadError> {
        let name = json.get("op")?;
        let op = name.str()?;
        let left = || json.get("left");
        let right = || json.get("right");
        if let Some(op) = binary_op(op) {
            return self.binary(json, op, depth);
        }
        if let Some(op) = compare_op(op) {
            return self.compare(json, op, depth);
        }
        Ok(match op {
            "~" => {
                let (value, range) = self.data(&right()?, depth)?;
                Typed::Data(Expr::Invert(Box::new(value)), range.invert())
            }
            "and" | "or" => {
                let a = Box::new(self.bool(&left()?, depth)?);
                let b = Box::new(self.bool(&right()?, depth)?);
                Typed::Bool(if op == "and" {
                    BoolExpr::And(a, b)
                } else {
                    BoolExpr::Or(a, b)
                })
            }
            "not" => Typed::Bool(BoolExpr::Not(Box::new(self.bool(&right()?, depth)?))),
            "valid" => match self.typed(&right()?, depth)? {
                Typed::Header(header) => Typed::Bool(BoolExpr::Valid(header)),
                other => return json.fail(format!("\"valid\" of {}", other.name())),
            },
            "valid_union" => match self.typed(&right()?, depth)? {
                Typed::Union(headers) => Typed::Bool(BoolExpr::AnyValid(headers)),
                other => return json.fail(format!("\"valid_union\" of {}", other.name())),
            },
            "d2b" => {
                let (expr, range) = self.data(&right()?, depth)?;
                Typed::Bool(match expr {
                    Expr::FromBool(value) => *value,
                    Expr::Valid(header) => BoolExpr::Valid(HeaderRef::Fixed(header)),
                    expr => BoolExpr::NotZero(Arith {
                        expr,
                        wide: !range.exact(),
                    }),
                })
            }
            "b2d" => {
                let value = match self.bool(&right()?, depth)? {
                    BoolExpr::Const(value) => Expr::Const(u128::from(value)),
                    value => Expr::FromBool(Box::new(value)),
                };
                Typed::Data(value, Range::field(1, false))
            }
            "two_comp_mod" | "usat_cast" | "sat_cast" => self.cast(json, op, depth)?,
            "?" => self.choose(json, depth)?,
            "dereference_header_stack" | "dereference_stack" => {
                let stack = self.stack(&left()?, depth)?;
                let index = Box::new(self.exact(&right()?)?);
                Typed::Header(HeaderRef::Element { stack, index })
            }
            "last_stack_index" | "size_stack" => {
                let stack = self.stack(&right()?, depth)?;
                let add = if op == "size_stack" { 0 } else { -1 };
                Typed::Data(Expr::StackCount { stack, add }, Range::field(17, true))
            }
            "access_field" => self.access_field(json, depth)?,
            other => return name.fail(format!("operation {other:?} is not supported")),
        })
    }

    fn stack(&self, json: &Json<'_>, depth: usize) -> Result<u16, LoadError> {
        match self.typed(json, depth)? {
            Typed::Stack(stack) => Ok(stack),
            other => json.fail(format!("a header stack is expected, not {}", other.name())),
        }
    }

    fn binary(&self, json: &Json<'_>, op: BinaryOp, depth: usize) -> Result<Typed, LoadError> {
        // Unary plus and minus have no left side.
        let (left, left_range) = match json.opt("left") {
            Some(left) => self.data(&left, depth)?,
            None if matches!(op, BinaryOp::Add | BinaryOp::Sub) => {
                (Expr::Const(0), Range::field(0, false))
            }
            None => return json.fail("\"left\" is missing"),
        };
        let (right, right_range) = self.data(&json.get("right")?, depth)?;
        let amount = match right {
            Expr::Const(value) if value <= u128::from(MAX_WIDTH) => Some(value as u32),
            _ => None,
        };
        let op = match op {
            BinaryOp::ShiftRight if left_range.signed => BinaryOp::ShiftRightSigned,
            op => op,
        };
        let range = Range::binary(op, left_range, right_range, amount);
        // Compilers cut values to widths that they cannot exceed, and add nothing.
        let nothing_to_do = match (op, &right) {
            (BinaryOp::And, Expr::Const(mask)) => {
                !left_range.signed
                    && left_range.bits < 128
                    && left_range.bits <= mask.trailing_ones()
            }
            (BinaryOp::Or | BinaryOp::Xor | BinaryOp::ShiftLeft, Expr::Const(0)) => true,
            _ => false,
        };
        if nothing_to_do {
            return Ok(Typed::Data(left, left_range));
        }
        Ok(Typed::Data(
            Expr::Binary(op, Box::new(left), Box::new(right)),
            range,
        ))
    }

    fn compare(&self, json: &Json<'_>, op: Compare, depth: usize) -> Result<Typed, LoadError> {
        let left = self.typed(&json.get("left")?, depth)?;
        let right = self.typed(&json.get("right")?, depth)?;
        let negate = op == Compare::NotEqual;
        let equality = match (left, right) {
            (Typed::Data(left, a), Typed::Data(right, b)) => {
                let kind = if a.fits_unsigned() && b.fits_unsigned() {
                    CompareAs::Unsigned
                } else if a.fits_signed() && b.fits_signed() {
                    CompareAs::Signed
                } else {
                    CompareAs::Wide
                };
                return Ok(Typed::Bool(BoolExpr::Compare {
                    op,
                    kind,
                    left,
                    right,
                }));
            }
            (Typed::Bool(a), Typed::Bool(b)) => BoolExpr::SameBool(Box::new(a), Box::new(b)),
            (Typed::Header(a), Typed::Header(b)) => BoolExpr::SameHeader(a, b),
            (Typed::Varbit(a), Typed::Varbit(b)) => BoolExpr::SameVarbit(a, b),
            (Typed::Union(a), Typed::Union(b)) if a.len() == b.len() => {
                let pairs = a.into_iter().zip(b);
                let same = pairs
                    .map(|(a, b)| BoolExpr::SameHeader(HeaderRef::Fixed(a), HeaderRef::Fixed(b)));
                same.fold(BoolExpr::Const(false), |any, same| {
                    BoolExpr::Or(Box::new(any), Box::new(same))
                })
            }
            (left, right) => {
                return json.fail(format!("{} is compared with {}", left.name(), right.name()));
            }
        };
        match op {
            Compare::Equal | Compare::NotEqual if negate => {
                Ok(Typed::Bool(BoolExpr::Not(Box::new(equality))))
            }
            Compare::Equal | Compare::NotEqual => Ok(Typed::Bool(equality)),
            _ => json.fail("only integers have an order"),
        }
    }

    fn cast(&self, json: &Json<'_>, op: &str, depth: usize) -> Result<Typed, LoadError> {
        let (value, range) = self.data(&json.get("left")?, depth)?;
        let right = json.get("right")?;
        let width = match self.data(&right, depth)?.0 {
            Expr::Const(width) if (1..=u128::from(MAX_WIDTH)).contains(&width) => width as u32,
            _ => return right.fail("the width must be a constant above 0"),
        };
        let value = Box::new(value);
        Ok(match op {
            "two_comp_mod" => Typed::Data(Expr::SignedWrap(value, width), range.signed_wrap(width)),
            "usat_cast" => {
                let signed = range.signed;
                let clamped = Expr::ClampUnsigned {
                    value,
                    width,
                    signed,
                };
                Typed::Data(clamped, range.clamp_unsigned(width))
            }
            _ => Typed::Data(Expr::ClampSigned(value, width), range.clamp_signed(width)),
        })
    }

    fn choose(&self, json: &Json<'_>, depth: usize) -> Result<Typed, LoadError> {
        let condition = Box::new(self.bool(&json.get("cond")?, depth)?);
        let then = self.typed(&json.get("left")?, depth)?;
        let otherwise = self.typed(&json.get("right")?, depth)?;
        match (then, otherwise) {
            (Typed::Data(a, a_range), Typed::Data(b, b_range)) => Ok(Typed::Data(
                Expr::Choose(condition, Box::new(a), Box::new(b)),
                a_range.either(b_range),
            )),
            (Typed::Bool(a), Typed::Bool(b)) => Ok(Typed::Bool(BoolExpr::Choose(
                condition,
                Box::new(a),
                Box::new(b),
            ))),
            (a, b) => json.fail(format!("{} or {}: types differ", a.name(), b.name())),
        }
    }

    fn access_field(&self, json: &Json<'_>, depth: usize) -> Result<Typed, LoadError> {
        let header = match self.typed(&json.get("left")?, depth)? {
            Typed::Header(header) => header,
            other => return json.fail(format!("a field of {}", other.name())),
        };
        let right = json.get("right")?;
        let field = right.number(u64::from(u16::MAX))? as u16;
        let definition = &self.symbols.layout.headers[usize::from(self.example(&header))];
        match definition.fields.get(usize::from(field)) {
            Some(bits) if bits.width > 0 => {
                let range = Range::field(bits.width, bits.signed);
                Ok(Typed::Data(Expr::HeaderField { header, field }, range))
            }
            _ => right.fail("the header has no such field"),
        }
    }

    /// A header of the same type.
    pub(crate) fn example(&self, header: &HeaderRef) -> HeaderId {
        match header {
            HeaderRef::Fixed(header) => *header,
            HeaderRef::Element { stack, .. } => {
                self.symbols.layout.stacks[usize::from(*stack)].headers[0]
            }
        }
    }

    fn field_width(&self, header: &HeaderRef, field: u16) -> u32 {
        let header = &self.symbols.layout.headers[usize::from(self.example(header))];
        header.fields[usize::from(field)].width
    }
}

/// A constant, in the smallest form that holds it.
fn constant(value: BigInt) -> Typed {
    let signed = value.sign() == Sign::Minus;
    let bits = value.bits() as u32 + u32::from(signed);
    let range = Range {
        bits,
        signed,
        low: true,
    };
    if let Ok(value) = i128::try_from(&value) {
        Typed::Data(Expr::Const(value as u128), range)
    } else if let Ok(value) = u128::try_from(&value) {
        Typed::Data(Expr::BigUnsigned(value), range)
    } else {
        Typed::Data(Expr::BigConst(Box::new(value)), range)
    }
}

fn binary_op(name: &str) -> Option<BinaryOp> {
    Some(match name {
        "+" => BinaryOp::Add,
        "-" => BinaryOp::Sub,
        "*" => BinaryOp::Mul,
        "/" => BinaryOp::Div,
        "%" => BinaryOp::Mod,
        "<<" => BinaryOp::ShiftLeft,
        ">>" => BinaryOp::ShiftRight,
        "&" => BinaryOp::And,
        "|" => BinaryOp::Or,
        "^" => BinaryOp::Xor,
        _ => return None,
    })
}

fn compare_op(name: &str) -> Option<Compare> {
    Some(match name {
        "==" => Compare::Equal,
        "!=" => Compare::NotEqual,
        "<" => Compare::Less,
        "<=" => Compare::LessEqual,
        ">" => Compare::Greater,
        ">=" => Compare::GreaterEqual,
        _ => return None,
    })
}
