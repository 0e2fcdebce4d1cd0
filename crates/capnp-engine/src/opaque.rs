//! `Debug` for types whose insides say nothing to a reader: their name.

/// Implements `Debug` for the type `$name`: `opaque!(Reader, impl Debug for Reader<'_>)`.
macro_rules! opaque {
    ($name:ident, $($head:tt)+) => {
        $($head)+ {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}
