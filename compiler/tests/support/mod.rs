//! Helpers of the tests: expected texts in files, and a listing of programs that a person reads.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use flownic_pipeline::bmv2::{
    Expression, KeyTarget, Operand, ParserParameter, Primitive, Program, TransitionKind, Value,
};

/// Environment variable that makes tests write what they got in place of comparing it.
pub const UPDATE: &str = "UPDATE_EXPECT";

/// A path in this package.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Programs of a folder, by name.
pub fn programs(folder: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(path(folder)).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut found: Vec<PathBuf> = files
        .filter(|f| f.extension().is_some_and(|e| e == "p4"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no programs in {folder}");
    found
}

/// Compares with the text of a file; says how it differs, or `None`.
pub fn differs(file: &Path, got: &str) -> Option<String> {
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(file, got).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if expected == got {
        return None;
    }
    let mut text = format!("{}\n", file.display());
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), got.lines().collect());
    let first = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let window = |lines: &[&str]| {
        lines
            .iter()
            .skip(first)
            .take(4)
            .map(|l| format!("    {l}\n"))
            .collect::<String>()
    };
    let _ = write!(
        text,
        "  line {}\n  expected:\n{}  got:\n{}",
        first + 1,
        window(&old),
        window(&new)
    );
    Some(text)
}

/// Fails with all differences and the command that accepts them.
pub fn check(differences: Vec<String>) {
    assert!(
        differences.is_empty(),
        "\n{}\nif this is right: {UPDATE}=1 cargo test -p flownic-compiler\n",
        differences.join("\n")
    );
}

/// A program as text: what it does, without ids and positions.
pub fn listing(program: &Program) -> String {
    let mut text = String::new();
    for header in &program.headers {
        let metadata = if header.metadata { " metadata" } else { "" };
        let ty = program
            .header_types
            .iter()
            .find(|ty| ty.name == header.header_type);
        let fields: Vec<String> = ty
            .unwrap()
            .fields
            .iter()
            .map(|field| match field.width {
                Some(width) if field.signed => format!("{}:int{width}", field.name),
                Some(width) => format!("{}:{width}", field.name),
                None => format!("{}:*", field.name),
            })
            .collect();
        let _ = writeln!(
            text,
            "header{metadata} {}: {}",
            header.name,
            fields.join(" ")
        );
    }
    for state in program.parsers.iter().flat_map(|p| &p.parse_states) {
        let _ = writeln!(text, "state {}", state.name);
        for op in &state.parser_ops {
            let parameters: Vec<String> = op
                .parameters
                .iter()
                .map(|p| match p {
                    ParserParameter::Primitive(p) => primitive(p),
                    ParserParameter::Value(v) => value(v),
                    ParserParameter::Bytes(n) => n.to_string(),
                })
                .collect();
            let _ = writeln!(text, "  {} {}", op.op, parameters.join(", "));
        }
        let key: Vec<String> = state.transition_key.iter().map(value).collect();
        for t in &state.transitions {
            let next = t.next_state.as_deref().unwrap_or("accept");
            let case = match (t.kind, &t.value, &t.mask) {
                (TransitionKind::Default, ..) => "default".to_owned(),
                (_, Some(v), Some(m)) => format!("{v} &&& {m}"),
                (_, v, _) => v.clone().unwrap_or_default(),
            };
            let _ = writeln!(text, "  ({}) {case} -> {next}", key.join(", "));
        }
    }
    for pipeline in &program.pipelines {
        let name = |n: &Option<String>| n.clone().unwrap_or_else(|| "end".to_owned());
        let _ = writeln!(
            text,
            "pipeline {} -> {}",
            pipeline.name,
            name(&pipeline.init_table)
        );
        for c in &pipeline.conditionals {
            let (yes, no) = (name(&c.true_next), name(&c.false_next));
            let _ = writeln!(
                text,
                "  if {} {} -> {yes} | {no}",
                c.name,
                value(&c.expression)
            );
        }
        for t in &pipeline.tables {
            let key: Vec<String> = t
                .key
                .iter()
                .map(|k| {
                    let KeyTarget::Field([h, f]) = &k.target else {
                        return String::new();
                    };
                    format!("{h}.{f}:{:?}", k.match_type).to_lowercase()
                })
                .collect();
            let next: Vec<String> = t
                .next_tables
                .iter()
                .map(|(k, n)| format!("{k} -> {}", name(n)))
                .collect();
            let default = t.default_entry.as_ref().map(|d| {
                format!(
                    "{} {:?}",
                    program.actions[d.action_id as usize].name, d.action_data
                )
            });
            let _ = writeln!(
                text,
                "  table {} ({}) size {} default {} : {}",
                t.name,
                key.join(", "),
                t.max_size,
                default.unwrap_or_default(),
                next.join(", ")
            );
            for entry in &t.entries {
                let action = &program.actions[entry.action_entry.action_id as usize].name;
                let _ = writeln!(
                    text,
                    "    {} {:?} -> {action} {:?}",
                    entry.priority, entry.match_key, entry.action_entry.action_data
                );
            }
        }
    }
    for action in &program.actions {
        let data: Vec<String> = action
            .runtime_data
            .iter()
            .map(|d| format!("{}:{}", d.name, d.bitwidth))
            .collect();
        let _ = writeln!(text, "action {}({})", action.name, data.join(", "));
        for (at, p) in action.primitives.iter().enumerate() {
            let _ = writeln!(text, "  {at} {}", primitive(p));
        }
    }
    for calculation in &program.calculations {
        let input: Vec<String> = calculation.input.iter().map(|i| value(&i.value)).collect();
        let _ = writeln!(
            text,
            "calculation {} {}({})",
            calculation.name,
            calculation.algo,
            input.join(", ")
        );
    }
    for c in &program.checksums {
        let condition = c
            .if_cond
            .as_ref()
            .map_or_else(|| "always".to_owned(), value);
        let how = if c.update { "update" } else { "verify" };
        let _ = writeln!(
            text,
            "{how} {}.{} = {} if {condition}",
            c.target[0], c.target[1], c.calculation
        );
    }
    for deparser in &program.deparsers {
        let _ = writeln!(text, "deparser {}", deparser.order.join(" "));
    }
    text
}

fn primitive(p: &Primitive) -> String {
    let parameters: Vec<String> = p.parameters.iter().map(value).collect();
    format!("{} {}", p.op, parameters.join(", "))
}

fn value(v: &Value) -> String {
    match v {
        Value::Field([h, f]) => format!("{h}.{f}"),
        Value::Hexstr(n) => n.clone(),
        Value::Bool(b) => b.to_string(),
        Value::Local(n) => format!("local{n}"),
        Value::RuntimeData(n) => format!("data{n}"),
        Value::Lookahead([from, width]) => format!("lookahead({from}, {width})"),
        Value::Expression(e) => match &**e {
            Expression::Value(v) => value(v),
            Expression::Operation(o) => {
                let side = |s: &Option<Operand>| match s {
                    Some(Operand::Value(v)) => value(v),
                    Some(Operand::Index(n)) => n.to_string(),
                    None => String::new(),
                };
                let (left, right) = (side(&o.left), side(&o.right));
                match &o.cond {
                    Some(c) => format!("({} ? {left} : {right})", value(c)),
                    None if left.is_empty() => format!("{}({right})", o.op),
                    None => format!("({left} {} {right})", o.op),
                }
            }
        },
        Value::Header(n)
        | Value::Regular(n)
        | Value::CounterArray(n)
        | Value::RegisterArray(n)
        | Value::MeterArray(n)
        | Value::Calculation(n) => n.clone(),
        Value::String(t) => format!("{t:?}"),
        other => format!("{other:?}"),
    }
}
