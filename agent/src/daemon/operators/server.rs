//! The calls, one after the other as in `agent.proto`.

use std::vec::IntoIter;

use flownic_api::v1;
use flownic_api::v1::agent_server::Agent;
use flownic_pipeline::entity::UpdateError;
use tokio_stream::Iter;
use tonic::{Request as Call, Response, Status};

use super::super::core::Request;
use super::super::since;
use super::check::check;
use super::entries::{atomicity, entry_message, update};
use super::statistics::{hits, statistics};
use super::{CHUNK, Operators, nic_status};
use crate::state::FlowView;
use crate::state::config::Vnic;

type Answer<T> = Result<Response<T>, Status>;

/// Answers that are made before they are sent.
type Stream<T> = Iter<IntoIter<Result<T, Status>>>;

#[tonic::async_trait]
impl Agent for Operators {
    type ReadTableStream = Stream<v1::TableEntries>;
    type ListFlowsStream = Stream<v1::Flow>;

    async fn get_device(&self, _: Call<v1::GetDeviceRequest>) -> Answer<v1::Device> {
        let snapshot = self.snapshot().await?;
        let status = self.nic.borrow().clone();
        let mut device = v1::Device {
            host: self.host.clone(),
            address: self.address.clone(),
            health: status.problem,
            nis_attached: snapshot.attached,
            nis: self.service.clone(),
            uptime_seconds: since(self.started).as_secs(),
            ..v1::Device::default()
        };
        let Some(opened) = status.opened else {
            return Ok(Response::new(device));
        };
        let info = opened.nic.info();
        if let Some(pci) = info.pci {
            device.vendor_id = pci.vendor.into();
            device.device_id = pci.device.into();
            device.interface_version = pci.abi_version;
        }
        device.firmware = info.firmware.clone();
        device.pipeline_cookie = info.pipeline_cookie;
        match opened.nic.table_use().await {
            Ok(tables) => {
                device.healthy = true;
                let p4info = opened.nic.p4info();
                let with_name = |table: flownic_driver::TableUse| v1::TableUse {
                    name: (p4info.table_by_id(table.table))
                        .map_or_else(|| table.table.to_string(), |t| t.preamble.name.clone()),
                    size: table.size,
                    used: table.used,
                };
                device.tables = tables.into_iter().map(with_name).collect();
            }
            Err(error) => device.health = error.to_string(),
        }
        Ok(Response::new(device))
    }

    async fn get_pipeline(&self, _: Call<v1::GetPipelineRequest>) -> Answer<v1::Pipeline> {
        let p4info_json = self.nic()?.nic.p4info().to_json();
        Ok(Response::new(v1::Pipeline { p4info_json }))
    }

    async fn read_table(
        &self,
        call: Call<v1::ReadTableRequest>,
    ) -> Answer<Stream<v1::TableEntries>> {
        let table = call.into_inner().table_id;
        let nic = self.nic()?.nic;
        if nic.p4info().table_by_id(table).is_none() {
            let what = format!("the pipeline has no table {table}");
            return Err(Status::not_found(what));
        }
        let mut entries = nic.read_table(table).await.map_err(|e| nic_status(&e))?;
        let mut chunks = Vec::new();
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(CHUNK));
            let entries_of_chunk = std::mem::replace(&mut entries, rest);
            chunks.push(Ok(v1::TableEntries {
                entries: entries_of_chunk.into_iter().map(entry_message).collect(),
            }));
        }
        Ok(Response::new(tokio_stream::iter(chunks)))
    }

    async fn write_table(
        &self,
        call: Call<v1::WriteTableRequest>,
    ) -> Answer<v1::WriteTableResponse> {
        let request = call.into_inner();
        let atomicity = atomicity(request.atomicity).map_err(Status::invalid_argument)?;
        let mut updates = Vec::with_capacity(request.updates.len());
        for (n, message) in request.updates.into_iter().enumerate() {
            let what = |what| Status::invalid_argument(format!("update {n}: {what}"));
            updates.push(update(message).map_err(what)?);
        }
        let results = if request.dry_run {
            let opened = self.nic()?;
            let p4info = opened.nic.p4info();
            updates.iter().map(|update| check(p4info, update)).collect()
        } else {
            let request = |reply| Request::Write {
                updates,
                atomicity,
                reply,
            };
            (self.ask(request).await?).map_err(|why| Status::unavailable(gone(&why)))?
        };
        let statuses = results.into_iter().map(update_status).collect();
        Ok(Response::new(v1::WriteTableResponse { statuses }))
    }

    async fn list_flows(&self, call: Call<v1::ListFlowsRequest>) -> Answer<Stream<v1::Flow>> {
        let vni = call.into_inner().vni;
        let flows = self.ask(|reply| Request::Flows(vni, reply)).await?;
        let hits = hits(&self.nic()?).await.map_err(|e| nic_status(&e))?;
        let message = |view: FlowView| {
            let hit = hits.get(&view.key).copied().unwrap_or_default();
            Ok(v1::Flow {
                entry: Some(view.entry),
                packets: hit.packets,
                bytes: hit.bytes,
                punted: view.punted,
                age_ms: view.age.as_millis() as u64,
                install_us: view.install_time.as_micros() as u64,
                current: view.current,
            })
        };
        let messages: Vec<_> = flows.into_iter().map(message).collect();
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn clear_flows(
        &self,
        call: Call<v1::ClearFlowsRequest>,
    ) -> Answer<v1::ClearFlowsResponse> {
        let vni = call.into_inner().vni;
        let removed = self.ask(|reply| Request::Clear(vni, reply)).await?;
        let removed = removed.map_err(|why| Status::unavailable(gone(&why)))?;
        Ok(Response::new(v1::ClearFlowsResponse { removed }))
    }

    async fn list_vfs(&self, _: Call<v1::ListVfsRequest>) -> Answer<v1::Vfs> {
        let snapshot = self.snapshot().await?;
        let mut vfs: Vec<_> = snapshot.vnics.iter().map(vf).collect();
        vfs.sort_by_key(|vf| (vf.vf, vf.vlan));
        Ok(Response::new(v1::Vfs { vfs }))
    }

    async fn get_statistics(&self, _: Call<v1::GetStatisticsRequest>) -> Answer<v1::Statistics> {
        let snapshot = self.snapshot().await?;
        let opened = self.nic.borrow().opened.clone();
        let statistics = statistics(opened.as_ref(), &snapshot).await;
        Ok(Response::new(statistics.map_err(|e| nic_status(&e))?))
    }
}

fn gone(why: &str) -> String {
    format!("the NIC is gone, the write may be done in part: {why}")
}

fn update_status(result: Result<(), UpdateError>) -> v1::UpdateStatus {
    match result {
        Ok(()) => v1::UpdateStatus::default(),
        Err(error) => v1::UpdateStatus {
            code: error.code as u32,
            message: error.message,
        },
    }
}

fn vf(vnic: &Vnic) -> v1::Vf {
    v1::Vf {
        vf: vnic.vf.into(),
        port: vnic.port().into(),
        vlan: vnic.vlan.into(),
        vnic: vnic.name.clone(),
        vni: vnic.vni,
        mac: vnic.mac.to_string(),
        addresses: vnic.addresses.iter().map(ToString::to_string).collect(),
        mtu: vnic.mtu.into(),
        spoof_check: true,
    }
}
