/// Gives the values of an enum the names under which they stand in files.
macro_rules! names {
    ($kind:ident { $($value:ident = $name:literal),* $(,)? }) => {
        impl $kind {
            /// All of them, in order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$value),*];

            /// As it stands in files.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name),*
                }
            }
        }
    };
}

pub(crate) use names;
