//! BAR2: doorbells and event indices in memory that driver and device share. Each has a cache line
//! of its own; each is written by one side only and read by the other.
//!
//! Indices count entries since the function was enabled; they run freely modulo 2³² and never
//! wrap at a ring's size. Entry `i` is in slot `i % size`.
//!
//! **Sleeping device.** A device that finds no work sets [`SLEEPING`], then looks at the doorbells
//! once more, then sleeps. A driver stores a doorbell, then reads [`SLEEPING`]; if it is not zero,
//! it writes [`crate::bar0::KICK`]. Both need a full barrier between store and load.
//!
//! **Interrupts.** The device raises a ring's vector when it completes the entry whose index is in
//! the ring's event word. A driver that wants to sleep stores the index of the next entry that it
//! waits for, then looks at the ring once more. A full barrier on both sides here, too.

use crate::register::registers;

registers! {
    ADMIN_TAIL   0x0000 4 ReadWrite "Admin commands submitted.";
    PUNT_TAIL    0x0040 4 ReadWrite "Empty punt buffers given to the device.";
    INJECT_TAIL  0x0080 4 ReadWrite "Inject descriptors given to the device.";
    ADMIN_EVENT  0x0100 4 ReadWrite "Raise vector 0 when admin completion number … is written.";
    PUNT_EVENT   0x0140 4 ReadWrite "Raise vector 1 when punt descriptor number … is completed.";
    INJECT_EVENT 0x0180 4 ReadWrite "Raise vector 2 when inject descriptor number … is completed.";
    SLEEPING     0x0200 4 ReadOnly  "Not zero: the device needs a write to KICK to see a doorbell.";
}

const _: () = assert!(SLEEPING.end() <= crate::pci::BAR2_LEN);

/// Whether an interrupt is due when entries `from..to` (free-running) were completed and the other
/// side asked for one at `event`.
pub const fn event_is_due(event: u32, from: u32, to: u32) -> bool {
    event.wrapping_sub(from) < to.wrapping_sub(from)
}

#[cfg(test)]
mod tests {
    use super::event_is_due;

    #[test]
    fn an_event_is_due_once_and_across_the_wrap() {
        assert!(event_is_due(5, 5, 6));
        assert!(!event_is_due(5, 6, 7));
        assert!(!event_is_due(5, 5, 5));
        assert!(event_is_due(0, u32::MAX - 1, 3));
        assert!(!event_is_due(3, u32::MAX - 1, 3));
    }
}
