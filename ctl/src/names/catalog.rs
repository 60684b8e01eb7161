//! The running program's names: entries in words become entries in ids, and back.

use flownic_api::v1;
use flownic_pipeline::p4info::{
    Action, LookupError, MatchField, MatchType, P4Info, Param, Scope, Table, find,
};

use super::grammar::{Kind, Line};
use super::value::Form;
use crate::error::Error;

/// P4Info does not say which enum a key or parameter of a plain width comes from, so these names,
/// which the program uses for nothing else, do.
const ENUM_OF_NAME: [(&str, &str); 3] = [
    ("reason", "DropReason"),
    ("tunnel", "TunnelKind"),
    ("port_kind", "PortKind"),
];

/// Names, ids and widths of one program.
pub(crate) struct Catalog {
    info: P4Info,
}

impl Catalog {
    /// From what the agent hands out.
    pub(crate) fn from_json(json: &str) -> Result<Catalog, Error> {
        let info = P4Info::from_json(json.as_bytes())
            .map_err(|error| Error::Failed(format!("cannot read the pipeline's names: {error}")))?;
        Ok(Catalog { info })
    }

    /// All tables, in the order of the program.
    pub(crate) fn tables(&self) -> &[Table] {
        &self.info.tables
    }

    /// The table of this name: full, alias, or a dotted end that only one has.
    pub(crate) fn table(&self, name: &str) -> Result<&Table, Error> {
        find(&self.info.tables, name).map_err(not_found)
    }

    /// Turns words into an update of ids and byte strings; checks everything that P4Info tells.
    pub(crate) fn update(&self, line: &Line) -> Result<v1::Update, Error> {
        let table = self.table(&line.table)?;
        let name = &table.preamble.alias;
        let wrong = |text: String| Error::Usage(format!("table {name}: {text}"));
        let matches = self.matches(table, &line.fields).map_err(wrong)?;
        let priority = priority(table, line.priority).map_err(wrong)?;
        let (action_id, params) = match &line.action {
            Some((action, params)) if line.kind != Kind::Delete => {
                self.action(table, action, params)?
            }
            _ => (0, Vec::new()),
        };
        let kind = match line.kind {
            Kind::Insert => v1::UpdateType::Insert,
            Kind::Modify => v1::UpdateType::Modify,
            Kind::Delete => v1::UpdateType::Delete,
        };
        Ok(v1::Update {
            r#type: kind.into(),
            entry: Some(v1::TableEntry {
                table_id: table.preamble.id,
                r#match: matches,
                priority,
                action_id,
                params,
                ..Default::default()
            }),
        })
    }

    fn matches(
        &self,
        table: &Table,
        fields: &[(String, String)],
    ) -> Result<Vec<v1::FieldMatch>, String> {
        let mut matches: Vec<v1::FieldMatch> = Vec::new();
        for (name, value) in fields {
            let field = table.match_field(name).ok_or_else(|| {
                let names: Vec<&str> = table.match_fields.iter().map(short_name).collect();
                format!(
                    "it has no field {name}; its fields are {}",
                    names.join(", ")
                )
            })?;
            if matches.iter().any(|other| other.field_id == field.id) {
                return Err(format!("field {name} is given twice"));
            }
            if let Some(value) = self.field_match(field, value)? {
                matches.push(v1::FieldMatch {
                    field_id: field.id,
                    r#match: Some(value),
                });
            }
        }
        let given = |field: &&MatchField| matches.iter().any(|other| other.field_id == field.id);
        let exact = |field: &&MatchField| field.match_type == Some(MatchType::Exact);
        match table
            .match_fields
            .iter()
            .filter(exact)
            .find(|field| !given(field))
        {
            Some(missing) => Err(format!("field {} is missing", short_name(missing))),
            None => Ok(matches),
        }
    }

    /// `None` for a value that matches everything, which P4Runtime says by leaving the field out.
    fn field_match(
        &self,
        field: &MatchField,
        text: &str,
    ) -> Result<Option<v1::field_match::Match>, String> {
        use v1::field_match::{Lpm, Match, Range, Ternary};
        let form = self.field_form(field);
        let two = |separator: &str| text.split_once(separator);
        Ok(Some(match field.match_type {
            Some(MatchType::Exact) => Match::Exact(form.parse(text)?),
            Some(MatchType::Lpm) => match form.parse_prefix(text)? {
                (_, 0) => return Ok(None),
                (value, prefix_len) => Match::Lpm(Lpm { value, prefix_len }),
            },
            Some(MatchType::Ternary) => {
                let (value, mask) = match two("&&&") {
                    Some((value, mask)) => (form.parse(value)?, form.parse(mask)?),
                    None => (form.parse(text)?, form.ones()),
                };
                if mask.iter().all(|&byte| byte == 0) {
                    return Ok(None);
                }
                if value
                    .iter()
                    .zip(&mask)
                    .any(|(value, mask)| value & !mask != 0)
                {
                    return Err(format!(
                        "{} = {text} has bits outside of its mask",
                        form.name
                    ));
                }
                Match::Ternary(Ternary { value, mask })
            }
            Some(MatchType::Range) => {
                let (low, high) = two("..").unwrap_or((text, text));
                let (low, high) = (form.parse(low)?, form.parse(high)?);
                if low > high {
                    return Err(format!("{} = {text} ends before it starts", form.name));
                }
                Match::Range(Range { low, high })
            }
            Some(MatchType::Optional) => Match::Optional(form.parse(text)?),
            _ => {
                return Err(format!(
                    "{} has a match kind that is not known here",
                    form.name
                ));
            }
        }))
    }

    fn action(
        &self,
        table: &Table,
        name: &str,
        values: &[(String, String)],
    ) -> Result<(u32, Vec<v1::ActionParam>), Error> {
        let allowed: Vec<Action> = table
            .action_refs
            .iter()
            .filter(|reference| reference.scope != Scope::DefaultOnly)
            .filter_map(|reference| self.info.action_by_id(reference.id).cloned())
            .collect();
        let action = find(&allowed, name).map_err(|error| match error {
            LookupError::Unknown { .. } => {
                let names: Vec<&str> = allowed
                    .iter()
                    .map(|action| &*action.preamble.alias)
                    .collect();
                let table = &table.preamble.alias;
                Error::NotFound(format!(
                    "table {table} has no action {name}; it has {}",
                    names.join(", ")
                ))
            }
            ambiguous => not_found(ambiguous),
        })?;
        let wrong =
            |text: String| Error::Usage(format!("action {}: {text}", action.preamble.alias));
        let params = self.params(action, values).map_err(wrong)?;
        Ok((action.preamble.id, params))
    }

    fn params(
        &self,
        action: &Action,
        values: &[(String, String)],
    ) -> Result<Vec<v1::ActionParam>, String> {
        let mut params: Vec<v1::ActionParam> = Vec::new();
        for (name, value) in values {
            let param = action.param(name).ok_or_else(|| match &action.params[..] {
                [] => format!("it has no parameter {name}, and no other"),
                some => {
                    let names: Vec<&str> = some.iter().map(|param| &*param.name).collect();
                    format!(
                        "it has no parameter {name}; its parameters are {}",
                        names.join(", ")
                    )
                }
            })?;
            if params.iter().any(|other| other.param_id == param.id) {
                return Err(format!("parameter {name} is given twice"));
            }
            params.push(v1::ActionParam {
                param_id: param.id,
                value: self.param_form(param).parse(value)?,
            });
        }
        let given = |param: &&Param| params.iter().any(|other| other.param_id == param.id);
        match action.params.iter().find(|param| !given(param)) {
            Some(missing) => Err(format!("parameter {} is missing", missing.name)),
            None => Ok(params),
        }
    }

    /// Name and printed value of each field that the entry restricts.
    pub(crate) fn print_match(
        &self,
        table: &Table,
        entry: &v1::TableEntry,
    ) -> Vec<(String, String)> {
        let print = |one: &v1::FieldMatch| {
            let Some(field) = table.match_field_by_id(one.field_id) else {
                return (format!("field {}", one.field_id), "?".to_owned());
            };
            let form = self.field_form(field);
            (form.short_name().to_owned(), print_value(&form, one))
        };
        entry.r#match.iter().map(print).collect()
    }

    /// Name of the entry's action, and name and printed value of each parameter.
    pub(crate) fn print_action(&self, entry: &v1::TableEntry) -> (String, Vec<(String, String)>) {
        let Some(action) = self.info.action_by_id(entry.action_id) else {
            return (format!("action {}", entry.action_id), Vec::new());
        };
        let print = |one: &v1::ActionParam| match action.param_by_id(one.param_id) {
            Some(param) => (param.name.clone(), self.param_form(param).print(&one.value)),
            None => (
                format!("parameter {}", one.param_id),
                crate::format::hex(&one.value),
            ),
        };
        (
            action.preamble.alias.clone(),
            entry.params.iter().map(print).collect(),
        )
    }

    fn field_form(&self, field: &MatchField) -> Form {
        let named = field.type_name.as_ref().map(|named| &*named.name);
        self.form(&field.name, field.bitwidth, named)
    }

    fn param_form(&self, param: &Param) -> Form {
        let named = param.type_name.as_ref().map(|named| &*named.name);
        self.form(&param.name, param.bitwidth, named)
    }

    fn form(&self, name: &str, bits: u32, type_name: Option<&str>) -> Form {
        let short = name.rsplit('.').next().unwrap_or(name);
        let by_name = ENUM_OF_NAME
            .iter()
            .find(|(word, _)| *word == short)
            .map(|(_, name)| *name);
        let members = match type_name
            .or(by_name)
            .and_then(|name| self.info.serializable_enum(name))
        {
            Some(spec) => spec
                .members
                .iter()
                .map(|m| (m.name.clone(), m.value.clone()))
                .collect(),
            None if short == "direction" && bits == 1 => {
                vec![
                    ("outbound".to_owned(), vec![0]),
                    ("inbound".to_owned(), vec![1]),
                ]
            }
            None => Vec::new(),
        };
        Form {
            name: name.to_owned(),
            bits: bits.max(1),
            members,
        }
    }
}

/// Last part of a field's name.
pub(crate) fn short_name(field: &MatchField) -> &str {
    field.name.rsplit('.').next().unwrap_or(&field.name)
}

/// Name of a match kind.
pub(crate) fn match_kind(field: &MatchField) -> &'static str {
    match field.match_type {
        Some(MatchType::Exact) => "exact",
        Some(MatchType::Lpm) => "lpm",
        Some(MatchType::Ternary) => "ternary",
        Some(MatchType::Range) => "range",
        Some(MatchType::Optional) => "optional",
        _ => "other",
    }
}

fn print_value(form: &Form, one: &v1::FieldMatch) -> String {
    use v1::field_match::Match;
    match &one.r#match {
        None => "?".to_owned(),
        Some(Match::Exact(value) | Match::Optional(value)) => form.print(value),
        Some(Match::Lpm(lpm)) => format!("{}/{}", form.print(&lpm.value), lpm.prefix_len),
        Some(Match::Ternary(ternary)) => {
            format!(
                "{}&&&{}",
                form.print(&ternary.value),
                form.print_mask(&ternary.mask)
            )
        }
        Some(Match::Range(range)) => {
            format!("{}..{}", form.print(&range.low), form.print(&range.high))
        }
    }
}

fn priority(table: &Table, given: Option<i32>) -> Result<i32, String> {
    match (table.needs_priority(), given) {
        (true, None) => Err("its key needs priority=N".to_owned()),
        (false, Some(_)) => Err("its key has no priority".to_owned()),
        (_, given) => Ok(given.unwrap_or(0)),
    }
}

fn not_found(error: LookupError) -> Error {
    match error {
        LookupError::Unknown { .. } => {
            Error::NotFound(format!("{error}; flownic table list shows all"))
        }
        LookupError::Ambiguous { .. } => Error::Usage(error.to_string()),
    }
}
