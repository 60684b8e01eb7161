//! What is written can be read; what was cut is left out.

use super::{FILE_BYTES, RECORD_BYTES, read, write};

#[test]
fn written_packets_are_read_until_the_first_cut_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.pcap");
    let packets: [&[u8]; 2] = [&[1, 2, 3], &[4; 60]];
    write(&path, packets.into_iter()).expect("written");
    let records = read(&path).expect("read");
    assert!(records.iter().map(|r| &*r.bytes).eq(packets));
    let bytes = std::fs::read(&path).expect("read");
    assert_eq!(bytes.len() as u64, FILE_BYTES + 2 * RECORD_BYTES + 63);
    std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
    assert_eq!(read(&path).expect("read").len(), 1);
}
