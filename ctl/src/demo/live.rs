//! `flownic demo --live`: real programs in network namespaces, through both NICs.
//!
//! Each VM is a namespace whose only interface is the TAP of its VF. What programs say about their
//! traffic (ping, curl, iperf3) is what is checked.

use std::path::{Path, PathBuf};
use std::process::{Output as Ended, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::Stage;
use super::iperf::{
    Iperf, IperfReport, largest_buffer, receive_buffer_errors, tcp_check, udp_check,
};
use super::measure;
use super::processes::Process;
use super::progress::Progress;
use super::report::{Check, Report};
use super::script::Vm;
use super::tenants::{Host, Tenant, ports_of};
use super::testbed::{Places, Testbed};
use crate::error::{Error, io};

/// Programs that the namespaces run, and the Debian package of each.
const TOOLS: [(&str, &str); 5] = [
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("curl", "curl"),
    ("python3", "python3"),
    ("iperf3", "iperf3"),
];
/// Name of the interface in each namespace.
const INTERFACE: &str = "nic0";
/// Packets that wait in a VM's interface while the NIC's process does not run, as in a real ring.
const QUEUE: &str = "10000";
/// Size of the file that is downloaded.
const DOWNLOAD: usize = 20 << 20;
/// More than any of the programs needs on top of what it was asked to take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the live demo and adds what it finds to the report.
pub(super) async fn run(stage: Stage<'_>, report: &mut Report) -> Result<(), Error> {
    let (options, progress) = (stage.options, stage.progress);
    let namespaces = Namespaces::create().await?;
    let ports = |host: Host| -> Vec<String> {
        let spec = |(tenant, vm, port): (Tenant, Vm, u16)| {
            format!(
                "{port}=tap:{INTERFACE}@/run/netns/{}",
                namespaces.name(tenant, vm)
            )
        };
        ports_of(host).into_iter().map(spec).collect()
    };
    let say = |text: &str| progress.say(text);
    let (places, programs) = (stage.places.clone(), stage.programs.clone());
    let mut testbed = Testbed::start(places, programs, stage.network, ports, None, say).await?;
    namespaces.configure().await?;
    let live = Live {
        namespaces: &namespaces,
        places: stage.places,
        progress,
    };
    report.checks.push(live.pings().await?);
    report.checks.push(live.download().await?);
    report.checks.push(live.forbidden().await?);
    report
        .checks
        .extend(live.iperf(options.seconds, options.udp_rate).await?);
    testbed.check()?;

    let mut statistics = Vec::new();
    for host in Host::ALL {
        statistics.push((host, testbed.statistics(host).await?));
    }
    report.drops = measure::drops(&statistics);
    stage.end(testbed, report).await
}

/// Root, and the programs that are run.
pub(crate) fn require() -> Result<(), Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::Denied(
            "--live makes network namespaces and needs root; use sudo, or leave --live out".into(),
        ));
    }
    for (tool, package) in TOOLS {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
        });
        if !found {
            return Err(Error::NotFound(format!(
                "{tool} is not installed; apt-get install {package}"
            )));
        }
    }
    Ok(())
}

/// A namespace for each VM; they go away with this value.
struct Namespaces {
    prefix: String,
}

impl Namespaces {
    async fn create() -> Result<Namespaces, Error> {
        let namespaces = Namespaces {
            prefix: format!("flownic-{}", std::process::id()),
        };
        for (tenant, vm) in namespaces.all() {
            let name = namespaces.name(tenant, vm);
            ip(&["netns", "add", &name]).await?;
            ip(&["-n", &name, "link", "set", "lo", "up"]).await?;
            // No addresses but those of the configuration: the NIC drops what comes from others.
            let set = [
                "net.ipv6.conf.default.addr_gen_mode=1",
                "net.ipv6.conf.default.accept_dad=0",
                "net.ipv6.conf.default.router_solicitations=0",
            ];
            for assignment in set {
                let Some((key, value)) = assignment.split_once('=') else {
                    continue;
                };
                let file = format!("/proc/sys/{}", key.replace('.', "/"));
                let script = format!("echo {value} > {file}");
                namespaces.exec(tenant, vm, &["sh", "-c", &script]).await?;
            }
        }
        Ok(namespaces)
    }

    fn all(&self) -> impl Iterator<Item = (Tenant, Vm)> + use<> {
        Tenant::ALL
            .into_iter()
            .flat_map(|tenant| Vm::ALL.map(|vm| (tenant, vm)))
    }

    fn name(&self, tenant: Tenant, vm: Vm) -> String {
        format!("{}-{}-{}", self.prefix, tenant.name(), vm.name())
    }

    /// Gives each VM its MAC, MTU, addresses and routes.
    async fn configure(&self) -> Result<(), Error> {
        for (tenant, vm) in self.all() {
            let name = self.name(tenant, vm);
            let (mac, addresses, gateways) = identity(vm);
            let link = [
                "-n",
                &name,
                "link",
                "set",
                "dev",
                INTERFACE,
                "address",
                mac,
                "mtu",
                "1450",
                "txqueuelen",
                QUEUE,
                "up",
            ];
            ip(&link).await?;
            for address in addresses {
                let mut arguments = vec!["-n", &name, "addr", "add", address, "dev", INTERFACE];
                if address.contains(':') {
                    arguments.push("nodad");
                }
                ip(&arguments).await?;
            }
            for gateway in gateways {
                ip(&["-n", &name, "route", "add", "default", "via", gateway]).await?;
            }
        }
        Ok(())
    }

    fn command(&self, tenant: Tenant, vm: Vm, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name(tenant, vm)])
            .args(words);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a program of a VM to its end.
    async fn exec(&self, tenant: Tenant, vm: Vm, words: &[&str]) -> Result<Ended, Error> {
        let ended = tokio::time::timeout(PATIENCE, self.command(tenant, vm, words).output()).await;
        match ended {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(Error::Failed(format!(
                "cannot start {}: {error}",
                words.join(" ")
            ))),
            Err(_) => Err(Error::Failed(format!(
                "{} in {} has not ended after {} s",
                words.join(" "),
                self.name(tenant, vm),
                PATIENCE.as_secs()
            ))),
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for (tenant, vm) in self.all() {
            // One that was never made cannot be removed; there is nobody left to tell.
            let _ = std::process::Command::new("ip")
                .args(["netns", "del", &self.name(tenant, vm)])
                .stderr(Stdio::null())
                .status();
        }
    }
}

fn identity(vm: Vm) -> (&'static str, [&'static str; 2], [&'static str; 2]) {
    let front = ["10.0.0.1", "fd00:0:0:1::1"];
    match vm {
        Vm::A => (
            "02:00:00:00:00:0a",
            ["10.0.0.10/24", "fd00:0:0:1::a/64"],
            front,
        ),
        Vm::B => (
            "02:00:00:00:00:14",
            ["10.0.0.20/24", "fd00:0:0:1::14/64"],
            front,
        ),
        Vm::C => (
            "02:00:00:00:00:1e",
            ["10.0.1.30/24", "fd00:0:0:2::1e/64"],
            ["10.0.1.1", "fd00:0:0:2::1"],
        ),
    }
}

async fn ip(arguments: &[&str]) -> Result<(), Error> {
    let output = Command::new("ip")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await;
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Error::Failed(format!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
        Err(error) => Err(Error::Failed(format!("cannot start ip: {error}"))),
    }
}

struct Live<'a> {
    namespaces: &'a Namespaces,
    places: &'a Places,
    progress: &'a Progress,
}

impl Live<'_> {
    /// Both tenants, one subnet and two, both IP versions, larger than the MTU.
    async fn pings(&self) -> Result<Check, Error> {
        self.progress.say("ping");
        let targets = [
            ("10.0.0.20", "56"),
            ("10.0.1.30", "56"),
            ("fd00:0:0:1::14", "56"),
            ("fd00:0:0:2::1e", "56"),
            ("10.0.0.20", "4000"),
        ];
        let (mut ok, mut details) = (true, Vec::new());
        for tenant in Tenant::ALL {
            for (target, size) in targets {
                let words = [
                    "ping", "-n", "-c", "5", "-i", "0.2", "-W", "2", "-s", size, target,
                ];
                let output = self.namespaces.exec(tenant, Vm::A, &words).await?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let found =
                    |what: &str| text.lines().find(|line| line.contains(what)).map(str::trim);
                let fine = output.status.success() && text.contains(" 0% packet loss");
                ok &= fine;
                let times = found("rtt")
                    .and_then(|line| line.split(" = ").nth(1))
                    .unwrap_or("no answer");
                let loss = found("packets transmitted").unwrap_or("nothing sent");
                details.push(format!(
                    "{} a → {target} ({size} bytes): {loss}; {times}",
                    tenant.name()
                ));
            }
        }
        Ok(Check::new(
            ok,
            "ping: no packet lost, the first included",
            details,
        ))
    }

    /// 20 MB over HTTP in one subnet and across the gateway, compared by SHA-256.
    async fn download(&self) -> Result<Check, Error> {
        self.progress.say("HTTP: 20 MB from b and from c");
        let folder = self.places.root.join("www");
        let original = make_download(&folder)?;
        let (mut ok, mut details) = (true, Vec::new());
        for (vm, address) in [
            (Vm::B, "10.0.0.20"),
            (Vm::C, "10.0.1.30"),
            (Vm::B, "fd00:0:0:1::14"),
        ] {
            let _server = self.http_server(Tenant::Blue, vm, address, &folder).await?;
            let copy = self.places.root.join("download");
            let host = if address.contains(':') {
                format!("[{address}]")
            } else {
                address.to_owned()
            };
            let url = format!("http://{host}/file");
            let path = copy.display().to_string();
            let format = "%{size_download} %{time_total} %{speed_download}";
            let words = ["curl", "-sS", "-m", "50", "-o", &path, "-w", format, &url];
            let output = self.namespaces.exec(Tenant::Blue, Vm::A, &words).await?;
            let same = std::fs::read(&copy).is_ok_and(|bytes| Sha256::digest(bytes) == original);
            ok &= output.status.success() && same;
            details.push(match output.status.success() {
                true => download_text(&url, &String::from_utf8_lossy(&output.stdout), same),
                false => format!("{url}: {}", String::from_utf8_lossy(&output.stderr).trim()),
            });
            let _ = std::fs::remove_file(&copy);
        }
        Ok(Check::new(
            ok,
            "curl: downloads are what the server has, by SHA-256",
            details,
        ))
    }

    async fn http_server(
        &self,
        tenant: Tenant,
        vm: Vm,
        address: &str,
        folder: &Path,
    ) -> Result<Process, Error> {
        let folder = folder.display().to_string();
        let words = [
            "python3",
            "-m",
            "http.server",
            "80",
            "--bind",
            address,
            "--directory",
            &folder,
        ];
        let log = self
            .places
            .log(&format!("http-{}-{}", tenant.name(), vm.name()));
        let mut command = self.namespaces.command(tenant, vm, &words);
        // The server looks its own name up, and there is no name server in the namespace.
        command.env("RES_OPTIONS", "timeout:1 attempts:1");
        let server = Process::start("http.server", command, &log)?;
        self.wait_for_port(tenant, vm, ":80 ").await?;
        Ok(server)
    }

    /// Waits until something listens in a VM.
    async fn wait_for_port(&self, tenant: Tenant, vm: Vm, port: &str) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let output = self.namespaces.exec(tenant, vm, &["ss", "-tlnH"]).await?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if text.contains(port) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Failed(format!(
                    "nothing listens on port {port} of {}",
                    vm.name()
                )));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// R3.6: red's servers take no HTTP, though one is there.
    async fn forbidden(&self) -> Result<Check, Error> {
        self.progress.say("HTTP where it is forbidden");
        let folder = self.places.root.join("www");
        let _server = self
            .http_server(Tenant::Red, Vm::B, "10.0.0.20", &folder)
            .await?;
        let words = ["curl", "-sS", "-m", "3", "http://10.0.0.20/"];
        let output = self.namespaces.exec(Tenant::Red, Vm::A, &words).await?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let what = "curl: red gets no answer from its own server at the same address";
        Ok(Check::new(!output.status.success(), what, vec![said]))
    }

    /// TCP, then UDP at a rate that the software NIC sustains.
    async fn iperf(&self, seconds: u64, udp_rate: u64) -> Result<Vec<Check>, Error> {
        let words = ["iperf3", "-s", "--forceflush"];
        let command = self.namespaces.command(Tenant::Blue, Vm::B, &words);
        let _server = Process::start("iperf3 server", command, &self.places.log("iperf3"))?;
        self.wait_for_port(Tenant::Blue, Vm::B, ":5201 ").await?;
        let time = seconds.to_string();
        let rate = format!("{udp_rate}M");
        self.progress.say(&format!("iperf3: TCP for {seconds} s"));
        let tcp = self.iperf_run(seconds, &["-t", &time]).await;
        self.progress
            .say(&format!("iperf3: UDP, {udp_rate} Mbit/s, for {seconds} s"));
        // The receiver may be without CPU for a while: as much buffer as the system gives.
        let window = largest_buffer().to_string();
        let before = self.lost_in_vms().await?;
        let options = ["-t", &time, "-u", "-b", &rate, "-l", "1400", "-w", &window];
        let udp = self.iperf_run(seconds, &options).await;
        let after = self.lost_in_vms().await?;
        let outside = (
            after.0.saturating_sub(before.0),
            after.1.saturating_sub(before.1),
        );
        Ok(vec![
            tcp_check(seconds, tcp),
            udp_check(seconds, udp, outside),
        ])
    }

    /// Packets that were lost outside of the NICs: by a's interface, for want of room in its queue,
    /// and by b's sockets, for want of room in their buffers.
    async fn lost_in_vms(&self) -> Result<(u64, u64), Error> {
        let file = format!("/sys/class/net/{INTERFACE}/statistics/tx_dropped");
        let words = ["cat", &file];
        let interface = self.namespaces.exec(Tenant::Blue, Vm::A, &words).await?;
        let sockets = self
            .namespaces
            .exec(Tenant::Blue, Vm::B, &["cat", "/proc/net/snmp"])
            .await?;
        let interface = String::from_utf8_lossy(&interface.stdout)
            .trim()
            .parse()
            .unwrap_or(0);
        Ok((
            interface,
            receive_buffer_errors(&String::from_utf8_lossy(&sockets.stdout)),
        ))
    }

    async fn iperf_run(&self, seconds: u64, options: &[&str]) -> Result<Iperf, String> {
        let mut words = vec![
            "iperf3",
            "-c",
            "10.0.0.20",
            "--json",
            "--connect-timeout",
            "5000",
        ];
        words.extend(options);
        let mut command = self.namespaces.command(Tenant::Blue, Vm::A, &words);
        let patience = PATIENCE + Duration::from_secs(seconds);
        let output = match tokio::time::timeout(patience, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(format!("cannot start iperf3: {error}")),
            Err(_) => {
                return Err(format!(
                    "iperf3 has not ended after {} s",
                    patience.as_secs()
                ));
            }
        };
        let result: IperfReport = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("iperf3 reports no result: {error}"))?;
        match (result.error, result.end) {
            (Some(error), _) => Err(format!("iperf3: {error}")),
            (None, Some(end)) => Ok(end),
            (None, None) => Err("iperf3 reports no end".into()),
        }
    }
}

fn make_download(folder: &Path) -> Result<sha2::digest::Output<Sha256>, Error> {
    use std::io::Read;
    std::fs::create_dir_all(folder).map_err(|error| io("create", folder, &error))?;
    let source = PathBuf::from("/dev/urandom");
    let mut bytes = vec![0; DOWNLOAD];
    std::fs::File::open(&source)
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| io("read", &source, &error))?;
    let file = folder.join("file");
    std::fs::write(&file, &bytes).map_err(|error| io("write", &file, &error))?;
    Ok(Sha256::digest(&bytes))
}

fn download_text(url: &str, said: &str, same: bool) -> String {
    let numbers: Vec<f64> = said
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let verdict = if same { "same bytes" } else { "OTHER BYTES" };
    match numbers[..] {
        [size, time, speed] => {
            let rate = speed * 8.0 / 1e6;
            format!(
                "{url}: {:.1} MB in {time:.2} s, {rate:.0} Mbit/s, {verdict}",
                size / 1e6
            )
        }
        _ => format!("{url}: {said}, {verdict}"),
    }
}

#[cfg(test)]
mod tests {
    use super::download_text;

    #[test]
    fn downloads_are_told_with_their_rate() {
        assert_eq!(
            download_text("u", "20000000 2.0 10000000", true),
            "u: 20.0 MB in 2.00 s, 80 Mbit/s, same bytes"
        );
    }
}
