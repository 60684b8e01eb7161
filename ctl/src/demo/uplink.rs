//! The captures of both uplinks: are they whole, and does tshark find nothing malformed in them?

use std::path::Path;

use tokio::process::Command;

use super::capture;
use super::report::Check;
use super::tenants::Host;
use super::testbed::Places;

/// Reads both captures; with tshark on the PATH also by tshark.
pub(crate) async fn check(places: &Places) -> Check {
    let (mut ok, mut details) = (true, Vec::new());
    for host in Host::ALL {
        let path = places.capture(host);
        match count(&path) {
            Ok(0) => {
                ok = false;
                details.push(format!("{} has no packets", path.display()));
            }
            Ok(packets) => details.push(format!("{}: {packets} packets", host.name())),
            Err(error) => {
                ok = false;
                details.push(format!("{}: {error}", path.display()));
            }
        }
        match malformed(&path).await {
            Some(Ok(0)) => details.push(format!("{}: tshark finds nothing malformed", host.name())),
            Some(Ok(count)) => {
                ok = false;
                details.push(format!(
                    "{}: tshark calls {count} packets malformed",
                    host.name()
                ));
            }
            Some(Err(error)) => {
                ok = false;
                details.push(format!("{}: tshark cannot read it: {error}", host.name()));
            }
            None => details.push("tshark is not installed, so it was not asked".into()),
        }
    }
    Check::new(
        ok,
        "both uplinks were captured, and the captures are whole",
        details,
    )
}

fn count(path: &Path) -> Result<usize, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let records =
        capture::read(std::io::BufReader::new(file)).map_err(|error| error.to_string())?;
    Ok(records.len())
}

/// `None` when there is no tshark.
async fn malformed(path: &Path) -> Option<Result<usize, String>> {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(path)
        .args(["-Y", "_ws.malformed", "-T", "fields", "-e", "frame.number"])
        .kill_on_drop(true)
        .output()
        .await;
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(error.to_string())),
        Ok(output) if !output.status.success() => {
            Some(Err(String::from_utf8_lossy(&output.stderr)
                .trim()
                .to_owned()))
        }
        Ok(output) => Some(Ok(output
            .stdout
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .count())),
    }
}
