//! Header types and instances, and where each of their fields lies in the packet header vector.

use std::collections::HashMap;

use super::json::{Json, LoadError};
use crate::program::{Bits, Header, HeaderId, Stack, Varbit};

/// Size of a packet header vector, at most.
const MAX_BYTES: u32 = 1 << 20;

/// What `["header", "field"]` can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldRef {
    Bits(Bits),
    /// `$valid$`.
    Valid(HeaderId),
    /// The variable-length field of a header.
    Varbit(HeaderId),
}

/// A header type.
#[derive(Debug)]
struct HeaderType {
    fields: Vec<FieldDef>,
    /// Bytes without the variable-length field.
    fixed_bytes: u32,
    varbit: Option<VarbitDef>,
}

#[derive(Debug)]
struct FieldDef {
    name: String,
    /// 0: variable.
    width: u32,
    signed: bool,
}

#[derive(Debug)]
struct VarbitDef {
    field: u16,
    max_bytes: u32,
    offset_bits: u32,
}

/// All headers.
#[derive(Debug)]
pub(crate) struct Layout {
    types: Vec<HeaderType>,
    names: HashMap<String, HeaderId>,
    stack_names: HashMap<String, u16>,
    unions: HashMap<String, Vec<HeaderId>>,
    pub(crate) headers: Vec<Header>,
    pub(crate) stacks: Vec<Stack>,
    pub(crate) fixed_bytes: u32,
    pub(crate) phv_bytes: u32,
}

impl Layout {
    pub(crate) fn load(root: &Json<'_>) -> Result<Layout, LoadError> {
        let mut layout = Layout {
            types: Vec::new(),
            names: HashMap::new(),
            stack_names: HashMap::new(),
            unions: HashMap::new(),
            headers: Vec::new(),
            stacks: Vec::new(),
            fixed_bytes: 0,
            phv_bytes: 0,
        };
        let mut type_names = HashMap::new();
        for json in root.list("header_types")? {
            type_names.insert(json.get("name")?.str()?, layout.types.len() as u16);
            layout.types.push(header_type(&json)?);
        }
        let mut ids = HashMap::new();
        for json in root.list("headers")? {
            layout.add_header(&json, &type_names, &mut ids)?;
        }
        layout.place_varbits(root)?;
        layout.load_stacks(root, &ids)?;
        layout.load_unions(root, &ids)?;
        Ok(layout)
    }

    fn add_header(
        &mut self,
        json: &Json<'_>,
        type_names: &HashMap<&str, u16>,
        ids: &mut HashMap<u64, HeaderId>,
    ) -> Result<(), LoadError> {
        let name = json.get("name")?.str()?;
        let type_name = json.get("header_type")?;
        let kind = *type_names
            .get(type_name.str()?)
            .ok_or_else(|| type_name.error("there is no such header type"))?;
        let Ok(id) = HeaderId::try_from(self.headers.len()) else {
            return json.fail("more than 65536 headers");
        };
        let metadata = json.flag("metadata")?;
        let header_type = &self.types[usize::from(kind)];
        let at = self.fixed_bytes;
        let (fields, bytes) = if metadata {
            place_metadata(header_type, at)
        } else {
            (place_header(header_type, at), header_type.fixed_bytes)
        };
        if at.saturating_add(bytes) > MAX_BYTES {
            return json.fail(format!("headers need more than {MAX_BYTES} bytes"));
        }
        self.fixed_bytes += bytes;
        self.headers.push(Header {
            name: name.to_owned(),
            kind,
            metadata,
            at,
            fixed_bytes: bytes,
            fields,
            varbit: None,
            rivals: Vec::new(),
        });
        if self.names.insert(name.to_owned(), id).is_some() {
            return json.fail("another header has this name");
        }
        ids.insert(json.get("id")?.number(u64::MAX)?, id);
        Ok(())
    }

    /// Rooms of variable-length fields come after everything else.
    fn place_varbits(&mut self, root: &Json<'_>) -> Result<(), LoadError> {
        self.phv_bytes = self.fixed_bytes;
        for header in &mut self.headers {
            let Some(varbit) = &self.types[usize::from(header.kind)].varbit else {
                continue;
            };
            let at = self.phv_bytes;
            self.phv_bytes = self.phv_bytes.saturating_add(varbit.max_bytes);
            if self.phv_bytes > MAX_BYTES {
                return root.fail(format!("headers need more than {MAX_BYTES} bytes"));
            }
            header.varbit = Some(Varbit {
                field: varbit.field,
                at,
                max_bytes: varbit.max_bytes,
                offset_bits: varbit.offset_bits,
            });
        }
        Ok(())
    }

    fn load_stacks(
        &mut self,
        root: &Json<'_>,
        ids: &HashMap<u64, HeaderId>,
    ) -> Result<(), LoadError> {
        for json in root.list("header_stacks")? {
            let headers = by_ids(&json, ids)?;
            let Some(&first) = headers.first() else {
                return json.fail("the stack is empty");
            };
            let kind = self.headers[usize::from(first)].kind;
            if headers
                .iter()
                .any(|&header| self.headers[usize::from(header)].kind != kind)
            {
                return json.fail("the elements are of different types");
            }
            let name = json.get("name")?.str()?.to_owned();
            self.stack_names.insert(name, self.stacks.len() as u16);
            self.stacks.push(Stack { headers });
        }
        Ok(())
    }

    fn load_unions(
        &mut self,
        root: &Json<'_>,
        ids: &HashMap<u64, HeaderId>,
    ) -> Result<(), LoadError> {
        if let Some(stack) = root.list("header_union_stacks")?.first() {
            return stack.fail("stacks of header unions are not supported");
        }
        for json in root.list("header_unions")? {
            let headers = by_ids(&json, ids)?;
            for &header in &headers {
                let rivals = headers.iter().copied().filter(|&other| other != header);
                self.headers[usize::from(header)].rivals = rivals.collect();
            }
            self.unions
                .insert(json.get("name")?.str()?.to_owned(), headers);
        }
        Ok(())
    }

    /// The header of a name.
    pub(crate) fn header(&self, json: &Json<'_>) -> Result<HeaderId, LoadError> {
        let name = json.str()?;
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| json.error(format!("there is no header {name:?}")))
    }

    /// The stack of a name.
    pub(crate) fn stack(&self, json: &Json<'_>) -> Result<u16, LoadError> {
        let name = json.str()?;
        self.stack_names
            .get(name)
            .copied()
            .ok_or_else(|| json.error(format!("there is no header stack {name:?}")))
    }

    /// The members of the union of a name.
    pub(crate) fn union(&self, json: &Json<'_>) -> Result<Vec<HeaderId>, LoadError> {
        let name = json.str()?;
        self.unions
            .get(name)
            .cloned()
            .ok_or_else(|| json.error(format!("there is no header union {name:?}")))
    }

    /// What `["header", "field"]` means.
    pub(crate) fn field(&self, json: &Json<'_>) -> Result<FieldRef, LoadError> {
        let (header_name, field_name) = json.pair()?;
        let id = self.header(&header_name)?;
        let name = field_name.str()?;
        if name == "$valid$" {
            return Ok(FieldRef::Valid(id));
        }
        let header = &self.headers[usize::from(id)];
        let Some(at) = self.field_index(header.kind, name) else {
            return json.fail(format!("header {} has no field {name:?}", header.name));
        };
        match header.varbit {
            Some(varbit) if varbit.field == at => Ok(FieldRef::Varbit(id)),
            _ => Ok(FieldRef::Bits(header.fields[usize::from(at)])),
        }
    }

    /// A field of fixed width.
    pub(crate) fn bits(&self, json: &Json<'_>) -> Result<Bits, LoadError> {
        match self.field(json)? {
            FieldRef::Bits(bits) => Ok(bits),
            FieldRef::Valid(_) | FieldRef::Varbit(_) => {
                json.fail("a field of fixed width is expected")
            }
        }
    }

    /// A field by names, if it is there.
    pub(crate) fn find(&self, header: &str, field: &str) -> Option<Bits> {
        let header = &self.headers[usize::from(*self.names.get(header)?)];
        let at = self.field_index(header.kind, field)?;
        Some(header.fields[usize::from(at)]).filter(|bits| bits.width > 0)
    }

    /// `["stack", "field"]`: the stack, the position of the field, and its place in the first
    /// element.
    pub(crate) fn stack_field(&self, json: &Json<'_>) -> Result<(u16, u16, Bits), LoadError> {
        let (stack_name, field_name) = json.pair()?;
        let stack = self.stack(&stack_name)?;
        let first = self.stacks[usize::from(stack)].headers[0];
        let header = &self.headers[usize::from(first)];
        let name = field_name.str()?;
        let Some(field) = self.field_index(header.kind, name) else {
            return json.fail(format!("the elements have no field {name:?}"));
        };
        Ok((stack, field, header.fields[usize::from(field)]))
    }

    fn field_index(&self, kind: u16, name: &str) -> Option<u16> {
        let fields = &self.types[usize::from(kind)].fields;
        fields
            .iter()
            .position(|field| field.name == name)
            .map(|at| at as u16)
    }
}

fn by_ids(json: &Json<'_>, ids: &HashMap<u64, HeaderId>) -> Result<Vec<HeaderId>, LoadError> {
    let mut headers = Vec::new();
    for id in json.list("header_ids")? {
        let header = ids.get(&id.number(u64::MAX)?);
        headers.push(*header.ok_or_else(|| id.error("there is no header with this id"))?);
    }
    Ok(headers)
}

fn header_type(json: &Json<'_>) -> Result<HeaderType, LoadError> {
    let (mut fields, mut bits, mut varbit) = (Vec::new(), 0u32, None);
    for field in json.list("fields")? {
        let parts = field.items()?;
        let [name, width, rest @ ..] = &parts[..] else {
            return field.fail("a field is a name and a width");
        };
        let name = name.str()?.to_owned();
        let signed = rest.first().map_or(Ok(false), Json::truth)?;
        if width.str().is_ok_and(|width| width == "*") {
            if varbit.is_some() {
                return field.fail("a second variable-length field");
            }
            varbit = Some((fields.len() as u16, bits));
            fields.push(FieldDef {
                name,
                width: 0,
                signed: false,
            });
        } else {
            let width = width.number(1 << 16)? as u32;
            bits += width;
            fields.push(FieldDef {
                name,
                width,
                signed,
            });
        }
    }
    if !bits.is_multiple_of(8) {
        return json.fail(format!("{bits} bits are not whole bytes"));
    }
    let fixed_bytes = bits / 8;
    let varbit = match varbit {
        None => None,
        Some((field, offset_bits)) => {
            let max = json.get("max_length")?.number(u64::from(MAX_BYTES))? as u32;
            let Some(max_bytes) = max.checked_sub(fixed_bytes) else {
                return json.fail("max_length is less than the fixed fields need");
            };
            Some(VarbitDef {
                field,
                max_bytes,
                offset_bits,
            })
        }
    };
    Ok(HeaderType {
        fields,
        fixed_bytes,
        varbit,
    })
}

/// As on the wire.
fn place_header(header_type: &HeaderType, at: u32) -> Vec<Bits> {
    let mut start = at * 8;
    let place = |field: &FieldDef| {
        let end = start + field.width;
        let (first, last) = (start / 8, end.div_ceil(8));
        let shift = (last * 8 - end) as u8;
        start = end;
        let bytes = if field.width == 0 { 0 } else { last - first };
        let shift = if field.width == 0 { 0 } else { shift };
        Bits {
            at: first,
            bytes,
            shift,
            width: field.width,
            signed: field.signed,
        }
    };
    header_type.fields.iter().map(place).collect()
}

/// Every field on whole bytes; also gives the number of bytes.
fn place_metadata(header_type: &HeaderType, at: u32) -> (Vec<Bits>, u32) {
    let mut next = at;
    let place = |field: &FieldDef| {
        let bytes = field.width.div_ceil(8);
        let bits = Bits {
            at: next,
            bytes,
            shift: 0,
            width: field.width,
            signed: field.signed,
        };
        next += bytes;
        bits
    };
    let fields = header_type.fields.iter().map(place).collect();
    (fields, next - at)
}
