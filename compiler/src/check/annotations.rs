//! What annotations say.

use num_bigint::BigInt;

use super::Checker;
use crate::ast::{Annotation, Annotations, Name};
use crate::diagnostics::Code;
use crate::lexer::Kind;

/// The annotation of this name.
pub(super) fn find<'a>(annotations: &'a Annotations, name: &str) -> Option<&'a Annotation> {
    annotations.iter().find(|a| &*a.name.name == name)
}

/// Value of `@name("…")`.
fn string(annotation: &Annotation) -> Option<Name> {
    match &annotation.body[..] {
        [only] if only.kind == Kind::Text => Some(only.text.clone()),
        _ => None,
    }
}

/// Name for the control plane: `@name`, or the declared one.
pub(crate) fn control_plane_name(name: &Name, annotations: &Annotations) -> Name {
    let given = find(annotations, "name").and_then(string);
    given.unwrap_or_else(|| name.clone())
}

/// Text of the annotation of this name.
pub(crate) fn text(annotations: &Annotations, name: &str) -> Option<Name> {
    find(annotations, name).and_then(string)
}

/// Number of `@name(number)`.
pub(crate) fn number(annotations: &Annotations, name: &str) -> Option<u32> {
    let annotation = find(annotations, name)?;
    let [only] = &annotation.body[..] else {
        return None;
    };
    let plain = only.text.replace('_', "");
    match plain.strip_prefix("0x").or(plain.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => plain.parse().ok(),
    }
}

impl Checker<'_> {
    /// Reports annotations whose bodies are not what their names need.
    pub(super) fn check_annotations(&mut self, annotations: &Annotations) {
        for annotation in annotations.iter() {
            let name = &*annotation.name.name;
            let good = match name {
                "name" | "controller_header" => string(annotation).is_some(),
                "id" => number(annotations, "id").is_some_and(|id| id != 0),
                _ => true,
            };
            if !good {
                let wanted = if name == "id" {
                    "a positive number"
                } else {
                    "a string"
                };
                let message = format!("@{name} needs {wanted} in parentheses");
                self.error(Code::Annotation, annotation.name.span, message);
            }
        }
    }

    /// `@name` of a key element.
    pub(super) fn given_name(&self, annotations: &Annotations) -> Option<Name> {
        text(annotations, "name")
    }

    /// A number as `u64`, for sizes.
    pub(super) fn to_u64(value: &BigInt) -> Option<u64> {
        u64::try_from(value).ok()
    }
}
