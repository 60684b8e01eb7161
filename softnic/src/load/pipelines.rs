//! Pipelines: control flow and tables.

use std::collections::HashMap;

use flownic_pipeline::p4info::P4Info;

use super::Symbols;
use super::expr::Reader;
use super::json::{Json, LoadError};
use super::tables;
use crate::engine::Options;
use crate::program::{Action, Bits, Next, Node, NodeId};
use crate::tables::Table;

/// Both pipelines.
#[derive(Default)]
pub(crate) struct Pipelines {
    pub(crate) nodes: Vec<Node>,
    pub(crate) tables: Vec<Table>,
    pub(crate) ingress: Option<NodeId>,
    pub(crate) egress: Option<NodeId>,
}

/// What tables need to know.
pub(crate) struct Context<'a> {
    pub(crate) symbols: &'a Symbols,
    pub(crate) p4info: &'a P4Info,
    pub(crate) options: &'a Options,
    pub(crate) actions: &'a [Action],
    pub(crate) action_ids: &'a HashMap<u64, u16>,
    /// Where the meter of each table puts its result.
    pub(crate) colors: HashMap<&'a str, Bits>,
}

/// Loads `ingress` and `egress`.
pub(crate) fn load(
    root: &Json<'_>,
    symbols: &Symbols,
    p4info: &P4Info,
    options: &Options,
    actions: &[Action],
    action_ids: &HashMap<u64, u16>,
) -> Result<Pipelines, LoadError> {
    let mut colors = HashMap::new();
    for meter in root.list("meter_arrays")? {
        if meter.flag("is_direct")? {
            let target = symbols.layout.bits(&meter.get("result_target")?)?;
            colors.insert(meter.get("name")?.str()?, target);
        }
    }
    let context = Context {
        symbols,
        p4info,
        options,
        actions,
        action_ids,
        colors,
    };
    let mut pipelines = Pipelines::default();
    for json in root.list("pipelines")? {
        let name = json.get("name")?;
        let start = pipeline(&json, &context, &mut pipelines)?;
        match name.str()? {
            "ingress" => pipelines.ingress = start,
            "egress" => pipelines.egress = start,
            other => return name.fail(format!("there is no place for a pipeline {other:?}")),
        }
    }
    Ok(pipelines)
}

/// Names of nodes to their numbers, and the numbers of all pipelines before.
struct Names<'a> {
    nodes: HashMap<&'a str, NodeId>,
}

impl Names<'_> {
    fn find(&self, json: Option<Json<'_>>) -> Result<Option<NodeId>, LoadError> {
        let Some(json) = json else { return Ok(None) };
        let name = json.str()?;
        match self.nodes.get(name) {
            Some(&node) => Ok(Some(node)),
            None => json.fail(format!("there is no table or condition {name:?}")),
        }
    }
}

fn pipeline(
    json: &Json<'_>,
    context: &Context<'_>,
    all: &mut Pipelines,
) -> Result<Option<NodeId>, LoadError> {
    let tables = json.list("tables")?;
    let conditionals = json.list("conditionals")?;
    let calls = json.list("action_calls")?;
    let first = all.nodes.len() as NodeId;
    let mut names = Names {
        nodes: HashMap::new(),
    };
    let nodes = tables.iter().chain(&conditionals).chain(&calls);
    for (id, node) in (first..).zip(nodes) {
        let name = node.get("name")?;
        if names.nodes.insert(name.str()?, id).is_some() {
            return name.fail("another node has this name");
        }
    }
    for table in &tables {
        let node = table_node(table, context, &names, &mut all.tables)?;
        all.nodes.push(node);
    }
    let reader = Reader {
        symbols: context.symbols,
        params: &[],
    };
    for conditional in &conditionals {
        all.nodes.push(Node::If {
            condition: reader.truth(&conditional.get("expression")?)?,
            then: names.find(conditional.opt("true_next"))?,
            otherwise: names.find(conditional.opt("false_next"))?,
        });
    }
    for call in &calls {
        let id = call.get("action_id")?;
        let Some(&action) = context.action_ids.get(&id.number(u64::MAX)?) else {
            return id.fail("there is no action with this id");
        };
        if !context.actions[usize::from(action)].params.is_empty() {
            return id.fail("the action has parameters");
        }
        all.nodes.push(Node::Action {
            action,
            next: names.find(call.opt("next_node"))?,
        });
    }
    check_acyclic(json, &all.nodes, first)?;
    names.find(json.opt("init_table"))
}

fn table_node(
    json: &Json<'_>,
    context: &Context<'_>,
    names: &Names<'_>,
    tables: &mut Vec<Table>,
) -> Result<Node, LoadError> {
    let (table, key) = tables::table(json, context)?;
    let Ok(index) = u16::try_from(tables.len()) else {
        return json.fail("more than 65536 tables");
    };
    let color = match json.opt("direct_meters") {
        None => None,
        Some(meter) => match context.colors.get(meter.str()?) {
            Some(&bits) => Some(bits),
            None => return meter.fail("there is no such direct meter"),
        },
    };
    let next = next(json, names)?;
    // Compilers wrap plain statements in tables without a key, which the control plane cannot see.
    if table.schema.id == 0
        && key.is_empty()
        && color.is_none()
        && !table.schema.direct_counter
        && table.default.data.is_empty()
        && let Some(action) = table.default.action
    {
        let next = match next {
            Next::Always(next) => next,
            Next::HitMiss { miss, .. } => miss,
            Next::Action { by_action, .. } => by_action[usize::from(action)],
        };
        let action = table.schema.actions[usize::from(action)].action;
        return Ok(Node::Action { action, next });
    }
    tables.push(table);
    Ok(Node::Table {
        table: index,
        key,
        color,
        next,
    })
}

/// Where control goes after a table.
fn next(json: &Json<'_>, names: &Names<'_>) -> Result<Next, LoadError> {
    let default = names.find(json.opt("base_default_next"))?;
    let Some(map) = json.opt("next_tables") else {
        return Ok(Next::Always(default));
    };
    if map.has("__HIT__") || map.has("__MISS__") {
        let hit = if map.has("__HIT__") {
            names.find(map.opt("__HIT__"))?
        } else {
            default
        };
        let miss = if map.has("__MISS__") {
            names.find(map.opt("__MISS__"))?
        } else {
            default
        };
        return Ok(Next::HitMiss { hit, miss });
    }
    let mut by_action = Vec::new();
    for action in json.list("actions")? {
        let name = action.str()?;
        let next = if map.has(name) {
            names.find(map.opt(name))?
        } else {
            default
        };
        by_action.push(next);
    }
    match by_action.first() {
        Some(&first) if first == default && by_action.iter().all(|&next| next == first) => {
            Ok(Next::Always(first))
        }
        _ => Ok(Next::Action {
            by_action,
            miss: default,
        }),
    }
}

/// Control flow must come to an end.
fn check_acyclic(json: &Json<'_>, nodes: &[Node], first: NodeId) -> Result<(), LoadError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; nodes.len()];
    for start in first..nodes.len() as NodeId {
        // A node is on the stack twice: to be opened, and to be closed after its successors.
        let mut stack = vec![(start, false)];
        while let Some((node, close)) = stack.pop() {
            let mark = &mut marks[node as usize];
            match (*mark, close) {
                (_, true) => *mark = Mark::Done,
                (Mark::Done, false) => {}
                (Mark::Open, false) => return json.fail("the control flow has a loop"),
                (Mark::New, false) => {
                    *mark = Mark::Open;
                    stack.push((node, true));
                    stack.extend(successors(&nodes[node as usize]).map(|next| (next, false)));
                }
            }
        }
    }
    Ok(())
}

fn successors(node: &Node) -> impl Iterator<Item = NodeId> {
    let list: Vec<Option<NodeId>> = match node {
        Node::If {
            then, otherwise, ..
        } => vec![*then, *otherwise],
        Node::Action { next, .. } => vec![*next],
        Node::Table { next, .. } => match next {
            Next::Always(next) => vec![*next],
            Next::HitMiss { hit, miss } => vec![*hit, *miss],
            Next::Action { by_action, miss } => by_action.iter().copied().chain([*miss]).collect(),
        },
    };
    list.into_iter().flatten()
}
