//! `flownic device`.

use flownic_api::v1;
use serde::Serialize;

use super::repeat;
use crate::cli::DeviceCommand;
use crate::client::Servers;
use crate::error::Error;
use crate::format;
use crate::output::{Output, table};

#[derive(Serialize)]
struct Device {
    host: String,
    address: String,
    vendor_id: u32,
    device_id: u32,
    interface_version: u32,
    firmware: String,
    pipeline_cookie: String,
    healthy: bool,
    health: String,
    nis: String,
    nis_attached: bool,
    uptime_seconds: u64,
    tables: Vec<TableUse>,
}

#[derive(Serialize)]
struct TableUse {
    name: String,
    used: u64,
    size: u64,
}

/// Runs the command.
pub(crate) async fn run(
    command: DeviceCommand,
    servers: &Servers,
    output: Output,
) -> Result<(), Error> {
    let DeviceCommand::Show(watch) = command;
    let mut agent = servers.agent().await?;
    repeat(watch, async || {
        let device = agent
            .client
            .get_device(v1::GetDeviceRequest {})
            .await
            .map_err(agent.explain("cannot read the device"))?;
        output.print(&Device::from(device.into_inner()), |device| {
            text(device, output)
        })
    })
    .await
}

impl From<v1::Device> for Device {
    fn from(device: v1::Device) -> Device {
        Device {
            host: device.host,
            address: device.address,
            vendor_id: device.vendor_id,
            device_id: device.device_id,
            interface_version: device.interface_version,
            firmware: device.firmware,
            pipeline_cookie: format!("0x{:016x}", device.pipeline_cookie),
            healthy: device.healthy,
            health: device.health,
            nis: device.nis,
            nis_attached: device.nis_attached,
            uptime_seconds: device.uptime_seconds,
            tables: device
                .tables
                .into_iter()
                .map(|table| TableUse {
                    name: table.name,
                    used: table.used,
                    size: table.size,
                })
                .collect(),
        }
    }
}

fn text(device: &Device, output: Output) -> String {
    let health = match (device.healthy, device.health.as_str()) {
        (true, "") => "healthy".to_owned(),
        (true, note) => format!("healthy: {note}"),
        (false, why) => format!("NOT HEALTHY: {why}"),
    };
    let attached = if device.nis_attached {
        "attached"
    } else {
        "NOT ATTACHED"
    };
    let lines = [
        ("host", device.host.clone()),
        ("device", device.address.clone()),
        (
            "id",
            format!("{:04x}:{:04x}", device.vendor_id, device.device_id),
        ),
        (
            "interface",
            format!(
                "{}.{}",
                device.interface_version >> 16,
                device.interface_version & 0xffff
            ),
        ),
        ("firmware", device.firmware.clone()),
        ("pipeline", device.pipeline_cookie.clone()),
        ("health", output.mark(device.healthy, &health)),
        (
            "service",
            format!(
                "{}, {}",
                device.nis,
                output.mark(device.nis_attached, attached)
            ),
        ),
        ("agent up", format::seconds(device.uptime_seconds)),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        text.push_str(&format!("{name:<10} {value}\n"));
    }
    text.push('\n');
    text.push_str(&table(
        &["table", "used#", "size#", "full#"],
        device.tables.iter().map(|table| {
            let share = 100.0 * table.used as f64 / table.size.max(1) as f64;
            vec![
                table.name.clone(),
                table.used.to_string(),
                table.size.to_string(),
                format!("{share:.1} %"),
            ]
        }),
    ));
    text
}
