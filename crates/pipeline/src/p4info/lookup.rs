//! Finding objects by id, full name, alias, or the end of a name that only one object has.

use super::*;

/// An object with a preamble.
pub trait Named {
    /// What it is called in messages: `table`.
    const KIND: &'static str;
    /// Id and names.
    fn preamble(&self) -> &Preamble;
    /// Id.
    fn id(&self) -> u32 {
        self.preamble().id
    }
    /// Full name.
    fn name(&self) -> &str {
        &self.preamble().name
    }
}

macro_rules! named {
    ($($type:ty, $kind:literal;)*) => {
        $(impl Named for $type {
            const KIND: &'static str = $kind;
            fn preamble(&self) -> &Preamble { &self.preamble }
        })*
    };
}

named! {
    Table, "table";
    Action, "action";
    ActionProfile, "action profile";
    Counter, "counter";
    DirectCounter, "direct counter";
    Meter, "meter";
    DirectMeter, "direct meter";
    ControllerPacketMetadata, "controller header";
    ValueSet, "value set";
    Register, "register";
    Digest, "digest";
}

/// Why a name names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No object has it.
    #[error("there is no {kind} {name:?}{}", hint(.similar))]
    Unknown {
        /// What was looked for: `table`.
        kind: &'static str,
        /// The name.
        name: String,
        /// Full names that are close to it.
        similar: Vec<String>,
    },
    /// Several objects have it.
    #[error("the {kind} {name:?} may be any of {}", .candidates.join(", "))]
    Ambiguous {
        /// What was looked for.
        kind: &'static str,
        /// The name.
        name: String,
        /// Their full names.
        candidates: Vec<String>,
    },
}

fn hint(similar: &[String]) -> String {
    match similar {
        [] => String::new(),
        names => format!("; did you mean {}?", names.join(" or ")),
    }
}

/// The object of `items` that `name` names: full name first, then alias, then dotted suffix.
///
/// # Errors
/// When no object or more than one has it.
pub fn find<'a, T: Named>(items: &'a [T], name: &str) -> Result<&'a T, LookupError> {
    let full = items.iter().find(|item| item.name() == name);
    let alias = || items.iter().find(|item| item.preamble().alias == name);
    if let Some(item) = full.or_else(alias) {
        return Ok(item);
    }
    let matching: Vec<&T> = items
        .iter()
        .filter(|item| is_dotted_suffix(item.name(), name))
        .collect();
    match matching[..] {
        [item] => Ok(item),
        [] => Err(LookupError::Unknown {
            kind: T::KIND,
            name: name.to_owned(),
            similar: similar(items, name),
        }),
        _ => Err(LookupError::Ambiguous {
            kind: T::KIND,
            name: name.to_owned(),
            candidates: matching.iter().map(|i| i.name().to_owned()).collect(),
        }),
    }
}

fn is_dotted_suffix(full: &str, end: &str) -> bool {
    let front = full.strip_suffix(end);
    !end.is_empty() && front.is_some_and(|front| front.ends_with('.'))
}

/// Up to three full names that contain the last part of `name`, or are contained in it.
fn similar<T: Named>(items: &[T], name: &str) -> Vec<String> {
    let last = name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let close = items.iter().filter(|item| {
        let other = item.name().rsplit('.').next().unwrap_or("").to_lowercase();
        !last.is_empty() && !other.is_empty() && (other.contains(&last) || last.contains(&other))
    });
    close.take(3).map(|item| item.name().to_owned()).collect()
}

macro_rules! lookups {
    ($($by_name:ident $by_id:ident $list:ident $type:ty;)*) => {
        $(
            #[doc = concat!("The ", stringify!($by_name), " with this full name, alias, or unambiguous dotted suffix.")]
            pub fn $by_name(&self, name: &str) -> Option<&$type> {
                find(&self.$list, name).ok()
            }

            #[doc = concat!("The ", stringify!($by_name), " with this id.")]
            pub fn $by_id(&self, id: u32) -> Option<&$type> {
                self.$list.iter().find(|item| item.preamble.id == id)
            }
        )*
    };
}

impl P4Info {
    lookups! {
        table table_by_id tables Table;
        action action_by_id actions Action;
        action_profile action_profile_by_id action_profiles ActionProfile;
        counter counter_by_id counters Counter;
        direct_counter direct_counter_by_id direct_counters DirectCounter;
        meter meter_by_id meters Meter;
        direct_meter direct_meter_by_id direct_meters DirectMeter;
        controller_header controller_header_by_id controller_packet_metadata ControllerPacketMetadata;
        value_set value_set_by_id value_sets ValueSet;
        register register_by_id registers Register;
        digest digest_by_id digests Digest;
    }

    /// The serializable enumeration of this name.
    pub fn serializable_enum(&self, name: &str) -> Option<&SerializableEnumSpec> {
        self.type_info.as_ref()?.serializable_enums.get(name)
    }
}

impl Table {
    /// The match field of this name, or of the only name that ends so.
    pub fn match_field(&self, name: &str) -> Option<&MatchField> {
        let full = self.match_fields.iter().find(|field| field.name == name);
        full.or_else(|| {
            let mut ends = self
                .match_fields
                .iter()
                .filter(|f| is_dotted_suffix(&f.name, name));
            ends.next().filter(|_| ends.next().is_none())
        })
    }

    /// The match field of this id.
    pub fn match_field_by_id(&self, id: u32) -> Option<&MatchField> {
        self.match_fields.iter().find(|field| field.id == id)
    }

    /// Whether entries need a priority: a key is ternary, range or optional (P4Runtime 9.1).
    pub fn needs_priority(&self) -> bool {
        self.match_fields.iter().any(|field| {
            matches!(
                field.match_type,
                Some(MatchType::Ternary | MatchType::Range | MatchType::Optional)
            )
        })
    }
}

impl Action {
    /// The parameter of this name.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// The parameter of this id.
    pub fn param_by_id(&self, id: u32) -> Option<&Param> {
        self.params.iter().find(|param| param.id == id)
    }
}

impl ControllerPacketMetadata {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Metadata> {
        self.metadata.iter().find(|field| field.name == name)
    }
}
