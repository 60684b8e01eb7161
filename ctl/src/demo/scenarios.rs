//! What happens when something changes or breaks while packets flow.

use std::time::Duration;

use flownic_api::v1;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::probe::{Probe, Sent};
use super::progress::Progress;
use super::replay::Vms;
use super::report::Check;
use super::script::Vm;
use super::tenants::{Host, Tenant, port_of_vf, without_port};
use super::testbed::Testbed;
use crate::error::Error;
use crate::format::microseconds;

/// A changed rule must hold after this (R1.5).
const RULE: Duration = Duration::from_secs(1);
/// How long streams go on around an event.
const AROUND: Duration = Duration::from_millis(500);
/// A punt that nobody answers is given up by the agent after 2 s.
const GIVEN_UP: Duration = Duration::from_millis(3500);
/// How long the service may take until it serves again after a restart.
const BACK: Duration = Duration::from_secs(10);
/// New flows while the service is away.
const LOST_FLOWS: u16 = 5;
/// DNS of blue's b: allowed by a rule of its own.
const PORT: u16 = 53;

/// All scenarios, one after the other; each leaves everything as it was.
pub(crate) async fn run(
    testbed: &mut Testbed,
    network: &str,
    vms: &Vms,
    progress: &Progress,
) -> Result<Vec<Check>, Error> {
    progress.say("scenario: a rule changes");
    let rule = rule_change(testbed, network, vms).await?;
    progress.say("scenario: the service is away");
    let service = service_away(testbed, vms).await?;
    progress.say("scenario: an agent crashes");
    let agent = agent_crash(testbed, vms).await?;
    Ok(vec![rule, service, agent])
}

/// R1.5: a rule that is taken away holds at once, by version: no entry is deleted for it.
async fn rule_change(testbed: &Testbed, network: &str, vms: &Vms) -> Result<Check, Error> {
    let what = "a rule change refuses an allowed flow within 1 s, by version (R1.5)";
    let changed = without_port(network, Tenant::Blue, "udp", &PORT.to_string())
        .map_err(|error| Error::Failed(format!("cannot change the configuration: {error}")))?;
    let mut probe = Probe::new(vms.clone(), 61_001, PORT);
    if probe
        .until_arrives(BACK)
        .await
        .map_err(Error::Failed)?
        .is_none()
    {
        return Ok(Check::new(
            false,
            what,
            vec!["the flow is not allowed before the change".into()],
        ));
    }
    let before = testbed.flows(Host::A).await?.len();
    let dropped_before = refused_at_a(&testbed.statistics(Host::A).await?);

    let (stop, stream) = start_stream(probe.clone());
    sleep(AROUND).await;
    let start = Instant::now();
    let unconfirmed = testbed.apply("changed.toml", &changed).await?;
    let applied = Instant::now();
    sleep(RULE + AROUND).await;
    let _ = stop.send(());
    let (mut probe, sent) = joined(stream).await?;

    let after = testbed.flows(Host::A).await?;
    let dropped = refused_at_a(&testbed.statistics(Host::A).await?).saturating_sub(dropped_before);
    let kept = after.len() >= before && after.iter().any(is_probe);
    testbed.apply("two-tenants.toml", network).await?;
    let back = probe.until_arrives(BACK).await.map_err(Error::Failed)?;

    let last = sent.iter().rev().find(|packet| packet.arrived.is_some());
    let refused_after = last.map_or(Duration::ZERO, |last| {
        last.at.saturating_duration_since(start)
    });
    let late = sent
        .iter()
        .filter(|packet| packet.at > applied && packet.arrived.is_some())
        .count();
    let lost = sent
        .iter()
        .filter(|packet| packet.arrived.is_none())
        .count() as u64;
    let lost_before = sent
        .iter()
        .filter(|packet| packet.at < start && packet.arrived.is_none())
        .count();
    let details = vec![
        format!(
            "the last packet to arrive was sent {} after the change was asked for",
            us(refused_after)
        ),
        format!(
            "the service confirmed after {}; {late} packets sent later arrived",
            us(applied - start)
        ),
        format!(
            "{lost} packets refused, {dropped} counted as SECURITY_INGRESS; {lost_before} lost before"
        ),
        format!("flow entries: {before} before, {} after", after.len()),
        match back {
            Some(time) => format!("the old rules allow the flow again after {}", us(time)),
            None => "the old rules do not allow the flow again".into(),
        },
    ];
    let mut ok = refused_after < RULE
        && lost > 0
        && lost == dropped
        && lost_before == 0
        && kept
        && back.is_some();
    ok &= !unconfirmed.is_empty() || late == 0;
    Ok(Check::new(ok, what, details))
}

/// R1.2 and issue of bad input: without the service, what the NIC knows goes on; the rest waits, and
/// is dropped with a reason.
async fn service_away(testbed: &mut Testbed, vms: &Vms) -> Result<Check, Error> {
    let what = "without the service installed flows go on, new ones are dropped with a reason; it comes back";
    let mut probe = Probe::new(vms.clone(), 61_002, PORT);
    if probe
        .until_arrives(BACK)
        .await
        .map_err(Error::Failed)?
        .is_none()
    {
        return Ok(Check::new(
            false,
            what,
            vec!["the flow is not allowed before the crash".into()],
        ));
    }
    let before = given_up(&testbed.statistics(Host::A).await?);
    let (stop, stream) = start_stream(probe);
    sleep(AROUND).await;
    testbed.kill_nis().await;
    let mut arrived = 0;
    let mut new_flows: Vec<Probe> = (0..LOST_FLOWS)
        .map(|number| Probe::new(vms.clone(), 61_100 + number, PORT))
        .collect();
    for flow in &mut new_flows {
        let fine = flow
            .once(Duration::from_millis(20))
            .await
            .map_err(Error::Failed)?;
        arrived += u64::from(fine);
    }
    sleep(GIVEN_UP).await;
    let dropped = given_up(&testbed.statistics(Host::A).await?).saturating_sub(before);
    let start = Instant::now();
    testbed.start_nis().await?;
    let mut fresh = Probe::new(vms.clone(), 61_200, PORT);
    let back = fresh
        .until_arrives(BACK)
        .await
        .map_err(Error::Failed)?
        .map(|_| start.elapsed());
    sleep(AROUND).await;
    let _ = stop.send(());
    let (_, sent) = joined(stream).await?;
    let lost = sent
        .iter()
        .filter(|packet| packet.arrived.is_none())
        .count();
    let details = vec![
        format!(
            "installed flow: {} packets before, during and after, {lost} lost",
            sent.len()
        ),
        format!(
            "{LOST_FLOWS} new flows: {arrived} packets arrived, {dropped} dropped as SERVICE_TIMEOUT or PUNT_QUEUE_FULL"
        ),
        match back {
            Some(time) => format!("a new flow is served {} after the restart began", us(time)),
            None => "no new flow is served after the restart".into(),
        },
    ];
    let ok = lost == 0 && arrived == 0 && dropped == u64::from(LOST_FLOWS) && back.is_some();
    Ok(Check::new(ok, what, details))
}

/// R7.4: the NIC keeps forwarding while its agent is gone, and while the next one takes over.
async fn agent_crash(testbed: &mut Testbed, vms: &Vms) -> Result<Check, Error> {
    let what = "an agent is killed and started again: established flows lose nothing (R7.4)";
    let mut probe = Probe::new(vms.clone(), 61_003, PORT);
    if probe
        .until_arrives(BACK)
        .await
        .map_err(Error::Failed)?
        .is_none()
    {
        return Ok(Check::new(
            false,
            what,
            vec!["the flow is not allowed before the crash".into()],
        ));
    }
    let before = testbed.flows(Host::A).await?.len();
    let (stop, stream) = start_stream(probe);
    sleep(AROUND).await;
    testbed.kill_agent(Host::A).await;
    sleep(AROUND).await;
    let start = Instant::now();
    testbed.start_agent(Host::A).await?;
    testbed.wait_configured(Host::A).await?;
    let mut fresh = Probe::new(vms.clone(), 61_300, PORT);
    let back = fresh
        .until_arrives(BACK)
        .await
        .map_err(Error::Failed)?
        .map(|_| start.elapsed());
    sleep(AROUND).await;
    let _ = stop.send(());
    let (_, sent) = joined(stream).await?;
    let after = testbed.flows(Host::A).await?.len();
    let lost = sent
        .iter()
        .filter(|packet| packet.arrived.is_none())
        .count();
    let details = vec![
        format!(
            "{} packets before, during and after, {lost} lost",
            sent.len()
        ),
        format!("flow entries: {before} before, {after} read back after"),
        match back {
            Some(time) => format!(
                "a new flow is served {} after the start of the new agent",
                us(time)
            ),
            None => "no new flow is served after the restart".into(),
        },
    ];
    Ok(Check::new(
        lost == 0 && after >= before && back.is_some(),
        what,
        details,
    ))
}

type Stream = tokio::task::JoinHandle<(Probe, Result<Vec<Sent>, String>)>;

fn start_stream(mut probe: Probe) -> (oneshot::Sender<()>, Stream) {
    let (stop, stopped) = oneshot::channel();
    let stream = tokio::spawn(async move {
        let sent = probe.stream(stopped).await;
        (probe, sent)
    });
    (stop, stream)
}

async fn joined(stream: Stream) -> Result<(Probe, Vec<Sent>), Error> {
    let (probe, sent) = stream
        .await
        .map_err(|error| Error::Failed(format!("the stream of packets ended: {error}")))?;
    Ok((probe, sent.map_err(Error::Failed)?))
}

/// Packets of blue's a that the receiver's rules refused.
fn refused_at_a(statistics: &v1::Statistics) -> u64 {
    let (_, vf) = Tenant::Blue.place(Vm::A);
    let port = u32::from(port_of_vf(vf));
    let at_a = |drop: &&v1::ReasonCount| drop.port == port && drop.reason == "SECURITY_INGRESS";
    statistics
        .drops
        .iter()
        .filter(at_a)
        .map(|drop| drop.packets)
        .sum()
}

/// Packets that the agent gave up.
fn given_up(statistics: &v1::Statistics) -> u64 {
    let reasons = ["SERVICE_TIMEOUT", "PUNT_QUEUE_FULL"];
    let given_up = statistics
        .drops
        .iter()
        .filter(|drop| reasons.contains(&drop.reason.as_str()));
    given_up.map(|drop| drop.packets).sum()
}

fn is_probe(flow: &v1::Flow) -> bool {
    let key = flow.entry.as_ref().and_then(|entry| entry.key.as_ref());
    key.is_some_and(|key| (key.src_port, key.dst_port, key.protocol) == (61_001, PORT.into(), 17))
}

fn us(time: Duration) -> String {
    microseconds(time.as_micros() as u64)
}
