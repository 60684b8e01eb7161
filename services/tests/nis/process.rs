//! `flownic-cloud` as a process: start, stop, and what survives.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use flownic_api::v1;
use flownic_api::v1::virtual_networks_client::VirtualNetworksClient;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tonic::transport::Channel;

use crate::fixture::TOML;

fn command(data: &Path) -> Command {
    command_at("127.0.0.1:0", data)
}

fn command_at(address: &str, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flownic-cloud"));
    command
        .args(["--listen", address, "--data"])
        .arg(data)
        .arg("nis");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A running service.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    async fn start(mut command: Command) -> Process {
        // Nobody reads the log.
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).await.unwrap();
        let address = line
            .trim()
            .strip_prefix("ready nis on ")
            .expect(&line)
            .to_owned();
        Process { child, address }
    }

    async fn operator(&self) -> VirtualNetworksClient<Channel> {
        VirtualNetworksClient::connect(format!("http://{}", self.address))
            .await
            .unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    async fn wait(mut self) -> ExitStatus {
        let end = tokio::time::timeout(Duration::from_secs(20), self.child.wait());
        end.await.expect("the process ends").unwrap()
    }
}

/// Runs to its end: exit code and standard error.
async fn fail(mut command: Command) -> (Option<i32>, String) {
    let end = tokio::time::timeout(Duration::from_secs(20), command.output());
    let output = end.await.expect("the process ends").unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// R1.5: configuration and versions are the same after a restart, and go on from there.
#[tokio::test]
async fn a_restart_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (data, file) = (
        directory.path().join("data"),
        directory.path().join("vn.toml"),
    );
    std::fs::write(&file, TOML).unwrap();
    let mut first = command(&data);
    first.arg("--network").arg(&file);
    let process = Process::start(first).await;
    let toml = TOML.replace("\"53\"", "\"54\"");
    let request = v1::ApplyRequest {
        source_name: "x".to_owned(),
        toml,
        dry_run: false,
    };
    let applied = process
        .operator()
        .await
        .apply(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(applied.revision, 2);
    let before = process
        .operator()
        .await
        .get(v1::GetRequest {})
        .await
        .unwrap()
        .into_inner();
    process.signal(Signal::TERM);
    assert_eq!(process.wait().await.code(), Some(0));

    let process = Process::start(command(&data)).await;
    let after = process
        .operator()
        .await
        .get(v1::GetRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(after, before);
    process.signal(Signal::INT);
    assert_eq!(process.wait().await.code(), Some(0));

    // The file again: it differs from what was applied last, so it is applied.
    let mut third = command(&data);
    third.arg("--network").arg(&file);
    let process = Process::start(third).await;
    let after = process
        .operator()
        .await
        .get(v1::GetRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!((after.revision, &*after.toml), (3, TOML));
    assert_eq!(after.networks[0].versions.unwrap().security, 3);
    assert_eq!(after.networks[0].versions.unwrap().route, 1);
}

/// What was acknowledged is there after kill -9, and what was not is there wholly or not at all.
#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..4u32 {
        let process = Process::start(command(directory.path())).await;
        let mut operator = process.operator().await;
        let get = operator.get(v1::GetRequest {}).await.unwrap().into_inner();
        assert!(
            get.revision >= acknowledged,
            "{} of {acknowledged}",
            get.revision
        );
        if get.revision > 0 {
            assert_eq!(get.networks.len(), 2);
            assert_eq!(
                u64::from(get.networks[0].versions.unwrap().security),
                get.revision
            );
        }
        let pid = process.pid();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50 + 37 * u64::from(round))).await;
            kill_process(pid, Signal::KILL).unwrap();
        });
        for port in 1.. {
            let toml = TOML.replace(
                "\"53\"",
                &format!("\"{}\"", 1000 * (round + 1) + port % 1000),
            );
            let request = v1::ApplyRequest {
                source_name: "x".to_owned(),
                toml,
                dry_run: false,
            };
            match operator.apply(request).await {
                Ok(applied) => acknowledged = applied.into_inner().revision,
                Err(_) => break,
            }
        }
        assert_eq!(process.wait().await.code(), None, "killed");
    }
    assert!(acknowledged > 4, "{acknowledged}");
}

#[tokio::test]
async fn wrong_starts_say_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (status, text) = fail({
        let mut command = command(&path("data"));
        command.arg("--network").arg(path("missing.toml"));
        command
    })
    .await;
    assert!(
        status == Some(3) && text.contains("missing.toml"),
        "{status:?}: {text}"
    );

    std::fs::write(path("bad.toml"), TOML.replace("vni = 200", "vni = 100")).unwrap();
    let (status, text) = fail({
        let mut command = command(&path("data"));
        command.arg("--network").arg(path("bad.toml"));
        command
    })
    .await;
    assert_eq!(status, Some(1), "{text}");
    let line = 1 + TOML.lines().position(|line| line == "vni = 200").unwrap();
    assert!(text.contains(&format!("bad.toml:{line}:")), "{text}");

    let running = Process::start(command(&path("data"))).await;
    let get = running
        .operator()
        .await
        .get(v1::GetRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(get.revision, 0, "nothing of the bad file was kept");
    let (status, text) = fail(command(&path("data"))).await;
    assert!(
        status == Some(4) && text.contains("another process"),
        "{status:?}: {text}"
    );

    let (status, text) = fail(command_at(&running.address, &path("other"))).await;
    assert!(
        status == Some(1) && text.contains(&running.address),
        "{status:?}: {text}"
    );

    std::fs::write(path("file"), "").unwrap();
    let (status, text) = fail(command(&path("file"))).await;
    assert_eq!(status, Some(1), "{text}");
}
