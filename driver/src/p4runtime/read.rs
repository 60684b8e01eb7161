//! Reading entities. Targets stream them, in messages of any size; the deadline holds for each.

use flownic_api::p4::v1 as proto;
use flownic_api::p4::v1::entity::Entity as Kind;
use flownic_pipeline::entity::{CounterData, Entity, TableEntry};
use flownic_pipeline::p4info::P4Info;
use tokio::time::timeout;

use super::convert::{self, cell};
use super::error::P4RuntimeError;
use super::session::Session;

/// Cells that are asked for in one request.
const CELLS_PER_REQUEST: u32 = 1024;

const TABLE: &str = "the read of a table";
const REGISTER: &str = "the read of a register";
const COUNTER: &str = "the read of a counter";

/// All entries of a table, with their direct counters where the table has them. The default entry
/// is not one of them.
pub(super) async fn table(
    session: &Session,
    p4info: &P4Info,
    table: u32,
) -> Result<Vec<TableEntry>, P4RuntimeError> {
    let mut counters = p4info.direct_counters.iter();
    let counted = counters.any(|counter| counter.direct_table_id == table);
    let wanted = proto::TableEntry {
        table_id: table,
        counter_data: counted.then(proto::CounterData::default),
        ..Default::default()
    };
    let mut entries = Vec::new();
    read(session, TABLE, vec![Kind::TableEntry(wanted)], |entity| {
        match convert::entity_from_proto(entity).map_err(|error| error.to_string())? {
            Entity::TableEntry(entry) if entry.table == table => entries.push(entry),
            other => return Err(format!("not asked for: {other:?}")),
        }
        Ok(())
    })
    .await?;
    Ok(entries)
}

/// The default entry of a table.
pub(super) async fn default_entry(
    session: &Session,
    table: u32,
) -> Result<Option<TableEntry>, P4RuntimeError> {
    let wanted = proto::TableEntry {
        table_id: table,
        is_default_action: true,
        ..Default::default()
    };
    let mut found = None;
    read(session, TABLE, vec![Kind::TableEntry(wanted)], |entity| {
        match convert::entity_from_proto(entity).map_err(|error| error.to_string())? {
            Entity::TableEntry(entry) if entry.table == table => found = Some(entry),
            other => return Err(format!("not asked for: {other:?}")),
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// How many entries each of the tables has, in their order.
pub(super) async fn table_use(
    session: &Session,
    tables: &[u32],
) -> Result<Vec<u64>, P4RuntimeError> {
    let mut used = vec![0; tables.len()];
    let wanted = tables.iter().map(|table| {
        Kind::TableEntry(proto::TableEntry {
            table_id: *table,
            ..Default::default()
        })
    });
    read(session, TABLE, wanted.collect(), |entity| {
        let Some(Kind::TableEntry(entry)) = entity.entity else {
            return Err("not asked for: no table entry".to_owned());
        };
        let place = tables.iter().position(|table| *table == entry.table_id);
        let place = place.ok_or_else(|| format!("not asked for: table {}", entry.table_id))?;
        if !entry.is_default_action {
            used[place] += 1;
        }
        Ok(())
    })
    .await?;
    Ok(used)
}

/// Cells of a register array.
pub(super) async fn registers(
    session: &Session,
    register: u32,
    first: u32,
    count: u32,
) -> Result<Vec<Vec<u8>>, P4RuntimeError> {
    let ask = |index| {
        Kind::RegisterEntry(proto::RegisterEntry {
            register_id: register,
            index: Some(cell(index)),
            data: None,
        })
    };
    let take = |entity| match entity {
        Entity::Register {
            register: id,
            index,
            value,
        } if id == register => Some((index, value)),
        _ => None,
    };
    cells(session, REGISTER, first, count, ask, take).await
}

/// Cells of a counter array.
pub(super) async fn counters(
    session: &Session,
    counter: u32,
    first: u32,
    count: u32,
) -> Result<Vec<CounterData>, P4RuntimeError> {
    let ask = |index| {
        Kind::CounterEntry(proto::CounterEntry {
            counter_id: counter,
            index: Some(cell(index)),
            data: None,
        })
    };
    let take = |entity| match entity {
        Entity::Counter {
            counter: id,
            index,
            data,
        } if id == counter => Some((index, data)),
        _ => None,
    };
    cells(session, COUNTER, first, count, ask, take).await
}

/// Reads the cells from `first` on, in requests of bounded size. Every cell must come, once.
async fn cells<T>(
    session: &Session,
    what: &'static str,
    first: u32,
    count: u32,
    ask: impl Fn(u32) -> Kind,
    take: impl Fn(Entity) -> Option<(u32, T)>,
) -> Result<Vec<T>, P4RuntimeError> {
    let mut values = Vec::new();
    let end = first.saturating_add(count);
    let mut start = first;
    while start < end {
        let stop = end.min(start.saturating_add(CELLS_PER_REQUEST));
        let wanted = (start..stop).map(&ask).collect();
        let mut found: Vec<Option<T>> = (start..stop).map(|_| None).collect();
        read(session, what, wanted, |entity| {
            let entity = convert::entity_from_proto(entity).map_err(|error| error.to_string())?;
            let (index, value) = take(entity).ok_or("not asked for: another object")?;
            let place = index.checked_sub(start).map(|offset| offset as usize);
            let place = place.and_then(|offset| found.get_mut(offset));
            *place.ok_or_else(|| format!("not asked for: cell {index}"))? = Some(value);
            Ok(())
        })
        .await?;
        let missing = found.iter().position(Option::is_none);
        if let Some(missing) = missing {
            let cell = u64::from(start) + missing as u64;
            let reason = format!("cell {cell} is missing");
            return Err(P4RuntimeError::Malformed { what, reason });
        }
        values.extend(found.into_iter().flatten());
        start = stop;
    }
    Ok(values)
}

/// Asks for entities and hands over each one that comes. `each` says what is wrong with one.
async fn read(
    session: &Session,
    what: &'static str,
    wanted: Vec<Kind>,
    mut each: impl FnMut(proto::Entity) -> Result<(), String>,
) -> Result<(), P4RuntimeError> {
    let target = session.target();
    let wanted = wanted
        .into_iter()
        .map(|kind| proto::Entity { entity: Some(kind) });
    let request = proto::ReadRequest {
        device_id: target.device_id,
        role: target.role.clone(),
        entities: wanted.collect(),
    };
    let mut client = session.client();
    let call = client.read(request);
    let mut stream = session.call(what, target.deadline, call).await?;
    loop {
        let message = timeout(target.deadline, stream.message()).await;
        let message = message.map_err(|_| P4RuntimeError::Timeout {
            what,
            after: target.deadline,
        })?;
        let message = message.map_err(|status| session.failure(what, &status))?;
        let Some(message) = message else {
            return Ok(());
        };
        for entity in message.entities {
            each(entity).map_err(|reason| P4RuntimeError::Malformed { what, reason })?;
        }
    }
}
