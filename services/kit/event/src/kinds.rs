//! Kinds of fact, named once.

/// Names kinds of fact: the enum, its list, the type on the wire, that of its public form and the
/// sentence in the schema all come from one place. For use by domain crates.
///
/// All kinds of one resource carry its state, so the resource has the version: `version 2` behind
/// the enum's name, 1 where it is not said. A schema's own versions begin at 1 whenever its kind
/// came: `since 2` behind its type tells with which version of the resource that was.
#[macro_export]
macro_rules! fact_kinds {
    ($(#[$meta:meta])* $name:ident $(version $version:literal)? {
        $(#[doc = $doc:literal] $kind:ident = $type:literal $(since $since:literal)?,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $(#[doc = $doc] $kind),+ }

        impl $name {
            /// Present version of the resource, whose state every kind carries.
            pub const RESOURCE_VERSION: u32 = $crate::or_first!($($version)?);

            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The type on the wire.
            pub const fn type_name(self) -> &'static str {
                match self { $(Self::$kind => $type),+ }
            }

            /// Present version of its schema.
            pub const fn version(self) -> u32 {
                match self {
                    $(Self::$kind => {
                        Self::RESOURCE_VERSION + 1 - $crate::or_first!($($since)?)
                    }),+
                }
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

/// The version that is told, or the first.
#[doc(hidden)]
#[macro_export]
macro_rules! or_first {
    () => {
        1
    };
    ($version:literal) => {
        $version
    };
}

#[cfg(test)]
mod tests {
    fact_kinds! {
        /// What happened to a kettle, which has had a lid since its second version.
        KettleFact version 3 {
            #[doc = "It was filled."]
            Filled = "kitchen.kettle_filled",
            #[doc = "Its lid was lifted."]
            Lifted = "kitchen.kettle_lifted" since 2,
            #[doc = "It whistled."]
            Whistled = "kitchen.kettle_whistled" since 3,
        }
    }

    fact_kinds! {
        /// What happened to a spoon.
        SpoonFact {
            #[doc = "It was lost."]
            Lost = "kitchen.spoon_lost",
        }
    }

    #[test]
    fn a_schema_counts_from_the_version_of_the_resource_with_which_it_came() {
        let versions: Vec<_> = KettleFact::ALL.iter().map(|kind| kind.version()).collect();
        assert_eq!(versions, [3, 2, 1]);
        for kind in KettleFact::ALL {
            assert_eq!(KettleFact::parse(kind.type_name()), Some(*kind));
            assert_eq!(kind.public_type(), format!("public.{}", kind.type_name()));
            assert!(kind.doc().ends_with('.'));
        }
    }

    #[test]
    fn resources_of_one_domain_count_each_for_itself() {
        assert_eq!((KettleFact::RESOURCE_VERSION, SpoonFact::RESOURCE_VERSION), (3, 1));
        assert_eq!((SpoonFact::ALL.len(), SpoonFact::Lost.version()), (1, 1));
        let lost = SpoonFact::parse("kitchen.spoon_lost").unwrap();
        assert_eq!((lost.type_name(), lost.doc()), ("kitchen.spoon_lost", "It was lost."));
        assert_eq!(lost.public_type(), "public.kitchen.spoon_lost");
    }
}
