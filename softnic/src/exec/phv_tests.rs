use super::{extend, load, store};
use crate::program::Bits;

fn bits(at: u32, bytes: u32, shift: u8, width: u32) -> Bits {
    Bits {
        at,
        bytes,
        shift,
        width,
        signed: false,
    }
}

#[test]
fn loads_what_was_stored_at_every_offset_and_width() {
    for width in 1..=136u32 {
        for start in 0..8u32 {
            let end = start + width;
            let bytes = end.div_ceil(8);
            let field = bits(1, bytes, (bytes * 8 - end) as u8, width);
            for fill in [0x00u8, 0xff] {
                let mut area = vec![fill; 20];
                let value =
                    0x0123_4567_89ab_cdef_1122_3344_5566_7788u128 ^ (u128::from(start) << 60);
                store(&mut area, field, value);
                assert_eq!(load(&area, field), extend(value, width, false), "{field:?}");
                store(&mut area, field, if fill == 0 { 0 } else { u128::MAX });
                // Bits above 128 are zero after a store of 128.
                if width <= 128 {
                    assert_eq!(area, vec![fill; 20], "{field:?} touched its neighbours");
                }
            }
        }
    }
}

#[test]
fn signed_fields_are_sign_extended() {
    let field = Bits {
        signed: true,
        ..bits(0, 1, 0, 8)
    };
    assert_eq!(load(&[0x80], field) as i128, -128);
    assert_eq!(load(&[0x7f], field) as i128, 127);
}
