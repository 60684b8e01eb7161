//! `flownic demo`: everything at once on this machine, checked packet by packet.

mod capture;
mod iperf;
mod live;
mod measure;
mod probe;
mod processes;
mod programs;
mod progress;
mod replay;
mod report;
mod scenarios;
mod script;
mod tenants;
mod testbed;
mod uplink;
mod vm;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use self::measure::{Flows, Played};
use self::programs::Programs;
use self::progress::Progress;
use self::replay::{Pace, Vms};
use self::report::{Check, File, Report};
use self::script::Vm;
use self::tenants::{Host, TRAFFIC, TWO_TENANTS, Tenant, port_of_vf, ports_of};
use self::testbed::{Captures, Places, Testbed};
use self::vm::Endpoint;
use crate::cli::DemoOptions;
use crate::error::Error;
use crate::output::Output;

/// After the last packet, the time in which one more would show (a duplicate, a forbidden one).
const QUIET: Duration = Duration::from_millis(300);

/// Runs the demo until it is done or interrupted; no process and no namespace outlives it.
pub(crate) async fn run(options: DemoOptions, output: Output) -> Result<(), Error> {
    let keeping = Arc::new(AtomicBool::new(false));
    tokio::select! {
        result = demo(options, output, &keeping) => result,
        result = interruption(&keeping) => result,
    }
}

/// Ends at the first signal that asks to, except while everything is kept running for a look.
async fn interruption(keeping: &AtomicBool) -> Result<(), Error> {
    let listen = |kind| {
        signal(kind).map_err(|error| Error::Failed(format!("cannot watch signals: {error}")))
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = hangup.recv() => break,
            _ = interrupt.recv() => if !keeping.load(Ordering::Relaxed) { break },
        }
    }
    Err(Error::Failed("interrupted; all processes are ended".into()))
}

async fn demo(options: DemoOptions, output: Output, keeping: &AtomicBool) -> Result<(), Error> {
    if options.live {
        live::require()?;
    }
    let progress = Progress::new();
    let programs = programs::find(&options, |text| progress.say(text)).await?;
    let start = Instant::now();
    let places = Places::create(run_directory(&options)?)?;
    let network = match &options.tunnel {
        Some(tunnel) => tenants::with_tunnel(TWO_TENANTS, tunnel)
            .map_err(|error| Error::Failed(format!("cannot change the configuration: {error}")))?,
        None => TWO_TENANTS.to_owned(),
    };
    let mut report = Report::default();
    let stage = Stage {
        options: &options,
        output,
        keeping,
        places: &places,
        programs,
        network: &network,
        progress: &progress,
    };
    if options.live {
        live::run(stage, &mut report).await?;
    } else {
        recorded(stage, &mut report).await?;
        report.files.extend(Host::ALL.map(|host| File {
            what: format!("uplink of {}", host.name()),
            path: places.capture(host).display().to_string(),
        }));
    }
    report.files.push(File {
        what: "logs, firmware, state".into(),
        path: places.root.display().to_string(),
    });
    report.ok = report.checks.iter().all(|check| check.ok);
    report.seconds = start.elapsed().as_secs_f64();
    progress.finish();
    output.print(&report, |report| report::text(report, output))?;
    match report.ok {
        true => Ok(()),
        false => Err(Error::Failed(
            "the demo found something wrong, see FAILED above".into(),
        )),
    }
}

/// The recording, then what may change and break, then the captures.
async fn recorded(stage: Stage<'_>, report: &mut Report) -> Result<(), Error> {
    let (places, network, progress) = (stage.places, stage.network, stage.progress);
    let vms = bind_vms(places)?;
    let ports = |host| vf_ports(places, host);
    let say = |text: &str| progress.say(text);
    let programs = stage.programs.clone();
    let captures = Some(Captures);
    let mut testbed =
        Testbed::start(places.clone(), programs, network, ports, captures, say).await?;
    replay_recording(stage.options, &testbed, &vms, progress, report).await?;
    testbed.check()?;
    let blue = &vms[&Tenant::Blue];
    report
        .checks
        .extend(scenarios::run(&mut testbed, network, blue, progress).await?);
    stage.end(testbed, report).await?;
    report.checks.push(uplink::check(places).await);
    Ok(())
}

/// What both kinds of demo need.
struct Stage<'a> {
    options: &'a DemoOptions,
    output: Output,
    keeping: &'a AtomicBool,
    places: &'a Places,
    programs: Programs,
    network: &'a str,
    progress: &'a Progress,
}

impl Stage<'_> {
    /// Ends everything; with `--keep` after a look with the other commands, until Ctrl-C.
    async fn end(&self, mut testbed: Testbed, report: &mut Report) -> Result<(), Error> {
        testbed.check()?;
        if self.options.keep {
            self.progress.finish();
            eprintln!("{}\n", report::text(report, self.output));
            for host in Host::ALL {
                let servers = testbed.servers(host);
                eprintln!(
                    "{}: flownic --agent {} --nis {} …",
                    host.name(),
                    servers.agent,
                    servers.nis
                );
            }
            eprintln!("everything is running until Ctrl-C");
            self.keeping.store(true, Ordering::Relaxed);
            let _ = tokio::signal::ctrl_c().await;
        }
        self.progress.say("ending all processes");
        if let Err(error) = testbed.end().await {
            report.checks.push(Check::new(
                false,
                "all processes end cleanly",
                vec![error.to_string()],
            ));
        }
        Ok(())
    }
}

fn run_directory(options: &DemoOptions) -> Result<std::path::PathBuf, Error> {
    match &options.dir {
        Some(folder) => Ok(folder.clone()),
        None => tempfile::Builder::new()
            .prefix("flownic-demo-")
            .tempdir()
            .map(tempfile::TempDir::keep)
            .map_err(|error| {
                Error::Failed(format!(
                    "cannot create a temporary folder: {error}; use --dir"
                ))
            }),
    }
}

fn vf_ports(places: &Places, host: Host) -> Vec<String> {
    let spec = |port: u16| {
        let (own, peer) = (places.port(host, port), places.vm(host, port));
        format!("{port}=unix:{},peer={}", own.display(), peer.display())
    };
    ports_of(host)
        .into_iter()
        .map(|(_, _, port)| spec(port))
        .collect()
}

fn bind_vms(places: &Places) -> Result<HashMap<Tenant, Vms>, Error> {
    let mut all = HashMap::new();
    for tenant in Tenant::ALL {
        let mut vms = HashMap::new();
        for vm in Vm::ALL {
            let (host, vf) = tenant.place(vm);
            let port = port_of_vf(vf);
            let own = places.vm(host, port);
            // Left by an earlier run in the same folder.
            let _ = std::fs::remove_file(&own);
            let endpoint = Endpoint::bind(&own, &places.port(host, port));
            let endpoint = endpoint.map_err(|error| {
                Error::Failed(format!(
                    "cannot make the socket of a VM, {}: {error}",
                    own.display()
                ))
            })?;
            vms.insert(vm, endpoint);
        }
        all.insert(tenant, Arc::new(vms));
    }
    Ok(all)
}

async fn replay_recording(
    options: &DemoOptions,
    testbed: &Testbed,
    vms: &HashMap<Tenant, Vms>,
    progress: &Progress,
    report: &mut Report,
) -> Result<(), Error> {
    let records = capture::read(TRAFFIC).map_err(|error| Error::Failed(error.to_string()))?;
    let script = script::script(&records, options.packets.unwrap_or(usize::MAX))
        .map_err(|error| Error::Failed(error.to_string()))?;
    let scripts = Tenant::ALL.map(|tenant| tenant.adapt(&script));
    let count = scripts
        .iter()
        .flatten()
        .map(|conversation| conversation.steps.len())
        .sum();
    progress.start(count, "replaying the recording for both tenants at once");
    let play = |tenant: Tenant, script: &[script::Conversation]| {
        let progress = progress.clone();
        let tick = move || progress.tick();
        let (script, vms) = (Arc::new(script.to_vec()), Arc::clone(&vms[&tenant]));
        replay::play(script, vms, Pace::default(), tick)
    };
    let [blue, red] = &scripts;
    let (blue_done, red_done) = tokio::join!(play(Tenant::Blue, blue), play(Tenant::Red, red));
    sleep(QUIET).await;
    progress.stop();

    let [blue, red] = scripts;
    let played = [
        (Tenant::Blue, blue, blue_done),
        (Tenant::Red, red, red_done),
    ];
    let played = played.map(|(tenant, script, outcomes)| Played {
        tenant,
        script,
        outcomes,
    });
    let mut lists = Vec::new();
    let mut statistics = Vec::new();
    for host in Host::ALL {
        lists.push((host, testbed.flows(host).await?));
        statistics.push((host, testbed.statistics(host).await?));
    }
    let flows = Flows::new(lists);
    report.tenants = played
        .iter()
        .map(|played| measure::tenant_report(played, &flows))
        .collect();
    report.drops = measure::drops(&statistics);
    report.checks.push(measure::check_arrivals(&played));
    report.checks.push(check_unexpected(vms));
    report
        .checks
        .push(measure::check_drops(&played, &report.drops));
    report.checks.push(measure::check_accounts(&played, &flows));
    Ok(())
}

/// Nothing forbidden, nothing twice, nothing of the other tenant.
fn check_unexpected(vms: &HashMap<Tenant, Vms>) -> Check {
    let mut wrong = Vec::new();
    for tenant in Tenant::ALL {
        for vm in Vm::ALL {
            for frame in vms[&tenant][&vm].take_unexpected() {
                let what = match flownic_wire::flow::FlowTuple::from_frame(&frame) {
                    Ok(flow) => flow.tuple.to_string(),
                    Err(error) => error.to_string(),
                };
                let length = frame.len();
                wrong.push(format!(
                    "{} {}: {length} bytes, {what}",
                    tenant.name(),
                    vm.name()
                ));
            }
        }
    }
    let what =
        "nothing else arrived: nothing forbidden, nothing twice, nothing of the other tenant";
    Check::new(wrong.is_empty(), what, wrong)
}
