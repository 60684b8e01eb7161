use super::*;
use proptest::prelude::*;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

const PAGE: u64 = 4096;
const READ_WRITE: Rights = Rights {
    read: true,
    write: true,
};
const READ_ONLY: Rights = Rights {
    read: true,
    write: false,
};

fn memfd(pages: u64) -> File {
    let fd = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("memfd");
    ftruncate(&fd, pages * PAGE).expect("size");
    fd.into()
}

fn again(file: &File) -> File {
    file.try_clone().expect("duplicate")
}

/// R6.4: page-wise maps in any order are one memory to the device.
#[test]
fn accesses_cross_regions_and_the_file_is_mapped_once() {
    let file = memfd(4);
    let mut table = DmaTable::default();
    // Pages of the file in reverse order at ascending addresses.
    for page in 0..4 {
        let place = Some((again(&file), (3 - page) * PAGE));
        table
            .map(0x10_0000 + page * PAGE, PAGE, READ_WRITE, place)
            .expect("free");
    }
    let bytes: Vec<u8> = (0..2 * PAGE).map(|i| (i % 251) as u8).collect();
    table.write(0x10_0000 + PAGE - 100, &bytes).expect("mapped");
    let mut back = vec![0; bytes.len()];
    table
        .read(0x10_0000 + PAGE - 100, &mut back)
        .expect("mapped");
    assert_eq!(back, bytes);
    let mut first = [0; 100];
    table.regions[&0x10_0000]
        .backing
        .as_ref()
        .expect("file")
        .0
        .read(4 * 4096 - 100, &mut first)
        .expect("mapped");
    assert_eq!(first, bytes[..100]);
    assert_eq!(table.files.len(), 1);
    let memory = &table.regions[&0x10_0000].backing.as_ref().expect("file").0;
    assert_eq!(Arc::strong_count(memory), 4);
}

/// R6.4: no access outside of the maps, against their rights, or without memory.
#[test]
fn refused_accesses_change_nothing() {
    let file = memfd(2);
    let mut table = DmaTable::default();
    table
        .map(0x1000, PAGE, READ_WRITE, Some((again(&file), 0)))
        .expect("free");
    table
        .map(0x2000, PAGE, READ_ONLY, Some((again(&file), PAGE)))
        .expect("free");
    table.map(0x3000, PAGE, READ_WRITE, None).expect("free");
    let fault = |address, len, write| {
        Err(DmaFault {
            address,
            len,
            write,
        })
    };
    assert_eq!(table.write(0x1ffc, &[1; 8]), fault(0x1ffc, 8, true));
    let mut bytes = [9; 8];
    assert_eq!(table.read(0x1ffc, &mut bytes), Ok(()));
    assert_eq!(bytes, [0; 8], "the allowed half was not written");
    assert_eq!(table.read(0x2ffc, &mut bytes), fault(0x2ffc, 8, false));
    assert_eq!(table.read(0xfff, &mut bytes), fault(0xfff, 8, false));
    assert_eq!(
        table.read(u64::MAX - 3, &mut bytes),
        fault(u64::MAX - 3, 8, false)
    );
    assert_eq!(table.store_u64(0x1004, 1), fault(0x1004, 8, true));
    assert_eq!(table.store_u64(0x1ff8, 1), Ok(()));
    assert_eq!(table.check(0x1000, 0x2000, false), Ok(()));
    table.unmap(0x2000, PAGE);
    assert!(table.check(0x1000, 0x2000, false).is_err());
    table.clear();
    assert!(table.check(0x1000, 1, false).is_err());
}

#[test]
fn bad_maps_are_refused() {
    let file = memfd(2);
    let mut table = DmaTable::default();
    let place = |offset| Some((again(&file), offset));
    table.map(0x2000, PAGE, READ_WRITE, place(0)).expect("free");
    for (address, len) in [(0x2000, 1), (0x1000, PAGE + 1), (0x2fff, 10), (0, 0x10000)] {
        assert!(matches!(
            table.map(address, len, READ_WRITE, None),
            Err(MapError::Overlap(0x2000))
        ));
    }
    assert!(matches!(
        table.map(0, 0, READ_WRITE, None),
        Err(MapError::BadRange)
    ));
    assert!(matches!(
        table.map(u64::MAX, 2, READ_WRITE, None),
        Err(MapError::BadRange)
    ));
    assert!(matches!(
        table.map(0, 2 * PAGE, READ_WRITE, place(1)),
        Err(MapError::BeyondFile)
    ));
    assert!(matches!(
        table.map(0, 1, READ_WRITE, place(u64::MAX)),
        Err(MapError::BeyondFile)
    ));
    table
        .map(u64::MAX, 1, READ_WRITE, place(5))
        .expect("the last byte is an address, too");
    assert!(table.check(u64::MAX, 1, true).is_ok());
}

proptest! {
    /// R6.4: whatever is mapped and accessed, the table agrees with a model that knows each page.
    #[test]
    fn checks_agree_with_a_page_wise_model(
        maps in proptest::collection::vec((0..16u64, 1..5u64, any::<bool>(), any::<bool>()), 0..12),
        accesses in proptest::collection::vec((0..20 * PAGE, 1..3 * PAGE, any::<bool>()), 1..20),
    ) {
        let file = memfd(4);
        let mut table = DmaTable::default();
        let mut model: Vec<Option<Rights>> = vec![None; 24];
        for (page, pages, read, write) in maps {
            let rights = Rights { read, write };
            let range = page as usize..(page + pages) as usize;
            let free = model[range.clone()].iter().all(Option::is_none);
            let mapped = table.map(page * PAGE, pages * PAGE, rights, Some((again(&file), 0)));
            prop_assert_eq!(mapped.is_ok(), free);
            if free {
                model[range].fill(Some(rights));
            }
        }
        for (address, len, write) in accesses {
            let pages = (address / PAGE) as usize..=((address + len - 1) / PAGE) as usize;
            let allowed = model[pages].iter().all(|page| page.is_some_and(|r| if write { r.write } else { r.read }));
            prop_assert_eq!(table.check(address, len, write).is_ok(), allowed);
        }
    }
}
