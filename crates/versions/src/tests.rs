use super::*;

/// R1.5: the numbers that `p4/stages/flow_cache.p4` uses.
#[test]
fn r1_5_cells_are_the_pipelines() {
    let source = include_str!("../../../p4/stages/flow_cache.p4");
    for part in Part::ALL {
        let read = format!(
            "vn_versions.read(vn.{part}, CELL(meta.vn_slot, {}));",
            part.cell()
        );
        assert!(source.contains(&read), "{read}");
    }
    assert_eq!(Part::Lb.register_index(0), 4);
    assert_eq!(Part::Route.register_index(3), 26);
    assert!(u32::from(Parts::ALL.mask()) < 1 << CELLS_PER_SLOT);
}

/// R1.5: a version that differs is stale, whether it is older or newer.
#[test]
fn r1_5_any_difference_is_stale() {
    let entry = Versions::all(7);
    let mut current = entry;
    assert!(entry.stale(&current).is_empty());
    current.set(Part::Security, 8);
    current.set(Part::Lb, 6);
    let stale = entry.stale(&current);
    assert_eq!(stale.mask(), 0b1_0001);
    assert_eq!(stale.to_string(), "security, lb");
    assert_eq!(stale, current.stale(&entry));
}

/// R1.5: only the parts that changed get the new version.
#[test]
fn r1_5_advance_touches_only_its_parts() {
    let mut versions = Versions::all(1);
    versions.advance([Part::Mapping, Part::Route].into_iter().collect(), 9);
    assert_eq!(versions, Versions([1, 9, 9, 1, 1]));
    assert_eq!(
        versions.to_string(),
        "security 1 mapping 9 route 9 policy 1 lb 1"
    );
}

/// R1.6: joining two vectors keeps the later version of each part, in any order.
#[test]
fn r1_6_join_is_the_later_of_each_part() {
    let a = Versions([1, 5, 3, 0, 2]);
    let b = Versions([4, 2, 3, 1, 0]);
    assert_eq!(a.join(&b), Versions([4, 5, 3, 1, 2]));
    assert_eq!(a.join(&b), b.join(&a));
    assert_eq!(a.join(&a), a);
    assert!(!a.is_complete());
    assert!(a.join(&b).is_complete());
}

#[test]
fn masks_hold_no_unknown_bits() {
    assert_eq!(Parts::from_mask(0xff), Parts::ALL);
    assert_eq!(Parts::from_mask(0xe0), Parts::NONE);
    assert_eq!(Parts::ALL.iter().collect::<Vec<_>>(), Part::ALL);
    assert_eq!(Parts::NONE.to_string(), "nothing");
}

#[test]
fn serde_round_trip() {
    let versions = Versions([1, 2, 3, 4, 5]);
    let text = serde_json::to_string(&versions).unwrap();
    assert_eq!(text, "[1,2,3,4,5]");
    assert_eq!(serde_json::from_str::<Versions>(&text).unwrap(), versions);
    assert_eq!(serde_json::to_string(&Part::Lb).unwrap(), "\"lb\"");
}
