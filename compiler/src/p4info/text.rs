//! Annotations as text.

use flownic_pipeline::p4info::Documentation;

use crate::ast::{Annotation, Annotations};
use crate::check::annotation_text;
use crate::lexer::{Kind, Token};

/// Annotations that have a field of their own in P4Info, or none.
const DROPPED: &[&str] = &[
    "name",
    "id",
    "brief",
    "description",
    "optional",
    "hidden",
    "metadata",
    "match",
];

/// Annotations that the control plane gets as text.
pub(super) fn kept(annotations: &Annotations) -> Vec<String> {
    let kept = annotations
        .iter()
        .filter(|a| !DROPPED.contains(&&*a.name.name) && !a.structured);
    kept.map(written).collect()
}

fn written(annotation: &Annotation) -> String {
    let name = &annotation.name.name;
    if !annotation.has_body || annotation.body.is_empty() {
        return format!("@{name}");
    }
    // As the reference compiler writes them, with a space between all words.
    let words: Vec<String> = annotation.body.iter().map(token_text).collect();
    format!("@{name}({})", words.join(" "))
}

fn token_text(token: &Token) -> String {
    match token.kind {
        Kind::Text => format!("\"{}\"", token.text),
        _ => token.text.to_string(),
    }
}

/// From `@brief` and `@description`.
pub(super) fn documentation(annotations: &Annotations) -> Option<Documentation> {
    let text = |name| annotation_text(annotations, name).map(|text| text.to_string());
    let (brief, description) = (text("brief"), text("description"));
    if brief.is_none() && description.is_none() {
        return None;
    }
    Some(Documentation {
        brief: brief.unwrap_or_default(),
        description: description.unwrap_or_default(),
    })
}

/// Pairs of `@name(key = "value", …)`.
pub(super) fn pairs(annotations: &Annotations, name: &str) -> Vec<(String, String)> {
    let found = annotations.iter().find(|a| &*a.name.name == name);
    let Some(annotation) = found else {
        return Vec::new();
    };
    let parts = annotation.body.split(|token| token.is(","));
    let pairs = parts.filter_map(|part| match part {
        [key, equals, value] if equals.is("=") && value.kind == Kind::Text => {
            Some((key.text.to_string(), value.text.to_string()))
        }
        _ => None,
    });
    pairs.collect()
}
