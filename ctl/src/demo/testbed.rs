//! Two simulated hosts and the service: which processes with which arguments, in which order.
//!
//! ```text
//!            flownic-cloud (nis)
//!            /                 \            gRPC
//!      flownicd host-a    flownicd host-b
//!           |                   |           vfio-user
//!      softnic host-a ===== softnic host-b  underlay
//!        |    |               |    |  |     VFs
//! ```

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use flownic_api::v1;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::processes::Process;
use super::programs::Programs;
use super::tenants::{Host, ports_of};
use crate::client::Servers;
use crate::commands::{flow, stats, vn};
use crate::error::{Error, io};

/// An agent that has not got its configuration after this is stuck.
const CONFIGURE: Duration = Duration::from_secs(15);
/// A Unix socket's path may have 107 bytes; the longest below the run directory has less than this.
const LONGEST_NAME: usize = 40;
const LONGEST_PATH: usize = 107;

/// Where everything of a run is.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The run directory.
    pub(crate) root: PathBuf,
}

impl Places {
    /// Makes the folders.
    pub(crate) fn create(root: PathBuf) -> Result<Places, Error> {
        let root = std::path::absolute(&root).unwrap_or(root);
        if root.as_os_str().len() + LONGEST_NAME > LONGEST_PATH {
            return Err(Error::Usage(format!(
                "{} is too long for sockets in it; choose a shorter folder with --dir",
                root.display()
            )));
        }
        let places = Places { root };
        for host in Host::ALL {
            let folder = places.host(host);
            std::fs::create_dir_all(&folder).map_err(|error| io("create", &folder, &error))?;
        }
        Ok(places)
    }

    /// Folder of a host.
    pub(crate) fn host(&self, host: Host) -> PathBuf {
        self.root.join(host.name())
    }

    /// Socket of a port of a NIC.
    pub(crate) fn port(&self, host: Host, port: u16) -> PathBuf {
        self.host(host).join(format!("port{port}.sock"))
    }

    /// Socket of the VM on a port.
    pub(crate) fn vm(&self, host: Host, port: u16) -> PathBuf {
        self.host(host).join(format!("vm{port}.sock"))
    }

    /// Capture of a host's uplink.
    pub(crate) fn capture(&self, host: Host) -> PathBuf {
        self.root.join(format!("uplink-{}.pcapng", host.name()))
    }

    /// Log of a process.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.log"))
    }

    fn device(&self, host: Host) -> String {
        format!("vfio-user:{}", self.host(host).join("nic.sock").display())
    }

    fn uplink(&self, host: Host) -> String {
        self.host(host).join("uplink.sock").display().to_string()
    }
}

/// Record the uplinks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Captures;

/// Both hosts and the service, running.
pub(crate) struct Testbed {
    /// Where its files are.
    pub(crate) places: Places,
    programs: Programs,
    nis_port: u16,
    agent_ports: [u16; 2],
    captures: Option<Captures>,
    nis: Option<Process>,
    agents: [Option<Process>; 2],
    nics: [Option<Process>; 2],
}

impl Testbed {
    /// Compiles the firmware, starts everything, applies `network` and waits until both NICs are
    /// configured. `vf_ports` says what is behind the VFs of a host; without `captures` the uplinks
    /// are not recorded.
    pub(crate) async fn start(
        places: Places,
        programs: Programs,
        network: &str,
        vf_ports: impl Fn(Host) -> Vec<String>,
        captures: Option<Captures>,
        say: impl Fn(&str),
    ) -> Result<Testbed, Error> {
        let mut testbed = Testbed {
            places,
            programs,
            nis_port: free_port()?,
            agent_ports: [free_port()?, free_port()?],
            captures,
            nis: None,
            agents: [None, None],
            nics: [None, None],
        };
        say("compiling the firmware");
        testbed.compile().await?;
        say("starting flownic-cloud");
        testbed.start_nis().await?;
        testbed.apply("two-tenants.toml", network).await?;
        for host in Host::ALL {
            say(&format!("starting {}: softnic and flownicd", host.name()));
            testbed.start_nic(host, vf_ports(host)).await?;
            testbed.start_agent(host).await?;
        }
        say("waiting for the configuration of both NICs");
        for host in Host::ALL {
            testbed.wait_configured(host).await?;
        }
        Ok(testbed)
    }

    async fn compile(&self) -> Result<(), Error> {
        let root = &self.places.root;
        let file = |name: &str| root.join(name).display().to_string();
        let log = self.places.log("flownic-p4c");
        let output = Command::new(&self.programs.compiler)
            .arg(&self.programs.firmware)
            .args(["-o", &file("flownic.json"), "--p4runtime-files"])
            .arg(format!(
                "{},{}",
                file("flownic.p4info.txtpb"),
                file("flownic.p4info.json")
            ))
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| Error::Failed(format!("cannot start flownic-p4c: {error}")))?;
        std::fs::write(&log, &output.stderr).map_err(|error| io("write", &log, &error))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::Failed(format!(
                "the firmware does not compile:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ))),
        }
    }

    /// Starts the service, on the data that an earlier one left.
    pub(crate) async fn start_nis(&mut self) -> Result<(), Error> {
        let mut command = Command::new(&self.programs.cloud);
        command
            .args(["--listen", &format!("127.0.0.1:{}", self.nis_port)])
            .arg("--data")
            .arg(self.places.root.join("cloud"))
            .arg("nis");
        let log = self.places.log("flownic-cloud");
        self.nis = Some(Process::start_serving("flownic-cloud", command, &log).await?);
        Ok(())
    }

    async fn start_nic(&mut self, host: Host, vf_ports: Vec<String>) -> Result<(), Error> {
        let (places, peer) = (&self.places, host.peer());
        let uplink = format!(
            "0=unix:{},peer={}",
            places.uplink(host),
            places.uplink(peer)
        );
        let mut command = Command::new(&self.programs.softnic);
        command
            .arg("--program")
            .arg(places.root.join("flownic.json"))
            .arg("--p4info")
            .arg(places.root.join("flownic.p4info.json"))
            .args(["--device", &places.device(host), "--port", &uplink]);
        if self.captures.is_some() {
            let capture = format!("0={}", places.capture(host).display());
            command.args(["--capture", &capture]);
        }
        for port in vf_ports {
            command.args(["--port", &port]);
        }
        let name = format!("softnic-{}", host.name());
        let process = Process::start_serving(&name, command, &places.log(&name)).await?;
        self.nics[host as usize] = Some(process);
        Ok(())
    }

    /// Starts the agent of a host.
    pub(crate) async fn start_agent(&mut self, host: Host) -> Result<(), Error> {
        let mut command = Command::new(&self.programs.agent);
        command
            .args(["--host", host.name(), "--nic", &self.places.device(host)])
            .args(["--nis", &format!("http://127.0.0.1:{}", self.nis_port)])
            .args([
                "--listen",
                &format!("127.0.0.1:{}", self.agent_ports[host as usize]),
            ]);
        let name = format!("flownicd-{}", host.name());
        let process = Process::start_serving(&name, command, &self.places.log(&name)).await?;
        self.agents[host as usize] = Some(process);
        Ok(())
    }

    /// Waits until a host's agent is attached and its VFs are set up.
    pub(crate) async fn wait_configured(&self, host: Host) -> Result<(), Error> {
        let expected = ports_of(host).len();
        let deadline = Instant::now() + CONFIGURE;
        loop {
            let mut agent = self.servers(host).agent().await?;
            let explain = agent.explain("cannot read the state of the NIC");
            let vfs = agent
                .client
                .list_vfs(v1::ListVfsRequest {})
                .await
                .map_err(&explain)?;
            let device = agent
                .client
                .get_device(v1::GetDeviceRequest {})
                .await
                .map_err(&explain)?;
            let vfs = vfs.into_inner().vfs.len();
            if vfs == expected && device.get_ref().nis_attached {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Failed(format!(
                    "{} is not configured after {} s: {vfs} of {expected} VNICs, service attached: {}; see {}",
                    host.name(),
                    CONFIGURE.as_secs(),
                    device.get_ref().nis_attached,
                    self.places
                        .log(&format!("flownicd-{}", host.name()))
                        .display()
                )));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills the service as a crash would.
    pub(crate) async fn kill_nis(&mut self) {
        if let Some(mut nis) = self.nis.take() {
            nis.kill().await;
        }
    }

    /// Kills a host's agent as a crash would.
    pub(crate) async fn kill_agent(&mut self, host: Host) {
        if let Some(mut agent) = self.agents[host as usize].take() {
            agent.kill().await;
        }
    }

    /// Replaces the configuration. Returns the hosts that have not confirmed it.
    pub(crate) async fn apply(&self, name: &str, toml: &str) -> Result<Vec<String>, Error> {
        let mut networks = self.servers(Host::A).networks().await?;
        let answer = vn::apply(&mut networks, name, toml.to_owned(), false).await?;
        Ok(answer.unconfirmed)
    }

    /// Flow entries of a NIC.
    pub(crate) async fn flows(&self, host: Host) -> Result<Vec<v1::Flow>, Error> {
        flow::list(&mut self.servers(host).agent().await?, None).await
    }

    /// What a NIC and its agent count.
    pub(crate) async fn statistics(&self, host: Host) -> Result<v1::Statistics, Error> {
        stats::read(&mut self.servers(host).agent().await?).await
    }

    /// Addresses of the servers, as the other commands take them.
    pub(crate) fn servers(&self, host: Host) -> Servers {
        Servers {
            agent: format!("http://127.0.0.1:{}", self.agent_ports[host as usize]),
            nis: format!("http://127.0.0.1:{}", self.nis_port),
            timeout: Duration::from_secs(10),
        }
    }

    /// An error when a process has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        let all = self.nis.iter_mut().chain(self.agents.iter_mut().flatten());
        for process in all.chain(self.nics.iter_mut().flatten()) {
            process.check()?;
        }
        Ok(())
    }

    /// Ends all processes; the first that did not end cleanly is the error.
    pub(crate) async fn end(&mut self) -> Result<(), Error> {
        let mut result = Ok(());
        let agents = self.agents.iter_mut().flatten();
        let all = agents
            .chain(self.nis.as_mut())
            .chain(self.nics.iter_mut().flatten());
        for process in all {
            let ended = process.end().await;
            result = result.and(ended);
        }
        result
    }
}

fn free_port() -> Result<u16, Error> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.map(|address| address.port())
        .map_err(|error| Error::Failed(format!("there is no free TCP port on 127.0.0.1: {error}")))
}
