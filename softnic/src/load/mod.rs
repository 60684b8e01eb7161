//! From bmv2 JSON to a checked program.
//!
//! * `json`: values with their place.
//! * `layout`: header types and instances, and where each field lies.
//! * `range`: how many bits an expression needs.
//! * `expr`, `ops`: expressions and action primitives.
//! * `parsers`, `checksums`, `pipelines`: the parts of the program.
//! * `tables`: JSON and P4Info of a table put together.

mod checksums;
mod expr;
mod json;
mod layout;
mod ops;
mod parsers;
mod pipelines;
mod range;
mod tables;

use std::collections::HashMap;

use flownic_pipeline::p4info::P4Info;

pub use json::LoadError;

use crate::engine::Options;
use crate::program::{
    Action, Bits, CounterDef, ErrorCodes, FieldList, HeaderId, Program, RegisterDef,
    StandardMetadata,
};
use crate::tables::Table;
use crate::tables::write::Directory;
use json::Json;
use layout::Layout;

/// A program with its tables, as they are before the first write.
pub(crate) struct Loaded {
    pub(crate) program: Program,
    pub(crate) tables: Vec<Table>,
    pub(crate) directory: Directory,
}

/// Memory of one register or counter array, at most.
const MAX_ARRAY_BYTES: u64 = 1 << 32;

/// Everything that names can refer to.
pub(crate) struct Symbols {
    pub(crate) layout: Layout,
    pub(crate) registers: HashMap<String, u16>,
    pub(crate) register_widths: Vec<u32>,
    pub(crate) counters: HashMap<String, u16>,
    /// Indirect meters.
    pub(crate) meters: HashMap<String, ()>,
    pub(crate) calculations: HashMap<String, u16>,
    /// Field lists by id.
    pub(crate) field_lists: HashMap<u64, u16>,
}

/// Loads a document.
pub(crate) fn load(text: &[u8], p4info: &P4Info, options: &Options) -> Result<Loaded, LoadError> {
    let value = json::parse(text)?;
    let root = Json::root(&value);
    if !root.has("header_types") || !root.has("pipelines") {
        return root.fail("this is no bmv2 program: no header_types and pipelines");
    }
    if let Some(instance) = root.list("extern_instances")?.first() {
        return instance.fail("extern instances are not supported");
    }
    let layout = Layout::load(&root)?;
    let registers = registers(&root)?;
    let counters = counters(&root)?;
    let (field_lists, field_list_ids) = field_lists(&root, &layout)?;
    let mut symbols = Symbols {
        layout,
        registers: index(
            &root,
            "register_arrays",
            registers.iter().map(|def| &def.name),
        )?,
        register_widths: registers.iter().map(|def| def.width).collect(),
        counters: index(
            &root,
            "counter_arrays",
            counters.iter().map(|def| &def.name),
        )?,
        meters: meters(&root)?,
        calculations: HashMap::new(),
        field_lists: field_list_ids,
    };
    let calculations = checksums::calculations(&root, &mut symbols)?;
    let (verify, update) = checksums::checksums(&root, &symbols)?;
    let standard = standard_metadata(&root, &symbols.layout)?;
    let errors = error_codes(&root)?;
    let parser = parsers::load(&root, &symbols)?;
    let (deparser, deparser_ops) = deparser(&root, &symbols)?;
    let (actions, action_ids) = actions(&root, &symbols)?;
    let pipelines = pipelines::load(&root, &symbols, p4info, options, &actions, &action_ids)?;
    let directory = directory(
        &root,
        p4info,
        &symbols,
        &registers,
        &counters,
        &pipelines.tables,
    )?;
    let program = Program {
        fixed_bytes: symbols.layout.fixed_bytes,
        phv_bytes: symbols.layout.phv_bytes,
        initially_valid: symbols
            .layout
            .headers
            .iter()
            .map(|header| header.metadata)
            .collect(),
        headers: symbols.layout.headers,
        stacks: symbols.layout.stacks,
        standard,
        errors,
        states: parser.states,
        start: parser.start,
        verify,
        update,
        deparser,
        deparser_ops,
        actions,
        nodes: pipelines.nodes,
        ingress: pipelines.ingress,
        egress: pipelines.egress,
        calculations,
        registers,
        counters,
        field_lists,
    };
    Ok(Loaded {
        program,
        tables: pipelines.tables,
        directory,
    })
}

/// Names to positions; a name that is there twice is an error.
fn index<'a>(
    root: &Json<'_>,
    what: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<HashMap<String, u16>, LoadError> {
    let mut map = HashMap::new();
    for (at, name) in names.enumerate() {
        let Ok(position) = u16::try_from(at) else {
            return root.fail(format!("{what}: more than 65536"));
        };
        if map.insert(name.clone(), position).is_some() {
            return root.fail(format!("{what}: {name:?} is there twice"));
        }
    }
    Ok(map)
}

fn registers(root: &Json<'_>) -> Result<Vec<RegisterDef>, LoadError> {
    let mut registers = Vec::new();
    for array in root.list("register_arrays")? {
        let width = array.get("bitwidth")?.number(1 << 16)? as u32;
        let size = array.get("size")?.number(u64::from(u32::MAX))?;
        if width == 0 || u64::from(width.div_ceil(8)) * size > MAX_ARRAY_BYTES {
            return array.fail(format!("{size} cells of {width} bits are not supported"));
        }
        let name = array.get("name")?.str()?.to_owned();
        registers.push(RegisterDef {
            name,
            width,
            size: size as u32,
        });
    }
    Ok(registers)
}

/// Indirect counters only; direct ones belong to their tables.
fn counters(root: &Json<'_>) -> Result<Vec<CounterDef>, LoadError> {
    let mut counters = Vec::new();
    for array in root.list("counter_arrays")? {
        if array.flag("is_direct")? {
            continue;
        }
        let size = array.get("size")?.number(u64::from(u32::MAX))?;
        if size * 16 > MAX_ARRAY_BYTES {
            return array.fail(format!("{size} cells are not supported"));
        }
        counters.push(CounterDef {
            name: array.get("name")?.str()?.to_owned(),
            size: size as u32,
        });
    }
    Ok(counters)
}

fn meters(root: &Json<'_>) -> Result<HashMap<String, ()>, LoadError> {
    let mut meters = HashMap::new();
    for array in root.list("meter_arrays")? {
        meters.insert(array.get("name")?.str()?.to_owned(), ());
    }
    Ok(meters)
}

/// Metadata fields that copies of packets keep, and the position of each list by its id.
fn field_lists(
    root: &Json<'_>,
    layout: &Layout,
) -> Result<(Vec<FieldList>, HashMap<u64, u16>), LoadError> {
    let (mut lists, mut ids) = (Vec::new(), HashMap::new());
    for list in root.list("field_lists")? {
        let mut fields = Vec::new();
        for element in list.list("elements")? {
            if element.get("type")?.str()? != "field" {
                return element.fail("only fields can be kept");
            }
            fields.push(layout.bits(&element.get("value")?)?);
        }
        ids.insert(list.get("id")?.number(u64::MAX)?, lists.len() as u16);
        lists.push(fields);
    }
    Ok((lists, ids))
}

fn actions(
    root: &Json<'_>,
    symbols: &Symbols,
) -> Result<(Vec<Action>, HashMap<u64, u16>), LoadError> {
    let (mut actions, mut ids) = (Vec::new(), HashMap::new());
    for action in root.list("actions")? {
        let id = action.get("id")?;
        let Ok(position) = u16::try_from(actions.len()) else {
            return action.fail("more than 65536 actions");
        };
        if ids.insert(id.number(u64::MAX)?, position).is_some() {
            return id.fail("another action has this id");
        }
        actions.push(ops::action(&action, symbols)?);
    }
    Ok((actions, ids))
}

fn deparser(
    root: &Json<'_>,
    symbols: &Symbols,
) -> Result<(Vec<HeaderId>, Vec<crate::program::Op>), LoadError> {
    let list = root.list("deparsers")?;
    let Some(deparser) = list.first() else {
        return Ok((Vec::new(), Vec::new()));
    };
    let mut order = Vec::new();
    for name in deparser.list("order")? {
        order.push(symbols.layout.header(&name)?);
    }
    let ops = ops::primitives(&deparser.list("primitives")?, symbols, &[])?;
    Ok((order, ops))
}

/// Finds a field that the target uses by the name that `simple_switch` has for it.
fn target_field(root: &Json<'_>, layout: &Layout, name: &str) -> Result<Option<Bits>, LoadError> {
    for alias in root.list("field_aliases")? {
        let (from, to) = alias.pair()?;
        if from.str()? == name {
            return layout.bits(&to).map(Some);
        }
    }
    let (header, field) = name.split_once('.').unwrap_or((name, ""));
    Ok(layout.find(header, field))
}

fn standard_metadata(root: &Json<'_>, layout: &Layout) -> Result<StandardMetadata, LoadError> {
    let find = |name: &str| target_field(root, layout, name);
    let need = |name: &str| {
        find(name)?
            .ok_or_else(|| root.error(format!("there is no field {name}, which the target needs")))
    };
    Ok(StandardMetadata {
        ingress_port: need("standard_metadata.ingress_port")?,
        packet_length: need("standard_metadata.packet_length")?,
        instance_type: need("standard_metadata.instance_type")?,
        egress_spec: need("standard_metadata.egress_spec")?,
        egress_port: need("standard_metadata.egress_port")?,
        parser_error: find("standard_metadata.parser_error")?,
        checksum_error: find("standard_metadata.checksum_error")?,
        ingress_timestamp: find("intrinsic_metadata.ingress_global_timestamp")?,
        egress_timestamp: find("intrinsic_metadata.egress_global_timestamp")?,
        multicast_group: find("intrinsic_metadata.mcast_grp")?,
        egress_rid: find("intrinsic_metadata.egress_rid")?,
        enqueue_timestamp: find("queueing_metadata.enq_timestamp")?,
    })
}

/// Values of the core errors; errors that the program does not list get values after its own.
fn error_codes(root: &Json<'_>) -> Result<ErrorCodes, LoadError> {
    let mut known = HashMap::new();
    for error in root.list("errors")? {
        let (name, value) = error.pair()?;
        known.insert(name.str()?, value.number(u64::from(u32::MAX))? as u32);
    }
    let mut next = known.values().max().map_or(0, |max| max.saturating_add(1));
    let mut code = |name: &str| {
        known.get(name).copied().unwrap_or_else(|| {
            next = next.saturating_add(1);
            next - 1
        })
    };
    Ok(ErrorCodes {
        no_error: code("NoError"),
        packet_too_short: code("PacketTooShort"),
        stack_out_of_bounds: code("StackOutOfBounds"),
        header_too_short: code("HeaderTooShort"),
        invalid_argument: code("ParserInvalidArgument"),
    })
}

/// P4Info ids of everything that can be written.
fn directory(
    root: &Json<'_>,
    p4info: &P4Info,
    symbols: &Symbols,
    registers: &[RegisterDef],
    counters: &[CounterDef],
    tables: &[Table],
) -> Result<Directory, LoadError> {
    let mut directory = Directory::default();
    for (at, table) in tables.iter().enumerate() {
        if table.schema.id != 0 {
            directory.tables.push((table.schema.id, at as u16));
        }
    }
    for register in &p4info.registers {
        let name = &register.preamble.name;
        match symbols.registers.get(name) {
            Some(&at) if registers[usize::from(at)].size == register.size => {
                directory.registers.push((register.preamble.id, at));
            }
            Some(_) => return root.fail(format!("register {name}: P4Info has another size")),
            None => return root.fail(format!("P4Info has a register {name}, the program has not")),
        }
    }
    for counter in &p4info.counters {
        let name = &counter.preamble.name;
        match symbols.counters.get(name) {
            Some(&at) if i64::from(counters[usize::from(at)].size) == counter.size => {
                directory.counters.push((counter.preamble.id, at));
            }
            Some(_) => return root.fail(format!("counter {name}: P4Info has another size")),
            None => return root.fail(format!("P4Info has a counter {name}, the program has not")),
        }
    }
    directory.sort();
    Ok(directory)
}
