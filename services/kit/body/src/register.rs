//! Registering promises: each version once, in order, under a rule that keeps all of them readable.

use std::sync::Arc;

use backon::Retryable as _;
use schema_registry_converter::async_impl::schema_registry::post_schema;
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

use crate::name;
use crate::registry::{RegistryError, Schemas, is_away, patience};
use crate::schema::BodySchema;
use crate::schemas::Promise;

/// What a registration did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// New in the registry, as `scheduling.appointment_booked v1`.
    pub registered: Vec<String>,
    /// How many were there.
    pub already_there: usize,
}

impl Schemas {
    /// Registers every promise in the order of its versions, under `FULL_TRANSITIVE`; repeating it
    /// changes nothing. `promises` must be sorted, as [`crate::schemas::read`] gives them.
    ///
    /// # Errors
    /// The registry is away, refuses one, or holds another schema under its subject and version.
    pub async fn register(&self, promises: &[Promise]) -> Result<Report, RegistryError> {
        self.set_rule("").await?;
        let mut report = Report::default();
        for promise in promises {
            let wanted = format!("{} v{}", promise.type_name, promise.version);
            let expected = BodySchema::parse(&promise.text).map_err(|source| {
                RegistryError::Load { wanted: wanted.clone(), source: Arc::new(source) }
            })?;
            self.forget_unknown(&promise.type_name, promise.version);
            let found = match self.by_version(&promise.type_name, promise.version).await {
                Err(RegistryError::Unknown { .. }) => {
                    let posted = self.post(promise, &wanted).await;
                    self.forget_unknown(&promise.type_name, promise.version);
                    match self.by_version(&promise.type_name, promise.version).await {
                        // Refused because another process was faster: what it put there counts.
                        Ok(found) if posted.is_err() => found,
                        found => {
                            posted?;
                            report.registered.push(wanted.clone());
                            found?
                        }
                    }
                }
                found => found?,
            };
            let held = found.schema.fingerprint();
            if held != expected.fingerprint() {
                let expected = expected.fingerprint().to_owned();
                return Err(RegistryError::Another { wanted, held: held.to_owned(), expected });
            }
        }
        report.already_there = promises.len() - report.registered.len();
        Ok(report)
    }

    pub(crate) async fn post(&self, promise: &Promise, wanted: &str) -> Result<(), RegistryError> {
        let subject = name::record_name(&promise.type_name)?;
        let ask = || {
            let schema = SuppliedSchema::new(None, SchemaType::Avro, promise.text.clone());
            post_schema(&self.inner.settings, subject.clone(), schema)
        };
        match ask.retry(patience()).when(is_away).await {
            Ok(_) => {}
            Err(error) if is_away(&error) => {
                return Err(RegistryError::Away {
                    wanted: wanted.to_owned(),
                    source: Some(Arc::new(error)),
                });
            }
            Err(error) => {
                return Err(RegistryError::Refused {
                    wanted: wanted.to_owned(),
                    source: Arc::new(error),
                });
            }
        }
        // The rule of the subject itself, so that a changed global one does not loosen it.
        self.set_rule(&format!("/{subject}")).await
    }

    /// The one call that the converter crate has not.
    async fn set_rule(&self, of: &str) -> Result<(), RegistryError> {
        let url = format!("{}/config{of}", self.inner.url);
        let rule = serde_json::json!({"compatibility": "FULL_TRANSITIVE"});
        let ask = || async {
            let answer = self.inner.http.put(&url).json(&rule).send().await?;
            answer.error_for_status().map(|_| ())
        };
        ask.retry(patience()).await.map_err(|error| RegistryError::Rule(Arc::new(error)))
    }
}
