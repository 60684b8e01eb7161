//! `flownic vf`.

use flownic_api::v1;
use serde::Serialize;

use super::repeat;
use crate::cli::VfCommand;
use crate::client::Servers;
use crate::error::Error;
use crate::output::{Output, table};

#[derive(Serialize)]
struct Vfs {
    vfs: Vec<Vf>,
}

#[derive(Serialize)]
struct Vf {
    vf: u32,
    port: u32,
    vlan: u32,
    vnic: String,
    vni: u32,
    mac: String,
    addresses: Vec<String>,
    mtu: u32,
    spoof_check: bool,
}

/// Runs the command.
pub(crate) async fn run(
    command: VfCommand,
    servers: &Servers,
    output: Output,
) -> Result<(), Error> {
    let VfCommand::List(watch) = command;
    let mut agent = servers.agent().await?;
    repeat(watch, async || {
        let answer = agent
            .client
            .list_vfs(v1::ListVfsRequest {})
            .await
            .map_err(agent.explain("cannot list VFs"))?;
        let vfs = answer.into_inner().vfs.into_iter().map(Vf::from).collect();
        output.print(&Vfs { vfs }, text)
    })
    .await
}

impl From<v1::Vf> for Vf {
    fn from(vf: v1::Vf) -> Vf {
        Vf {
            vf: vf.vf,
            port: vf.port,
            vlan: vf.vlan,
            vnic: vf.vnic,
            vni: vf.vni,
            mac: vf.mac,
            addresses: vf.addresses,
            mtu: vf.mtu,
            spoof_check: vf.spoof_check,
        }
    }
}

fn text(list: &Vfs) -> String {
    table(
        &[
            "vf#",
            "port#",
            "vlan",
            "vnic",
            "vni#",
            "mac",
            "addresses",
            "mtu#",
            "spoofchk",
        ],
        list.vfs.iter().map(|vf| {
            vec![
                vf.vf.to_string(),
                vf.port.to_string(),
                if vf.vlan == 0 {
                    "untagged".into()
                } else {
                    vf.vlan.to_string()
                },
                vf.vnic.clone(),
                vf.vni.to_string(),
                vf.mac.clone(),
                vf.addresses.join(" "),
                vf.mtu.to_string(),
                if vf.spoof_check { "on" } else { "off" }.into(),
            ]
        }),
    )
}
