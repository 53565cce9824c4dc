//! The public form of a fact, its schema and its topic.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use kit_body::{Registered, RegistryError};
use kit_bus::{Bus, Namespace};
use kit_event::{Domain, Fact};
use serde_json::Value;

use crate::error::{Away, Unfit};
use crate::failpoints::{Failpoints, Step};

/// Forms of types that no domain knows, kept in memory. A house has some hundreds; beyond this they
/// are forgotten and found again.
const GENERIC_MAX: usize = 4_096;

/// What a fact comes to.
pub(crate) enum Told {
    /// It is told.
    Event(Event),
    /// It stays in the house.
    Private,
    /// It should be told, and cannot be.
    Unfit(Unfit),
}

/// A fact's public form, and where it goes.
pub(crate) struct Event {
    pub namespace: Namespace,
    pub version: u32,
    pub schema: Registered,
    pub body: Value,
}

/// A type that a domain knows.
struct Known {
    domain: &'static dyn Domain,
    /// The promise of its public form.
    promise: &'static str,
    namespace: Namespace,
}

/// A type that is only a schema; none where the schema marks nothing.
type Generic = Option<(Namespace, Registered)>;

/// Every public form that was met, and every topic that is there.
pub(crate) struct Forms {
    bus: Bus,
    replicas: i32,
    failpoints: Failpoints,
    known: HashMap<&'static str, Known>,
    generic: Mutex<HashMap<(String, u32), Generic>>,
    topics: Mutex<HashSet<Namespace>>,
    /// Topics are created one at a time: all lanes meet a new namespace in the same moment.
    creating: tokio::sync::Mutex<()>,
}

impl Forms {
    pub fn new(bus: Bus, replicas: i32, failpoints: Failpoints) -> Self {
        let mut known = HashMap::new();
        for domain in all_domains::ALL {
            for source in domain.public_schemas() {
                // Both are names that tests hold to their shape; another one is simply not told.
                let of_type = source.type_name.strip_prefix("public.");
                if let (Some(of_type), Ok(namespace)) = (of_type, domain.name().parse()) {
                    let promise = source.type_name;
                    known.insert(of_type, Known { domain, promise, namespace });
                }
            }
        }
        Self {
            bus,
            replicas,
            failpoints,
            known,
            generic: Mutex::default(),
            topics: Mutex::default(),
            creating: tokio::sync::Mutex::default(),
        }
    }

    /// Learns which topics are there already.
    pub fn learn(&self, namespaces: &[Namespace]) {
        self.topics().extend(namespaces);
    }

    /// What a fact comes to; its topic is there afterwards.
    pub async fn told(&self, fact: &Fact) -> Result<Told, Away> {
        let told = match self.known.get(fact.type_name.as_str()) {
            Some(known) => self.of_domain(known, fact).await?,
            None => self.of_schema(fact).await?,
        };
        if let Told::Event(event) = &told {
            self.need_topic(event.namespace).await?;
        }
        Ok(told)
    }

    async fn of_domain(&self, known: &Known, fact: &Fact) -> Result<Told, Away> {
        let event = match known.domain.publish(fact) {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Told::Private),
            // What serde says of a body quotes it.
            Err(_) => return Ok(Told::Unfit(Unfit::Body)),
        };
        let schema = self.bus.schemas().by_version(known.promise, event.version).await;
        let schema = schema.map_err(|source| schema_away(fact, source))?;
        let (namespace, version, body) = (known.namespace, event.version, event.body);
        Ok(Told::Event(Event { namespace, version, schema, body }))
    }

    async fn of_schema(&self, fact: &Fact) -> Result<Told, Away> {
        let generic = if let Some(generic) = self.held(&fact.type_name, fact.version) {
            generic
        } else {
            let form = self.bus.schemas().public_form(&fact.type_name, fact.version).await;
            let form = form.map_err(|source| schema_away(fact, source))?;
            let named = match form {
                None => None,
                Some(schema) => match fact.domain().parse() {
                    Ok(namespace) => Some((namespace, schema)),
                    Err(error) => return Ok(Told::Unfit(Unfit::Namespace(error))),
                },
            };
            self.hold(&fact.type_name, fact.version, named.clone());
            named
        };
        let Some((namespace, schema)) = generic else { return Ok(Told::Private) };
        let body = schema.schema.project(&fact.body);
        Ok(Told::Event(Event { namespace, version: fact.version, schema, body }))
    }

    fn held(&self, type_name: &str, version: u32) -> Option<Generic> {
        let generic = self.generic.lock().unwrap_or_else(PoisonError::into_inner);
        generic.get(&(type_name.to_owned(), version)).cloned()
    }

    fn hold(&self, type_name: &str, version: u32, found: Generic) {
        let mut generic = self.generic.lock().unwrap_or_else(PoisonError::into_inner);
        if generic.len() >= GENERIC_MAX {
            generic.clear();
        }
        generic.insert((type_name.to_owned(), version), found);
    }

    /// Creates the topic of a namespace that was not met before. Whoever sends to a topic that is
    /// not there waits for it in vain.
    async fn need_topic(&self, namespace: Namespace) -> Result<(), Away> {
        if self.topics().contains(&namespace) {
            return Ok(());
        }
        let _one_at_a_time = self.creating.lock().await;
        if self.topics().contains(&namespace) {
            return Ok(());
        }
        self.failpoints.pass(Step::BeforeCreateTopic);
        let created = self.bus.create_public(namespace, self.replicas).await;
        let topic = namespace.topic();
        created.map_err(|source| Away::Topic { topic, source })?;
        self.failpoints.pass(Step::AfterCreateTopic);
        tracing::info!(topic, "the topic of a new namespace is there");
        self.topics().insert(namespace);
        Ok(())
    }

    fn topics(&self) -> std::sync::MutexGuard<'_, HashSet<Namespace>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn schema_away(fact: &Fact, source: RegistryError) -> Away {
    Away::Schema { type_name: fact.type_name.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_with_a_public_form_is_of_its_domain() {
        let mut count = 0;
        for domain in all_domains::ALL {
            let facts: Vec<_> = domain.schemas().iter().map(|it| it.type_name).collect();
            for source in domain.public_schemas() {
                let of_type = source.type_name.strip_prefix("public.").unwrap();
                assert!(facts.contains(&of_type), "{of_type} is no fact of {}", domain.name());
                assert!(domain.name().parse::<Namespace>().is_ok());
                count += 1;
            }
        }
        assert!(count > 40, "{count}");
    }
}
