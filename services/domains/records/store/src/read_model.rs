//! Reading charts. Rows that are gone or withdrawn are not there.

use kit_event::{Timestamp, UnitId};
use kit_store::read::{fresh_page, fresh_row, get, key_after, rows_for};
use kit_store::{Act, Fresh, Page, Row, StoreError};
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::tables::Charted;

/// A code to look for: of any system, or of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeFilter {
    /// The system, where it is asked for.
    pub system: Option<String>,
    /// The code, letter by letter.
    pub code: String,
}

impl CodeFilter {
    /// Reads `code` or `system|code`.
    #[must_use]
    pub fn read(text: &str) -> Self {
        match text.rsplit_once('|') {
            Some((system, code)) => Self { system: Some(system.to_owned()), code: code.to_owned() },
            None => Self { system: None, code: text.to_owned() },
        }
    }

    /// What a state, or a component of it, must contain.
    fn within(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("code".to_owned(), json!(self.code));
        if let Some(system) = &self.system {
            fields.insert("code_system".to_owned(), json!(system));
        }
        Value::Object(fields)
    }
}

/// Which records of a patient to list; every condition that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// With this code, as its own or a component's.
    pub code: Option<CodeFilter>,
    /// Of this category, letter by letter.
    pub category: Option<String>,
    /// At this instant or later.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
    /// Of this status (of conditions and allergies the clinical one), letter by letter.
    pub status: Option<String>,
    /// Leave out what was entered in error.
    pub without_errors: bool,
}

/// One record.
///
/// # Errors
/// Postgres does not answer.
pub async fn one<R: Charted>(
    pool: &PgPool,
    unit: &UnitId,
    id: Uuid,
) -> Result<Fresh<Option<Row>>, StoreError> {
    let rows = sqlx::query(R::ONE)
        .bind(unit.as_str())
        .bind(id)
        .fetch_all(pool)
        .await
        .reading(R::RESOURCE)?;
    fresh_row(&rows)
}

/// Whom a record concerns: none where the unit has no such record, and no patient within where it
/// names none.
///
/// # Errors
/// Postgres does not answer.
pub async fn patient<R: Charted>(
    pool: &PgPool,
    unit: &UnitId,
    id: Uuid,
) -> Result<Option<Option<Uuid>>, StoreError> {
    let found = one::<R>(pool, unit, id).await?;
    Ok(found.value.map(|row| row.state["patient_id"].as_str().and_then(|id| id.parse().ok())))
}

/// Records of a patient, the newest first, a page at a time. Those of no known time come last, and
/// not at all where a time is asked for.
///
/// # Errors
/// Postgres does not answer; [`StoreError::BadCursor`].
pub async fn list<R: Charted>(
    pool: &PgPool,
    unit: &UnitId,
    patient_id: Uuid,
    filter: &Filter,
    after: Option<&str>,
    limit: u32,
) -> Result<Fresh<Page<Row>>, StoreError> {
    let after: Option<(i64, Uuid)> = key_after(after)?;
    let mut query = QueryBuilder::<Postgres>::new(R::LIST);
    query.push_bind(patient_id);
    narrow::<R>(&mut query, filter);
    if let Some((at_ms, id)) = after {
        query.push(" and (t.at_ms, t.").push(R::TABLE.key).push(") < (").push_bind(at_ms);
        query.push(", ").push_bind(id).push(")");
    }
    query.push(" order by t.at_ms desc, t.").push(R::TABLE.key).push(" desc limit ");
    query.push_bind(rows_for(limit));
    query.push(") t on true where a.unit = ").push_bind(unit.as_str());
    query.push(" order by t.at_ms desc, t.id desc");
    let rows = query.build().fetch_all(pool).await.reading(R::RESOURCE)?;
    fresh_page(&rows, "seq", limit, |row| {
        let key: (i64, Uuid) = (get(row, "at_ms")?, get(row, "id")?);
        Ok((key, Row::from_columns(row)?))
    })
}

fn narrow<R: Charted>(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if let Some(code) = &filter.code {
        let within = code.within();
        query.push(" and (t.state @> ").push_bind(Json(within.clone()));
        let component = json!({"components": [within]});
        query.push(" or t.state @> ").push_bind(Json(component)).push(")");
    }
    if let Some(category) = &filter.category {
        query.push(" and t.state ->> 'category' = ").push_bind(category.clone());
    }
    if let Some(status) = &filter.status {
        query.push(" and t.state ->> '").push(R::STATUS).push("' = ").push_bind(status.clone());
    }
    if let Some(from) = filter.from {
        query.push(" and t.at_ms >= ").push_bind(from.unix_ms());
    }
    if let Some(to) = filter.to {
        // What has no known time is before every instant, and is not asked for.
        query.push(" and t.at_ms > ").push_bind(crate::tables::UNDATED_MS);
        query.push(" and t.at_ms < ").push_bind(to.unix_ms());
    }
    if filter.without_errors {
        query.push(
            " and t.state ->> 'status' is distinct from 'entered-in-error'
              and t.state ->> 'verification_status' is distinct from 'entered-in-error'",
        );
    }
}
