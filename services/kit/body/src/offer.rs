//! One schema into the registry, as an operator offers it: as the next version of its type, or as
//! one that is there already; and what is there, for people.

use schema_registry_converter::async_impl::schema_registry::get_all_subjects;
use serde_json::Value;

use crate::candidate::Candidate;
use crate::name;
use crate::registry::{RegistryError, Schemas};
use crate::schemas::{self, Promise};

/// Types that [`Schemas::catalog`] looks at. A house has some hundreds.
pub const TYPES_MAX: usize = 4_096;

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It is in the registry from now on.
    Registered {
        /// As this version.
        version: u32,
    },
    /// It was there.
    AlreadyThere {
        /// As this version.
        version: u32,
    },
}

/// Why an offer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// The registry did not answer, or refused it.
    #[error("offering a schema of {type_name}")]
    Registry {
        /// Of which type.
        type_name: String,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// Readers of one version would not read the other.
    #[error("{type_name} v{version} and its earlier versions must read each other:\n    {}",
        complaints.join("\n    "))]
    Incompatible {
        /// Which type.
        type_name: String,
        /// The version that it would be.
        version: u32,
        /// What differs, each in a line.
        complaints: Vec<String>,
    },
    /// Another version was asked for than it can be.
    #[error("{type_name}: this can be v{possible}, not v{asked}")]
    Version {
        /// Which type.
        type_name: String,
        /// What was asked for.
        asked: u32,
        /// What it is, or would be.
        possible: u32,
    },
    /// The same fields, with other marks, defaults or words.
    #[error(
        "{type_name} v{version} is registered with the same fields but other marks, defaults or \
         words; a version never changes, so change a field too (as one more nullable field) and \
         it is v{}", version + 1
    )]
    OtherWords {
        /// Which type.
        type_name: String,
        /// The version that has the same fields.
        version: u32,
    },
}

/// A type as the registry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The subject.
    pub subject: String,
    /// `<domain>.<name>`, where the subject is one of our types.
    pub type_name: Option<String>,
    /// Its versions, from 1, each with its id in the registry and its fingerprint.
    pub versions: Vec<(u32, u32, String)>,
}

impl Schemas {
    /// Registers a candidate as the next version of its type, or finds it there; `asked` is the
    /// version that the operator believes it to be.
    ///
    /// # Errors
    /// It does not go with what is registered, or the registry is away or refuses it.
    pub async fn offer(
        &self,
        candidate: &Candidate,
        asked: Option<u32>,
    ) -> Result<Offered, OfferError> {
        let type_name = candidate.type_name.clone();
        let failed = |source| OfferError::Registry { type_name: type_name.clone(), source };
        let held = self.versions(&type_name).await.map_err(failed)?;
        let same = held.iter().find(|one| one.fingerprint == candidate.schema.fingerprint());
        let next = u32::try_from(held.len()).map_or(u32::MAX, |held| held.saturating_add(1));
        let possible = same.map_or(next, |one| one.version);
        if let Some(asked) = asked.filter(|asked| *asked != possible) {
            return Err(OfferError::Version { type_name, asked, possible });
        }
        if let Some(same) = same {
            return if json(&same.text) == json(&candidate.text) {
                Ok(Offered::AlreadyThere { version: same.version })
            } else {
                Err(OfferError::OtherWords { type_name, version: same.version })
            };
        }
        let promise = |version, text: &str| Promise {
            type_name: type_name.clone(),
            version,
            text: text.to_owned(),
        };
        let earlier: Vec<Promise> =
            held.iter().map(|one| promise(one.version, &one.text)).collect();
        let next = promise(possible, &candidate.text);
        let complaints = schemas::against(&earlier, &next);
        if !complaints.is_empty() {
            return Err(OfferError::Incompatible { type_name, version: possible, complaints });
        }
        self.register(&[next]).await.map_err(failed)?;
        Ok(Offered::Registered { version: possible })
    }

    /// Every subject of the registry, sorted, each with its versions.
    ///
    /// # Errors
    /// The registry is away.
    pub async fn catalog(&self) -> Result<Vec<Listed>, RegistryError> {
        let subjects = get_all_subjects(&self.inner.settings).await;
        let mut subjects = subjects.map_err(|error| RegistryError::Away {
            wanted: "its subjects".to_owned(),
            source: Some(std::sync::Arc::new(error)),
        })?;
        subjects.sort();
        subjects.truncate(TYPES_MAX);
        let mut catalog = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let versions = self.versions_of(&subject).await?;
            catalog.push(Listed {
                type_name: name::type_name(&subject),
                versions: versions
                    .into_iter()
                    .map(|one| (one.version, one.id, one.fingerprint))
                    .collect(),
                subject,
            });
        }
        Ok(catalog)
    }
}

/// The text without its spaces and the order of its members.
fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}
