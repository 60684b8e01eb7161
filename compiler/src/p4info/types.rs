//! Types for the control plane.

use flownic_pipeline::p4info as out;
use num_bigint::BigInt;

use super::Builder;
use crate::hir::{Expr, ExprKind};
use crate::types::Type;

impl Builder<'_> {
    /// Name of a type made by `type`.
    pub(super) fn type_name(&mut self, ty: &Type) -> Option<out::NamedType> {
        match ty {
            Type::New(new) => Some(out::NamedType {
                name: new.name.to_string(),
            }),
            Type::Enum(of) => Some(out::NamedType {
                name: of.name.to_string(),
            }),
            _ => None,
        }
    }

    /// Description of a type; the program's own types are kept for `type_info`.
    pub(super) fn data_type(&mut self, ty: &Type) -> Option<out::DataTypeSpec> {
        let bits = |width| Some(out::BitSpec { bitwidth: width });
        Some(match ty {
            Type::Bit(width) => out::DataTypeSpec::Bitstring(out::BitstringSpec {
                bit: bits(*width),
                ..Default::default()
            }),
            Type::Signed(width) => out::DataTypeSpec::Bitstring(out::BitstringSpec {
                int: bits(*width),
                ..Default::default()
            }),
            Type::Bool => out::DataTypeSpec::Bool(out::Empty {}),
            Type::Error => {
                let members = self.program.errors.iter().map(ToString::to_string);
                let members = members.collect();
                self.types.error = Some(out::ErrorSpec { members });
                out::DataTypeSpec::Error(out::Empty {})
            }
            Type::SerializableEnum(of) => {
                let name = of.name.to_string();
                let width = of.underlying.width().unwrap_or(0);
                let members = of
                    .members
                    .iter()
                    .map(|(name, value)| out::SerializableEnumMember {
                        name: name.to_string(),
                        value: big_endian(value, width),
                        annotations: Vec::new(),
                    });
                let made = out::SerializableEnumSpec {
                    underlying_type: bits(width),
                    members: members.collect(),
                    annotations: Vec::new(),
                };
                self.types.serializable_enums.insert(name.clone(), made);
                out::DataTypeSpec::SerializableEnum(out::NamedType { name })
            }
            Type::Enum(of) => {
                let name = of.name.to_string();
                let members = of.members.iter().map(|name| out::EnumMember {
                    name: name.to_string(),
                    annotations: Vec::new(),
                });
                let made = out::EnumSpec {
                    members: members.collect(),
                    annotations: Vec::new(),
                };
                self.types.enums.insert(name.clone(), made);
                out::DataTypeSpec::Enum(out::NamedType { name })
            }
            Type::New(of) => {
                let name = of.name.to_string();
                // A chain of new types comes down to what it began with.
                let mut original = &of.original;
                while let Type::New(inner) = original {
                    original = &inner.original;
                }
                let made = out::NewTypeSpec {
                    original_type: self.data_type(original),
                    translated_type: None,
                    annotations: super::text::kept(&of.annotations),
                };
                self.types.new_types.insert(name.clone(), made);
                out::DataTypeSpec::NewType(out::NamedType { name })
            }
            _ => return None,
        })
    }
}

/// A constant as big-endian bytes, as many as its type has.
pub(super) fn bytes(expr: &Expr) -> Vec<u8> {
    let width = expr.ty.width().unwrap_or(1);
    match &expr.kind {
        ExprKind::Int(value) => big_endian(value, width),
        ExprKind::Bool(value) => vec![u8::from(*value)],
        ExprKind::EnumMember(at) => big_endian(&BigInt::from(*at), width),
        _ => vec![0],
    }
}

fn big_endian(value: &BigInt, width: u32) -> Vec<u8> {
    let (_, bytes) = (value & crate::check::mask(width)).to_bytes_be();
    let length = (width.div_ceil(8).max(1) as usize).max(bytes.len());
    let mut padded = vec![0; length - bytes.len()];
    padded.extend(bytes);
    padded
}
