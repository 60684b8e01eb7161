//! R9.1: the commands against a fake agent and service: JSON, tables, exit codes.
//!
//! Golden files are in `tests/golden`; `UPDATE_GOLDEN=1 cargo test -p flownic-ctl` writes them anew.

mod fake;

use std::path::PathBuf;
use std::process::Output;

use fake::Fake;

async fn flownic(fake: &Fake, arguments: &[&str]) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_flownic"))
        .args(arguments)
        .env("FLOWNIC_AGENT", &fake.url)
        .env("FLOWNIC_NIS", &fake.url)
        .output()
        .await
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn check_golden(fake: &Fake, name: &str, arguments: &[&str]) {
    let output = flownic(fake, arguments).await;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        stderr(&output)
    );
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let out = stdout(&output);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &out).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        out, expected,
        "{arguments:?} differs from {name}; UPDATE_GOLDEN=1 writes it anew"
    );
}

/// R9.1: JSON output is a promise: its form changes only with the schema number.
#[tokio::test]
async fn r9_1_json_is_stable() {
    let fake = fake::start().await;
    let cases: [(&str, &[&str]); 10] = [
        ("device-show.json", &["device", "show", "--json"]),
        ("table-list.json", &["table", "list", "--json"]),
        ("table-show.json", &["table", "show", "vf_mac", "--json"]),
        ("flow-list.json", &["flow", "list", "--json"]),
        ("flow-clear.json", &["flow", "clear", "--json"]),
        ("vf-list.json", &["vf", "list", "--json"]),
        ("vn-list.json", &["vn", "list", "--json"]),
        ("vn-show.json", &["vn", "show", "--json"]),
        (
            "vn-trace.json",
            &["vn", "trace", "blue/a", "10.0.0.20", "tcp/80", "--json"],
        ),
        ("stats.json", &["stats", "--json"]),
    ];
    for (name, arguments) in cases {
        check_golden(&fake, name, arguments).await;
    }
}

/// R9.1: what people see.
#[tokio::test]
async fn r9_1_tables_for_people() {
    let fake = fake::start().await;
    let cases: [(&str, &[&str]); 8] = [
        ("device-show.txt", &["device", "show"]),
        ("table-list.txt", &["table", "list"]),
        ("table-show.txt", &["table", "show", "vf_mac"]),
        ("flow-list.txt", &["flow", "list"]),
        ("vf-list.txt", &["vf", "list"]),
        ("vn-list.txt", &["vn", "list"]),
        (
            "vn-trace.txt",
            &["vn", "trace", "blue/a", "10.0.0.20", "tcp/81"],
        ),
        ("stats.txt", &["stats"]),
    ];
    for (name, arguments) in cases {
        check_golden(&fake, name, arguments).await;
    }
}

/// R9.1: exit codes are stable, errors are one line.
#[tokio::test]
async fn r9_1_exit_codes() {
    let fake = fake::start().await;
    let cases: [(i32, &[&str]); 9] = [
        (1, &["table", "show", "vf_ipv4"]),
        (2, &["table", "insert", "vf_mac", "src"]),
        (2, &["device", "show", "--timeout", "0"]),
        (2, &["--agent", "not a url", "device", "show"]),
        (3, &["table", "show", "nonsense"]),
        (3, &["flow", "list", "--vni", "999"]),
        (3, &["vn", "apply", "/nowhere/file.toml"]),
        (3, &["vn", "trace", "blue/z", "10.0.0.20"]),
        (5, &["--agent", "http://127.0.0.1:1", "device", "show"]),
    ];
    for (code, arguments) in cases {
        let output = flownic(&fake, arguments).await;
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(
            stdout(&output).is_empty(),
            "{arguments:?} printed {}",
            stdout(&output)
        );
        if code != 2 {
            assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        }
    }
}

/// R7.3: a file is written as one batch, and the error names the line that was the cause.
#[tokio::test]
async fn r7_3_bulk_writes_name_the_line() {
    let fake = fake::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let line = "insert vf_mac ingress_port=16 vlan=0 src=02:00:00:00:00:0a action NoAction\n";
    std::fs::write(path, format!("# two entries\n{line}\n{line}")).unwrap();
    let output = flownic(&fake, &["table", "insert", "-f", path]).await;
    assert_eq!(
        stdout(&output),
        "2 entries written\n",
        "{}",
        stderr(&output)
    );
    {
        let written = fake.written.lock().unwrap();
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].updates.len(), 2);
        assert!(!written[0].dry_run);
    }

    std::fs::write(path, format!("{line}{line}{line}")).unwrap();
    let output = flownic(&fake, &["table", "insert", "-f", path]).await;
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(
        stderr(&output),
        format!(
            "flownic: {path}:3: cannot insert an entry of vf_mac: there is such an entry already; nothing is written\n"
        )
    );

    std::fs::write(path, format!("{line}insert vf_mac src=x action NoAction\n")).unwrap();
    let output = flownic(&fake, &["table", "insert", "-f", path]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains(":2: table vf_mac: hdr.ethernet.src = x is not a MAC address")
    );
}

/// R9.1: a dry run says so to the agent, too.
#[tokio::test]
async fn r9_1_dry_run_writes_nothing() {
    let fake = fake::start().await;
    let entry = [
        "vf_mac",
        "ingress_port=16",
        "vlan=0",
        "src=02:00:00:00:00:0a",
    ];
    let mut arguments = vec!["table", "delete", "--dry-run"];
    arguments.extend(entry);
    let output = flownic(&fake, &arguments).await;
    assert_eq!(
        stdout(&output),
        "1 entry checked, nothing is written (dry run)\n",
        "{}",
        stderr(&output)
    );
    assert!(fake.written.lock().unwrap()[0].dry_run);
}

/// R9.1: a configuration that is refused says where.
#[tokio::test]
async fn r9_1_apply_says_where() {
    let fake = fake::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    std::fs::write(path, "x").unwrap();
    let output = flownic(&fake, &["vn", "apply", path]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains(&format!("{path}:1:1: no network")),
        "{}",
        stderr(&output)
    );
    std::fs::write(path, "[[network]]").unwrap();
    let output = flownic(&fake, &["vn", "apply", path]).await;
    assert_eq!(
        stdout(&output),
        "  network blue: new, vni 100\n1 change applied, revision 7\n"
    );
}

/// R9.1: completion for shells.
#[tokio::test]
async fn r9_1_completion() {
    let fake = fake::start().await;
    let output = flownic(&fake, &["completion", "bash"]).await;
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("_flownic()"));
}
