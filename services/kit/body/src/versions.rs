//! The versions of a type: the distinct schemas of its subject, in their order.

use std::sync::Arc;

use backon::Retryable as _;
use schema_registry_converter::async_impl::schema_registry::{
    get_all_versions, get_schema_by_subject_and_version,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RegisteredSchema;

use crate::name;
use crate::registry::{RegistryError, Schemas, is_away, patience};
use crate::schema::BodySchema;

/// Versions of one subject that are looked at. Ours have a handful; a registry that lists more is
/// not worth an hour of questions.
pub const VERSIONS_MAX: usize = 256;

/// One of a type's versions, as the registry holds it.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its number, from 1.
    pub version: u32,
    /// The registry's id.
    pub id: u32,
    /// 16 hexadecimal digits; the text itself, where it is none of ours.
    pub fingerprint: String,
    /// The schema's text, with whatever it says beside its fields.
    pub text: String,
}

impl Schemas {
    /// Every version of a type, as the registry holds them; none of a type that it does not know.
    ///
    /// # Errors
    /// The registry is away, or the name is none.
    pub async fn versions(&self, type_name: &str) -> Result<Vec<Version>, RegistryError> {
        self.versions_of(&name::record_name(type_name)?).await
    }

    /// As [`Schemas::versions`], by the subject.
    pub(crate) async fn versions_of(&self, subject: &str) -> Result<Vec<Version>, RegistryError> {
        let ask = || self.distinct(subject, VERSIONS_MAX);
        let away = |error| RegistryError::Away {
            wanted: format!("the versions of {subject}"),
            source: Some(Arc::new(error)),
        };
        match ask.retry(patience()).when(is_away).await {
            Ok(found) => Ok((1..)
                .zip(found)
                .map(|(version, (fingerprint, answer))| Version {
                    version,
                    id: answer.id,
                    fingerprint,
                    text: answer.schema,
                })
                .collect()),
            Err(error) if is_away(&error) => Err(away(error)),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The `version`th distinct schema of a subject, which is our version of it.
    pub(crate) async fn numbered(
        &self,
        subject: &str,
        version: u32,
    ) -> Result<Option<RegisteredSchema>, SRCError> {
        let mut distinct = self.distinct(subject, version as usize).await?;
        let last = distinct.pop().filter(|_| distinct.len() + 1 == version as usize);
        Ok(last.map(|(_, answer)| answer))
    }

    /// The first distinct schemas of a subject, at most `wanted`, each behind its fingerprint.
    /// Their count is not always the registry's own number: Apicurio gives two to one schema that
    /// two processes register in the same moment.
    async fn distinct(
        &self,
        subject: &str,
        wanted: usize,
    ) -> Result<Vec<(String, RegisteredSchema)>, SRCError> {
        let settings = &self.inner.settings;
        let mut numbers = get_all_versions(settings, subject.to_owned()).await?;
        numbers.sort_unstable();
        let mut seen: Vec<(String, RegisteredSchema)> = Vec::new();
        for number in numbers.into_iter().take(VERSIONS_MAX) {
            if seen.len() >= wanted {
                break;
            }
            let answer = get_schema_by_subject_and_version(settings, subject, Some(number)).await?;
            let fingerprint = BodySchema::parse(&answer.schema)
                .map_or_else(|_| answer.schema.clone(), |schema| schema.fingerprint().to_owned());
            if seen.iter().all(|(other, _)| *other != fingerprint) {
                seen.push((fingerprint, answer));
            }
        }
        Ok(seen)
    }
}
