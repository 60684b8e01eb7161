//! `flownic vn`.

use std::path::Path;

use flownic_api::v1;
use serde::Serialize;

use super::repeat;
use crate::cli::{TraceOptions, VnCommand};
use crate::client::{Networks, Servers};
use crate::error::{Error, io};
use crate::format;
use crate::output::{Output, table};

#[derive(Serialize)]
struct Applied {
    revision: u64,
    dry_run: bool,
    changes: Vec<String>,
    unconfirmed: Vec<String>,
}

#[derive(Serialize)]
struct Shown {
    revision: u64,
    toml: String,
}

#[derive(Serialize)]
struct Listed {
    revision: u64,
    networks: Vec<Network>,
}

#[derive(Serialize)]
struct Network {
    tenant: String,
    name: String,
    vni: u32,
    subnets: u32,
    versions: Versions,
    vnics: Vec<Vnic>,
}

#[derive(Serialize)]
struct Vnic {
    name: String,
    host: String,
    vf: u32,
    vlan: u32,
    mac: String,
    addresses: Vec<String>,
    versions: Versions,
}

#[derive(Serialize)]
struct Versions {
    security: u32,
    mapping: u32,
    route: u32,
    policy: u32,
    lb: u32,
}

#[derive(Serialize)]
struct Traced {
    allowed: bool,
    drop_reason: Option<String>,
    steps: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(
    command: VnCommand,
    servers: &Servers,
    output: Output,
) -> Result<(), Error> {
    if let VnCommand::Apply { file, dry_run } = command {
        return apply_command(&file, dry_run, servers, output).await;
    }
    let mut networks = servers.networks().await?;
    match command {
        VnCommand::Apply { .. } => Ok(()),
        VnCommand::Show => {
            let answer = get(&mut networks).await?;
            let shown = Shown {
                revision: answer.revision,
                toml: answer.toml,
            };
            output.print(&shown, |shown| shown.toml.clone())
        }
        VnCommand::List(watch) => {
            repeat(watch, async || {
                let answer = get(&mut networks).await?;
                let listed = Listed {
                    revision: answer.revision,
                    networks: answer.networks.into_iter().map(Network::from).collect(),
                };
                output.print(&listed, list_text)
            })
            .await
        }
        VnCommand::Trace(options) => trace(&mut networks, options, output).await,
    }
}

/// Reads the file before anything is connected: a missing file is told even when no service runs.
async fn apply_command(
    file: &Path,
    dry_run: bool,
    servers: &Servers,
    output: Output,
) -> Result<(), Error> {
    let toml = std::fs::read_to_string(file).map_err(|error| io("read", file, &error))?;
    let mut networks = servers.networks().await?;
    let answer = apply(&mut networks, &file.display().to_string(), toml, dry_run).await?;
    let applied = Applied {
        revision: answer.revision,
        dry_run,
        changes: answer.changes,
        unconfirmed: answer.unconfirmed,
    };
    output.print(&applied, |applied| {
        let mut text = String::new();
        for change in &applied.changes {
            text.push_str(&format!("  {change}\n"));
        }
        for host in &applied.unconfirmed {
            text.push_str(&format!("  not confirmed: {host}\n"));
        }
        let count = applied.changes.len();
        let changes = if count == 1 { "change" } else { "changes" };
        text + &match (count, applied.dry_run) {
            (0, _) => format!("nothing changes, revision {}", applied.revision),
            (_, true) => format!("{count} {changes}, not applied (dry run)"),
            (_, false) => format!("{count} {changes} applied, revision {}", applied.revision),
        }
    })
}

/// Replaces the configuration.
pub(crate) async fn apply(
    networks: &mut Networks,
    source_name: &str,
    toml: String,
    dry_run: bool,
) -> Result<v1::ApplyResponse, Error> {
    let request = v1::ApplyRequest {
        source_name: source_name.to_owned(),
        toml,
        dry_run,
    };
    let explain = networks.explain(&format!("cannot apply {source_name}"));
    // What is wrong with a file comes with excerpts of it, on lines of their own.
    let refuse = |status: tonic::Status| match status.code() {
        tonic::Code::InvalidArgument => Error::Failed(format!(
            "{source_name} is refused, nothing is changed\n{}",
            status.message()
        )),
        _ => explain(status),
    };
    let answer = networks.client.apply(request).await.map_err(refuse)?;
    Ok(answer.into_inner())
}

async fn get(networks: &mut Networks) -> Result<v1::GetResponse, Error> {
    let explain = networks.explain("cannot read the configuration");
    Ok(networks
        .client
        .get(v1::GetRequest {})
        .await
        .map_err(explain)?
        .into_inner())
}

impl From<v1::VnSummary> for Network {
    fn from(network: v1::VnSummary) -> Network {
        Network {
            tenant: network.tenant,
            name: network.name,
            vni: network.vni,
            subnets: network.subnets,
            versions: network.versions.unwrap_or_default().into(),
            vnics: network.vnics.into_iter().map(Vnic::from).collect(),
        }
    }
}

impl From<v1::VnicSummary> for Vnic {
    fn from(vnic: v1::VnicSummary) -> Vnic {
        Vnic {
            name: vnic.name,
            host: vnic.host,
            vf: vnic.vf,
            vlan: vnic.vlan,
            mac: vnic.mac,
            addresses: vnic.addresses,
            versions: vnic.versions.unwrap_or_default().into(),
        }
    }
}

impl From<v1::Versions> for Versions {
    fn from(versions: v1::Versions) -> Versions {
        Versions {
            security: versions.security,
            mapping: versions.mapping,
            route: versions.route,
            policy: versions.policy,
            lb: versions.lb,
        }
    }
}

fn list_text(list: &Listed) -> String {
    let mut text = String::new();
    for network in &list.networks {
        let versions = &network.versions;
        text.push_str(&format!(
            "{} (tenant {}, vni {}), {} subnets, versions: security {} mapping {} route {} policy {} lb {}\n",
            network.name,
            network.tenant,
            network.vni,
            network.subnets,
            versions.security,
            versions.mapping,
            versions.route,
            versions.policy,
            versions.lb
        ));
        text.push_str(&table(
            &["  vnic", "host", "vf#", "vlan", "mac", "addresses"],
            network.vnics.iter().map(|vnic| {
                vec![
                    format!("  {}", vnic.name),
                    vnic.host.clone(),
                    vnic.vf.to_string(),
                    if vnic.vlan == 0 {
                        "untagged".into()
                    } else {
                        vnic.vlan.to_string()
                    },
                    vnic.mac.clone(),
                    vnic.addresses.join(" "),
                ]
            }),
        ));
        text.push('\n');
    }
    text + &format!("revision {}", list.revision)
}

async fn trace(
    networks: &mut Networks,
    options: TraceOptions,
    output: Output,
) -> Result<(), Error> {
    let request = trace_request(networks, &options).await?;
    let explain = networks.explain(&format!("cannot trace from {}", options.vnic));
    let answer = networks
        .client
        .trace(request)
        .await
        .map_err(explain)?
        .into_inner();
    let traced = Traced {
        allowed: answer.allowed,
        drop_reason: Some(answer.drop_reason).filter(|reason| !reason.is_empty()),
        steps: answer.steps,
    };
    output.print(&traced, |traced| {
        let mut text = String::new();
        for (number, step) in traced.steps.iter().enumerate() {
            text.push_str(&format!("{:>3}. {step}\n", number + 1));
        }
        let verdict = match &traced.drop_reason {
            None => "forwarded".to_owned(),
            Some(reason) => format!("dropped: {reason}"),
        };
        text + &output.mark(traced.allowed, &verdict)
    })
}

async fn trace_request(
    networks: &mut Networks,
    options: &TraceOptions,
) -> Result<v1::TraceRequest, Error> {
    let destination = format::parse_address(&options.destination)
        .ok_or_else(|| Error::Usage(format!("\"{}\" is no IP address", options.destination)))?;
    let (mut protocol, port) = parse_service(&options.protocol)?;
    if protocol == 1 && destination.is_ipv6() {
        protocol = 58;
    }
    let src = match &options.source {
        Some(source) => source.clone(),
        None => own_address(networks, &options.vnic, destination.is_ipv6()).await?,
    };
    let echo = match protocol {
        1 => Some(8 << 8),
        58 => Some(128 << 8),
        _ => None,
    };
    Ok(v1::TraceRequest {
        vnic: options.vnic.clone(),
        src,
        dst: destination.to_string(),
        protocol,
        src_port: match protocol {
            6 | 17 => options.source_port.into(),
            _ => echo.unwrap_or(0),
        },
        dst_port: port,
    })
}

async fn own_address(networks: &mut Networks, vnic: &str, ipv6: bool) -> Result<String, Error> {
    let answer = get(networks).await?;
    let found = answer.networks.iter().find_map(|network| {
        let own = |name: &str| name == vnic || format!("{}/{name}", network.name) == vnic;
        network.vnics.iter().find(|candidate| own(&candidate.name))
    });
    let Some(found) = found else {
        return Err(Error::NotFound(format!(
            "there is no VNIC {vnic}; flownic vn list shows all"
        )));
    };
    let address = found
        .addresses
        .iter()
        .find(|address| address.contains(':') == ipv6);
    address.cloned().ok_or_else(|| {
        let version = if ipv6 { "IPv6" } else { "IPv4" };
        Error::NotFound(format!(
            "{vnic} has no {version} address; give one with --source"
        ))
    })
}

/// `tcp/80` → (6, 80); `icmp` → (1, 0).
fn parse_service(text: &str) -> Result<(u32, u32), Error> {
    let wrong = || {
        Error::Usage(format!(
            "\"{text}\" is no protocol; write tcp/80, udp/53, icmp or a number"
        ))
    };
    let (name, port) = match text.split_once('/') {
        Some((name, port)) => (name, port.parse::<u16>().map_err(|_| wrong())?),
        None => (text, 0),
    };
    let protocol = format::parse_protocol(name).ok_or_else(wrong)?;
    if port == 0 && matches!(protocol, 6 | 17) {
        return Err(Error::Usage(format!("{name} needs a port: {name}/80")));
    }
    Ok((protocol, port.into()))
}

#[cfg(test)]
mod tests {
    use super::parse_service;

    #[test]
    fn services_are_protocol_and_port() {
        assert_eq!(parse_service("tcp/80").unwrap(), (6, 80));
        assert_eq!(parse_service("icmp").unwrap(), (1, 0));
        assert_eq!(parse_service("132").unwrap(), (132, 0));
        for wrong in ["tcp", "tcp/", "tcp/70000", "tcpp/80", ""] {
            assert!(parse_service(wrong).is_err(), "{wrong}");
        }
    }
}
