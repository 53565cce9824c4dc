//! The client of the schema registry (Confluent's API; ours is Apicurio's `/apis/ccompat/v7`).
//!
//! A schema never changes behind its id, nor behind its subject and version, so what was found once
//! is kept for good. That a type is unknown may change at any moment, so that answer is kept only
//! for half a second; and while the registry is away callers are told so at once and not one after
//! another after a time-out each. Loads run one at a time: they are rare, and a herd of units that
//! ask for the same new type must cost the registry one question.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_id};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, RegisteredSchema};

use crate::name;
use crate::schema::{BodySchema, SchemaError};

/// One call to the registry. It answers in a few milliseconds; a second means that it does not.
pub const CALL_MS_MAX: u64 = 1_000;
/// Tries after the first before the registry counts as away.
pub const RETRIES_MAX: usize = 3;
/// The first pause between tries; it doubles, with jitter, so that a restart of the registry (two
/// seconds) is mostly bridged by callers that retry on their own.
pub const RETRY_PAUSE_MS: u64 = 50;
/// For so long a type that was not there is not asked for again. Whoever waits for it asks about as
/// often, so a type that is registered is found within a second or so.
pub const UNKNOWN_KEPT_MS: u64 = 500;
/// For so long after a failed load others are told `away` without asking.
pub const AWAY_KEPT_MS: u64 = 250;
/// For so long a registry that answers others may fail to answer one question before that counts as
/// its answer. A registry that starts is through with it sooner.
pub const UNANSWERED_MS_MAX: u64 = 10_000;
/// Schemas held in memory. A whole house has some hundreds of types in a few versions; beyond this
/// the oldest knowledge is dropped and asked for again.
pub const HELD_MAX: usize = 4_096;

/// Why a schema is not at hand.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// The registry did not answer, or not sensibly. Worth waiting for.
    #[error("asking the schema registry for {wanted}: it is away")]
    Away {
        /// Which schema.
        wanted: String,
        /// Why, where it was asked just now.
        #[source]
        source: Option<Arc<SRCError>>,
    },
    /// The registry does not know it (yet). Worth waiting for: somebody may register it.
    #[error("the schema registry does not know {wanted}")]
    Unknown {
        /// Which schema.
        wanted: String,
        /// How long ago that was found out first.
        for_ms: u64,
    },
    /// The registry will not take this schema.
    #[error("registering {wanted}: the registry refuses it")]
    Refused {
        /// Which schema.
        wanted: String,
        /// Why.
        #[source]
        source: Arc<SRCError>,
    },
    /// What the registry holds cannot be a body's schema.
    #[error("loading {wanted} from the registry")]
    Load {
        /// Which schema.
        wanted: String,
        /// Why.
        #[source]
        source: Arc<SchemaError>,
    },
    /// The schema marks as public what cannot be told by itself.
    #[error("making the public form of {wanted}")]
    Public {
        /// Which schema.
        wanted: String,
        /// Why.
        #[source]
        source: Arc<crate::public::PublicError>,
    },
    /// The registry holds another schema under this subject and version.
    #[error("{wanted}: the registry holds fingerprint {held}, not {expected}")]
    Another {
        /// Which schema.
        wanted: String,
        /// What it holds.
        held: String,
        /// What it should.
        expected: String,
    },
    /// The type's name is no name.
    #[error("naming a subject")]
    Name(#[from] name::NameError),
    /// The client itself could not be made.
    #[error("preparing calls to the schema registry")]
    Client(#[source] Arc<SRCError>),
    /// The registry did not take its compatibility rule.
    #[error("setting the compatibility rule of the schema registry")]
    Rule(#[source] Arc<reqwest::Error>),
}

impl RegistryError {
    /// Whether the same question may get another answer later.
    #[must_use]
    pub fn is_worth_waiting(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Unknown { .. } | Self::Rule(_))
    }
}

/// A schema and the id that the registry gave it.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Stands before every body on the log.
    pub id: u32,
    /// The schema.
    pub schema: Arc<BodySchema>,
}

/// The registry, and what it has already told.
#[derive(Clone)]
pub struct Schemas {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) url: String,
    pub(crate) settings: SrSettings,
    pub(crate) http: reqwest::Client,
    held: RwLock<Held>,
    loading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    by_id: HashMap<u32, Arc<BodySchema>>,
    by_version: HashMap<(String, u32), Registered>,
    unknown: HashMap<Key, Unknown>,
    away: Option<Instant>,
    /// Since when the registry answers others, and for these has no clear word.
    unanswered: HashMap<Key, Instant>,
}

/// When the registry said that it does not know something.
#[derive(Debug, Clone, Copy)]
struct Unknown {
    first: Instant,
    last: Instant,
}

impl Unknown {
    fn error(self, key: &Key) -> RegistryError {
        let for_ms = u64::try_from(self.first.elapsed().as_millis()).unwrap_or(u64::MAX);
        RegistryError::Unknown { wanted: key.to_string(), for_ms }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Id(u32),
    Version(String, u32),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "schema id {id}"),
            Self::Version(type_name, version) => write!(f, "{type_name} v{version}"),
        }
    }
}

impl Schemas {
    /// Prepares calls to the registry at `url` (with its path, as `.../apis/ccompat/v7`); asks it
    /// nothing yet, so that a role starts while the registry is away.
    ///
    /// # Errors
    /// The HTTP client could not be made.
    pub fn new(url: &str) -> Result<Self, RegistryError> {
        let timeout = Duration::from_millis(CALL_MS_MAX);
        let url = url.trim_end_matches('/').to_owned();
        let failed = |error| RegistryError::Client(Arc::new(error));
        let settings = SrSettings::new_builder(url.clone())
            .no_proxy()
            .set_timeout(timeout)
            .build()
            .map_err(failed)?;
        let http = reqwest::Client::builder().no_proxy().timeout(timeout).build();
        let http = http.map_err(|error| RegistryError::Rule(Arc::new(error)))?;
        let inner = Inner {
            url,
            settings,
            http,
            held: RwLock::default(),
            loading: tokio::sync::Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether the registry answers at all, whatever is held already.
    pub async fn answers(&self) -> bool {
        let asked = self.inner.http.get(format!("{}/config", self.inner.url)).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    /// The schema of a type's version where it is held already.
    pub fn held(&self, type_name: &str, version: u32) -> Option<Registered> {
        let held = self.inner.held.read().unwrap_or_else(PoisonError::into_inner);
        // A borrowed pair cannot look up an owned one; versions of a type are few, names short.
        held.by_version.get(&(type_name.to_owned(), version)).cloned()
    }

    /// The schema of a type's version, to write with.
    ///
    /// # Errors
    /// The registry is away, or does not know it, or holds what cannot be a body's schema.
    pub async fn by_version(
        &self,
        type_name: &str,
        version: u32,
    ) -> Result<Registered, RegistryError> {
        if let Some(registered) = self.held(type_name, version) {
            return Ok(registered);
        }
        let subject = name::record_name(type_name)?;
        let key = Key::Version(type_name.to_owned(), version);
        let _one_at_a_time = self.inner.loading.lock().await;
        if let Some(registered) = self.held(type_name, version) {
            return Ok(registered);
        }
        self.fresh_rejection(&key)?;
        let ask = || self.numbered(&subject, version);
        let answer = self.asked(&key, ask.retry(patience()).when(is_away).await)?;
        let registered = load(&key, &answer)?;
        let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
        held.make_room();
        held.by_id.insert(registered.id, registered.schema.clone());
        held.by_version.insert((type_name.to_owned(), version), registered.clone());
        Ok(registered)
    }

    /// The schema behind an id, to read with.
    ///
    /// # Errors
    /// As [`Schemas::by_version`].
    pub async fn by_id(&self, id: u32) -> Result<Arc<BodySchema>, RegistryError> {
        if let Some(schema) = self.held_by_id(id) {
            return Ok(schema);
        }
        let key = Key::Id(id);
        if i32::try_from(id).is_err() {
            // No registry gives such an id, and ours has no clear word for it.
            return Err(RegistryError::Unknown { wanted: key.to_string(), for_ms: u64::MAX });
        }
        let _one_at_a_time = self.inner.loading.lock().await;
        if let Some(schema) = self.held_by_id(id) {
            return Ok(schema);
        }
        self.fresh_rejection(&key)?;
        let ask = || get_schema_by_id(id, &self.inner.settings);
        let answer = ask.retry(patience()).when(is_away).await.map(Some);
        let answer = match self.asked(&key, answer) {
            Err(error @ RegistryError::Away { .. }) => {
                return Err(self.unanswered(&key, error).await);
            }
            answer => answer?,
        };
        let schema = load(&key, &answer)?.schema;
        let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
        held.make_room();
        held.by_id.insert(id, schema.clone());
        Ok(schema)
    }

    /// A registry that answers everything but one question is not away: after a while, what it was
    /// asked for counts as unknown to it, so that one id does not hold up all others.
    async fn unanswered(&self, key: &Key, away: RegistryError) -> RegistryError {
        let answers = self.answers().await;
        let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
        if !answers {
            held.unanswered.clear();
            return away;
        }
        held.make_room();
        let first = *held.unanswered.entry(key.clone()).or_insert_with(Instant::now);
        if first.elapsed() < Duration::from_millis(UNANSWERED_MS_MAX) {
            return away;
        }
        held.away = None;
        let unknown = Unknown { first, last: Instant::now() };
        held.unknown.insert(key.clone(), unknown);
        unknown.error(key)
    }

    /// Asks again for a schema that is held already, because a record contradicts what is held: the
    /// registry may have been another one when it was asked. What is held stays where it does not
    /// answer.
    pub async fn reread(&self, id: u32) -> Option<Arc<BodySchema>> {
        let key = Key::Id(id);
        let _one_at_a_time = self.inner.loading.lock().await;
        let answer = get_schema_by_id(id, &self.inner.settings).await.ok()?;
        let schema = load(&key, &answer).ok()?.schema;
        let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
        held.by_id.insert(id, schema.clone());
        Some(schema)
    }

    fn held_by_id(&self, id: u32) -> Option<Arc<BodySchema>> {
        let held = self.inner.held.read().unwrap_or_else(PoisonError::into_inner);
        held.by_id.get(&id).cloned()
    }

    fn fresh_rejection(&self, key: &Key) -> Result<(), RegistryError> {
        let held = self.inner.held.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = |at: Instant, ms| at.elapsed() < Duration::from_millis(ms);
        if held.away.is_some_and(|at| fresh(at, AWAY_KEPT_MS)) {
            return Err(RegistryError::Away { wanted: key.to_string(), source: None });
        }
        match held.unknown.get(key) {
            Some(unknown) if fresh(unknown.last, UNKNOWN_KEPT_MS) => Err(unknown.error(key)),
            Some(_) | None => Ok(()),
        }
    }

    /// The next question for this version is asked, whatever was answered before.
    pub(crate) fn forget_unknown(&self, type_name: &str, version: u32) {
        let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
        held.unknown.remove(&Key::Version(type_name.to_owned(), version));
    }

    fn asked(
        &self,
        key: &Key,
        answer: Result<Option<RegisteredSchema>, SRCError>,
    ) -> Result<RegisteredSchema, RegistryError> {
        let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(Some(schema)) => {
                held.away = None;
                held.unknown.remove(key);
                Ok(schema)
            }
            Err(error) if is_away(&error) => {
                held.away = Some(Instant::now());
                let source = Some(Arc::new(error));
                Err(RegistryError::Away { wanted: key.to_string(), source })
            }
            Ok(None) | Err(_) => {
                held.make_room();
                let last = Instant::now();
                let unknown =
                    held.unknown.entry(key.clone()).or_insert(Unknown { first: last, last });
                unknown.last = last;
                Err(unknown.error(key))
            }
        }
    }
}

impl Held {
    fn make_room(&mut self) {
        if self.by_id.len() >= HELD_MAX || self.by_version.len() >= HELD_MAX {
            self.by_id.clear();
            self.by_version.clear();
        }
        if self.unknown.len() >= HELD_MAX || self.unanswered.len() >= HELD_MAX {
            self.unknown.clear();
            self.unanswered.clear();
        }
    }
}

pub(crate) fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(RETRY_PAUSE_MS))
        .with_max_times(RETRIES_MAX)
        .with_jitter()
}

/// Everything but a clear word of the registry itself (`4xxxx` in its own error body) is `away`: a
/// proxy's page, a 500 while it starts, a refused connection.
pub(crate) fn is_away(error: &SRCError) -> bool {
    let word =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<RawError>());
    let code = word.map_or(0, |word| word.error_code);
    !matches!(code, 404 | 409 | 422 | 40_000..=42_999)
}

fn load(key: &Key, answer: &RegisteredSchema) -> Result<Registered, RegistryError> {
    let schema = BodySchema::parse(&answer.schema).map_err(|source| RegistryError::Load {
        wanted: key.to_string(),
        source: Arc::new(source),
    })?;
    Ok(Registered { id: answer.id, schema: Arc::new(schema) })
}
