//! `flownic table`.

use std::io::Read;
use std::path::Path;

use flownic_api::v1;
use serde::{Serialize, Serializer};

use super::repeat;
use crate::cli::{EntryOptions, TableCommand};
use crate::client::{Agent, Servers};
use crate::error::{Error, io};
use crate::names::{Catalog, Kind, Line, match_kind, parse_line, short_name};
use crate::output::{Output, table};

#[derive(Serialize)]
struct Tables {
    tables: Vec<TableSummary>,
}

#[derive(Serialize)]
struct TableSummary {
    name: String,
    id: u32,
    key: Vec<KeyField>,
    used: Option<u64>,
    size: u64,
}

#[derive(Serialize)]
struct KeyField {
    name: String,
    bits: u32,
    r#match: &'static str,
}

#[derive(Serialize)]
struct Entries {
    table: String,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(serialize_with = "as_map")]
    r#match: Words,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    action: String,
    #[serde(serialize_with = "as_map")]
    params: Words,
    default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

#[derive(Serialize)]
struct Written {
    dry_run: bool,
    written: usize,
}

/// Names and values, in the order of the program.
type Words = Vec<(String, String)>;

fn as_map<S: Serializer>(words: &Words, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(words.iter().map(|(name, value)| (name, value)))
}

/// An update and where it was written down: `file:3: `, or nothing for the command line.
struct Request {
    origin: String,
    line: Line,
}

/// Runs the command.
pub(crate) async fn run(
    command: TableCommand,
    servers: &Servers,
    output: Output,
) -> Result<(), Error> {
    match command {
        TableCommand::List(watch) => {
            let mut agent = servers.agent().await?;
            let catalog = catalog(&mut agent).await?;
            repeat(watch, async || list(&mut agent, &catalog, output).await).await
        }
        TableCommand::Show { table, watch } => {
            let mut agent = servers.agent().await?;
            let catalog = catalog(&mut agent).await?;
            repeat(watch, async || {
                show(&mut agent, &catalog, &table, output).await
            })
            .await
        }
        TableCommand::Insert(options) => write(Kind::Insert, &options, servers, output).await,
        TableCommand::Modify(options) => write(Kind::Modify, &options, servers, output).await,
        TableCommand::Delete(options) => write(Kind::Delete, &options, servers, output).await,
    }
}

async fn catalog(agent: &mut Agent) -> Result<Catalog, Error> {
    let explain = agent.explain("cannot read the pipeline's names");
    let answer = agent
        .client
        .get_pipeline(v1::GetPipelineRequest {})
        .await
        .map_err(explain)?;
    Catalog::from_json(&answer.into_inner().p4info_json)
}

async fn list(agent: &mut Agent, catalog: &Catalog, output: Output) -> Result<(), Error> {
    let explain = agent.explain("cannot read how full the tables are");
    let device = agent
        .client
        .get_device(v1::GetDeviceRequest {})
        .await
        .map_err(explain)?
        .into_inner();
    let summary = |table: &flownic_pipeline::p4info::Table| {
        let name = &table.preamble.name;
        let used = device
            .tables
            .iter()
            .find(|one| one.name == *name || one.name == table.preamble.alias);
        TableSummary {
            name: name.clone(),
            id: table.preamble.id,
            key: table
                .match_fields
                .iter()
                .map(|field| KeyField {
                    name: short_name(field).to_owned(),
                    bits: field.bitwidth,
                    r#match: match_kind(field),
                })
                .collect(),
            used: used.map(|table| table.used),
            size: u64::try_from(table.size).unwrap_or(0),
        }
    };
    let tables = catalog.tables().iter().map(summary).collect();
    output.print(&Tables { tables }, |list| {
        table(
            &["table", "used#", "size#", "key"],
            list.tables.iter().map(|one| {
                let key: Vec<String> = one
                    .key
                    .iter()
                    .map(|field| match field.r#match {
                        "exact" => field.name.clone(),
                        kind => format!("{} ({kind})", field.name),
                    })
                    .collect();
                vec![
                    one.name.clone(),
                    one.used.map_or_else(|| "?".into(), |used| used.to_string()),
                    one.size.to_string(),
                    key.join(", "),
                ]
            }),
        )
    })
}

async fn show(
    agent: &mut Agent,
    catalog: &Catalog,
    name: &str,
    output: Output,
) -> Result<(), Error> {
    let info = catalog.table(name)?;
    let explain = agent.explain(&format!("cannot read table {}", info.preamble.alias));
    let request = v1::ReadTableRequest {
        table_id: info.preamble.id,
    };
    let mut stream = agent
        .client
        .read_table(request)
        .await
        .map_err(&explain)?
        .into_inner();
    let mut entries = Vec::new();
    while let Some(part) = stream.message().await.map_err(&explain)? {
        entries.extend(part.entries.iter().map(|entry| {
            let (action, params) = catalog.print_action(entry);
            Entry {
                r#match: catalog.print_match(info, entry),
                priority: Some(entry.priority).filter(|&priority| priority != 0),
                action,
                params,
                default: entry.is_default,
                packets: entry.packets,
                bytes: entry.bytes,
            }
        }));
    }
    entries.sort_by_cached_key(|entry| (entry.default, entry.r#match.clone()));
    let fields: Vec<&str> = info.match_fields.iter().map(short_name).collect();
    let listed = Entries {
        table: info.preamble.name.clone(),
        entries,
    };
    output.print(&listed, |list| show_text(list, &fields))
}

fn show_text(list: &Entries, fields: &[&str]) -> String {
    let prioritized = list.entries.iter().any(|entry| entry.priority.is_some());
    let counted = list.entries.iter().any(|entry| entry.packets.is_some());
    let mut titles = fields.to_vec();
    titles.extend(prioritized.then_some("priority#"));
    titles.push("action");
    titles.extend(
        counted
            .then_some(["packets#", "bytes#"])
            .into_iter()
            .flatten(),
    );
    let rows = list.entries.iter().map(|entry| {
        let field = |name: &&str| {
            let given = entry.r#match.iter().find(|(field, _)| field == name);
            match given {
                Some((_, value)) => value.clone(),
                None if entry.default => "(default)".into(),
                None => "*".into(),
            }
        };
        let number =
            |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let mut row: Vec<String> = fields.iter().map(field).collect();
        if prioritized {
            row.push(
                entry
                    .priority
                    .map_or_else(String::new, |priority| priority.to_string()),
            );
        }
        let mut action = entry.action.clone();
        for (name, value) in &entry.params {
            action.push_str(&format!(" {name}={value}"));
        }
        row.push(action);
        if counted {
            row.extend([number(entry.packets), number(entry.bytes)]);
        }
        row
    });
    format!(
        "{}{} in {}",
        table(&titles, rows),
        count(list.entries.len(), "entry", "entries"),
        list.table
    )
}

/// Reads the words before anything is connected, and the names before anything is written.
async fn write(
    kind: Kind,
    options: &EntryOptions,
    servers: &Servers,
    output: Output,
) -> Result<(), Error> {
    let requests = match &options.file {
        Some(file) => read_file(file)?,
        None => vec![Request {
            origin: String::new(),
            line: Line::parse(kind, options.entry.iter().map(String::as_str))?,
        }],
    };
    let mut agent = servers.agent().await?;
    let catalog = catalog(&mut agent).await?;
    let mut updates = Vec::new();
    for request in &requests {
        updates.push(
            catalog
                .update(&request.line)
                .map_err(|error| at(&request.origin, error))?,
        );
    }
    let explain = agent.explain("cannot write tables");
    let message = v1::WriteTableRequest {
        updates,
        atomicity: v1::Atomicity::RollbackOnError.into(),
        dry_run: options.dry_run,
    };
    let answer = agent
        .client
        .write_table(message)
        .await
        .map_err(explain)?
        .into_inner();
    first_error(&requests, &answer.statuses)?;
    let written = Written {
        dry_run: options.dry_run,
        written: if options.dry_run { 0 } else { requests.len() },
    };
    let number = count(requests.len(), "entry", "entries");
    output.print(&written, |written| match written.dry_run {
        true => format!("{number} checked, nothing is written (dry run)"),
        false => format!("{number} written"),
    })
}

/// The cause among the statuses: an update that only followed another's failure is none.
fn first_error(requests: &[Request], statuses: &[v1::UpdateStatus]) -> Result<(), Error> {
    if statuses.len() != requests.len() {
        return Err(Error::Failed(format!(
            "the agent answered {} of {} updates; flownic table show tells what is there",
            statuses.len(),
            requests.len()
        )));
    }
    let failed = |status: &v1::UpdateStatus| status.code != 0;
    let aborted = tonic::Code::Aborted as u32;
    let cause = statuses
        .iter()
        .position(|status| failed(status) && status.code != aborted)
        .or_else(|| statuses.iter().position(failed));
    let Some(index) = cause else {
        return Ok(());
    };
    let (request, status) = (&requests[index], &statuses[index]);
    let code = tonic::Code::from_i32(i32::try_from(status.code).unwrap_or(2));
    let what = format!(
        "cannot {} an entry of {}: {}; nothing is written",
        request.line.kind.name(),
        request.line.table,
        status.message
    );
    Err(at(&request.origin, Error::from_code(code, what)))
}

fn read_file(file: &Path) -> Result<Vec<Request>, Error> {
    let name = file.display().to_string();
    let text = if name == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| io("read", file, &error))?;
    let mut requests = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let origin = format!("{name}:{}", number + 1);
        if let Some(line) = parse_line(line).map_err(|error| at(&origin, error))? {
            requests.push(Request { origin, line });
        }
    }
    if requests.is_empty() {
        return Err(Error::Usage(format!("{name} has no entries")));
    }
    Ok(requests)
}

/// `1 entry`, `2 entries`.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn at(origin: &str, error: Error) -> Error {
    if origin.is_empty() {
        error
    } else {
        error.context(origin)
    }
}
