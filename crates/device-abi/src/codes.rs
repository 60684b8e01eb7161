//! Numbers with a name and a meaning, so that code and data sheet have one source.

/// Declares an enumeration of codes with its meaning, so that it can be printed in the data sheet.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident: $repr:ident { $($variant:ident = $code:literal $meaning:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr($repr)]
        pub enum $name {
            $(#[doc = $meaning] $variant = $code,)*
        }

        impl $name {
            /// Every value, in order of code.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The value with this code, if it is one.
            pub fn from_code(code: $repr) -> Option<Self> {
                Self::ALL.iter().copied().find(|&value| value as $repr == code)
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $($name::$variant => $meaning,)*
                }
            }
        }
    };
}
pub(crate) use codes;
