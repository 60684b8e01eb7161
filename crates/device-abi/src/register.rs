//! How a register is described, so that code and data sheet have one source.

/// Who may do what with a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The driver reads; its writes are ignored.
    ReadOnly,
    /// The driver reads and writes; the device only reads.
    ReadWrite,
    /// The driver writes; it reads zero.
    WriteOnly,
}

impl Access {
    /// As in the data sheet.
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Access::ReadOnly => "RO",
            Access::ReadWrite => "RW",
            Access::WriteOnly => "WO",
        }
    }
}

/// One register, or a run of bytes that is read like registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// Name in the data sheet.
    pub name: &'static str,
    /// Bytes from the start of the BAR; a multiple of the width, for runs of bytes a multiple of 8.
    pub offset: u32,
    /// Bytes: 4, 8, or a longer run.
    pub width: u32,
    /// Who may do what.
    pub access: Access,
    /// Meaning and unit.
    pub meaning: &'static str,
}

impl Register {
    /// First byte after the register.
    pub const fn end(&self) -> u32 {
        self.offset + self.width
    }
}

/// Declares registers as constants and as the table `REGISTERS`, in order of offset.
macro_rules! registers {
    ($($name:ident $offset:literal $width:literal $access:ident $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: $crate::register::Register = $crate::register::Register {
                name: stringify!($name),
                offset: $offset,
                width: $width,
                access: $crate::register::Access::$access,
                meaning: $meaning,
            };
        )*
        /// Every register of this BAR, in order of offset.
        pub const REGISTERS: &[$crate::register::Register] = &[$($name),*];

        const _: () = $crate::register::check(REGISTERS);
    };
}
pub(crate) use registers;

/// Registers are in order, aligned, and do not overlap.
pub(crate) const fn check(registers: &[Register]) {
    let mut end = 0;
    let mut i = 0;
    while i < registers.len() {
        let register = &registers[i];
        assert!(
            register.offset >= end,
            "registers overlap or are not in order"
        );
        assert!(
            register.width == 4 || register.width.is_multiple_of(8),
            "width is 4 or a multiple of 8"
        );
        let alignment = if register.width == 4 { 4 } else { 8 };
        assert!(
            register.offset.is_multiple_of(alignment),
            "register is not aligned"
        );
        end = register.end();
        i += 1;
    }
}
