//! Kinds of fact, named once.

/// Names kinds of fact: the enum, its list, the type on the wire, that of its public form and the
/// sentence in the schema all come from one place. For use by domain crates.
#[macro_export]
macro_rules! fact_kinds {
    ($(#[$meta:meta])* $name:ident { $(#[doc = $doc:literal] $kind:ident = $type:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $(#[doc = $doc] $kind),+ }

        impl $name {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The type on the wire.
            pub const fn type_name(self) -> &'static str {
                match self { $(Self::$kind => $type),+ }
            }

            /// The promise of its public form.
            pub const fn public_type(self) -> &'static str {
                match self { $(Self::$kind => concat!("public.", $type)),+ }
            }

            /// When it happens, in one sentence.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$kind => $doc),+ }
            }

            /// The kind that `type_name` names, where it is one of these.
            pub fn parse(type_name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.type_name() == type_name)
            }
        }
    };
}
