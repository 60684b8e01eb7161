//! Serving and identity. What a driver sees is tested with the driver, in its own crate.

use super::*;

fn identity(firmware: &str) -> Identity {
    Identity {
        serial: 1,
        pipeline_cookie: 2,
        uplinks: 1,
        vfs: 4,
        firmware: firmware.into(),
    }
}

/// R6.4: two devices cannot be at one place, and a device leaves nothing behind.
#[test]
fn a_socket_belongs_to_one_device() {
    let dir = tempfile::tempdir().expect("directory");
    let socket = dir.path().join("nic.sock");
    let device = Device::serve(&socket, identity("a")).expect("served");
    let error = Device::serve(&socket, identity("b")).expect_err("in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let clone = device.clone();
    drop(device);
    assert!(socket.exists(), "a clone is still the device");
    drop(clone);
    assert!(!socket.exists());
    Device::serve(&socket, identity("c")).expect("free again");
}

/// R6.4: what is in the way and is no socket of a dead device stays as it is.
#[test]
fn a_file_in_the_way_is_not_removed() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("precious");
    std::fs::write(&path, "data").expect("written");
    assert!(Device::serve(&path, identity("a")).is_err());
    assert_eq!(std::fs::read(&path).expect("still there"), b"data");
}

#[test]
fn long_firmware_names_are_cut_at_a_character() {
    let bytes = identity(&"é".repeat(40)).firmware_bytes();
    assert_eq!(std::str::from_utf8(&bytes), Ok("é".repeat(32).as_str()));
    let bytes = identity(&format!("x{}", "é".repeat(40))).firmware_bytes();
    assert_eq!(bytes[63], 0);
    assert_eq!(
        std::str::from_utf8(&bytes[..63]),
        Ok(format!("x{}", "é".repeat(31)).as_str())
    );
}

/// R6.4: without a driver the worker may sleep, and punts are counted.
#[test]
fn without_a_driver_there_is_nothing_to_do() {
    let dir = tempfile::tempdir().expect("directory");
    let mut device = Device::serve(&dir.path().join("nic.sock"), identity("a")).expect("served");
    assert!(device.prepare_sleep());
    assert!(!device.punt(&[1, 2, 3]));
    assert_eq!(
        device.statistics(),
        Statistics {
            no_driver: 1,
            ..Statistics::default()
        }
    );
}
