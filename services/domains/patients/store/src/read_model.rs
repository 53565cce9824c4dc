//! Reading patients. Rows that are gone or withdrawn are not there.

use kit_event::{Date, UnitId};
use kit_store::json::searchable;
use kit_store::read::{fresh_page, fresh_row, get, key_after, rows_for};
use kit_store::{Act, Fresh, Page, Row, StoreError};
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::names;
use crate::projection::MRN_CHARS_MAX;

/// Which patients to list; every condition that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatientFilter {
    /// Each word of it begins a word of the family or given name.
    pub name: Option<String>,
    /// Born on that day.
    pub birth_date: Option<Date>,
    /// The unit's own number for the patient, exactly.
    pub mrn: Option<String>,
}

/// One registration.
///
/// # Errors
/// Postgres does not answer.
pub async fn patient(
    pool: &PgPool,
    unit: &UnitId,
    patient_id: Uuid,
) -> Result<Fresh<Option<Row>>, StoreError> {
    let rows = sqlx::query(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, p.state, p.epoch,
                p.seq, p.stale_epoch, p.stale_seq
         from patients.applied a
         left join patients.patient p on p.unit = a.unit and p.patient_id = $2
              and not p.removed and not p.withdrawn
         where a.unit = $1",
    )
    .bind(unit.as_str())
    .bind(patient_id)
    .fetch_all(pool)
    .await
    .reading("patient")?;
    fresh_row(&rows)
}

/// Registrations in the order of their names, a page at a time. A cursor is the id of the last one
/// and nothing else: cursors stand in addresses, and addresses in logs, where no name belongs.
///
/// # Errors
/// Postgres does not answer; [`StoreError::BadCursor`].
pub async fn patients(
    pool: &PgPool,
    unit: &UnitId,
    filter: &PatientFilter,
    after: Option<&str>,
    limit: u32,
) -> Result<Fresh<Page<Row>>, StoreError> {
    let after = match key_after(after)? {
        Some(last) => Some(place_of(pool, unit, last).await?),
        None => None,
    };
    let mut query = select(filter, after);
    query.push(" limit ").push_bind(rows_for(limit));
    query.push(") p on true where a.unit = ").push_bind(unit.as_str());
    query.push(" order by p.sort_name, p.patient_id");
    let rows = query.build().fetch_all(pool).await.reading("patients")?;
    fresh_page(&rows, "seq", limit, |row| {
        let key: Uuid = get(row, "patient_id")?;
        Ok((key, Row::from_columns(row)?))
    })
}

/// Where the list goes on after a registration, as its name is now.
async fn place_of(pool: &PgPool, unit: &UnitId, last: Uuid) -> Result<(String, Uuid), StoreError> {
    let name: Option<String> = sqlx::query_scalar(
        "select sort_name from patients.patient where unit = $1 and patient_id = $2",
    )
    .bind(unit.as_str())
    .bind(last)
    .fetch_optional(pool)
    .await
    .reading("place in the list of patients")?;
    Ok((name.ok_or(StoreError::BadCursor)?, last))
}

/// The unit that registered this patient.
///
/// # Errors
/// Postgres does not answer.
pub async fn unit_of_patient(
    pool: &PgPool,
    patient_id: Uuid,
) -> Result<Option<UnitId>, StoreError> {
    let unit: Option<String> =
        sqlx::query_scalar("select unit from patients.home where patient_id = $1")
            .bind(patient_id)
            .fetch_optional(pool)
            .await
            .reading("home")?;
    unit.map(|unit| unit.parse().map_err(|_| StoreError::Unreadable { what: "unit id" }))
        .transpose()
}

/// The place in the list after which a page begins.
type After = Option<(String, Uuid)>;

/// The statement up to its limit; each condition that is not set is not in it, so that each
/// combination has a plan of its own.
fn select(filter: &PatientFilter, after: After) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time, p.*
         from patients.applied a left join lateral (
             select p.patient_id, p.sort_name, p.state, p.epoch, p.seq, p.stale_epoch, p.stale_seq
             from ",
    );
    let words = filter.name.as_deref().map(names::searched_words);
    let key = match words.as_deref() {
        // A birth date or a number leaves a handful, whose words are then looked at.
        Some([first, others @ ..]) if filter.birth_date.is_none() && filter.mrn.is_none() => {
            push_named(&mut query, first, others, after);
            "k"
        }
        _ => {
            query.push(
                "patients.patient p where p.unit = a.unit and not p.removed and not p.withdrawn",
            );
            push_conditions(&mut query, filter, words.as_deref());
            push_after(&mut query, "p", after);
            "p"
        }
    };
    query.push(format!(" order by {key}.sort_name, {key}.patient_id"));
    query
}

/// The keys of those who have such a name, in order, from the words alone; then their rows, one by
/// one until the page is full. A row is found by its place in the order of names, not by its id:
/// neighbours of a page then stand side by side in the index too, where ids would each open a part
/// of it that no cache holds. Asking for the first at that place or after it, and then whether it
/// is the one, leaves Postgres no other way: by equality it may choose the ids, or read a small
/// table whole.
fn push_named(query: &mut QueryBuilder<Postgres>, first: &str, others: &[String], after: After) {
    query.push(
        "(select distinct w.sort_name, w.patient_id from patients.patient_word w
          where w.unit = a.unit",
    );
    push_begins(query, "w", first);
    for word in others {
        query.push(
            " and exists (select from patients.patient_word o
               where o.unit = a.unit and o.patient_id = w.patient_id",
        );
        push_begins(query, "o", word);
        query.push(")");
    }
    push_after(query, "w", after);
    query.push(
        " order by w.sort_name, w.patient_id) k
          join lateral (
              select * from patients.patient p
              where p.unit = a.unit
                    and (p.sort_name, p.patient_id) >= (k.sort_name, k.patient_id)
                    and not p.removed and not p.withdrawn
              order by p.sort_name, p.patient_id limit 1) p on p.patient_id = k.patient_id",
    );
}

fn push_conditions(
    query: &mut QueryBuilder<Postgres>,
    filter: &PatientFilter,
    words: Option<&[String]>,
) {
    if let Some(birth_date) = filter.birth_date {
        query.push(" and p.birth_date = ").push_bind(birth_date.to_naive());
    }
    if let Some(mrn) = &filter.mrn {
        query.push(" and p.mrn = ").push_bind(searchable(mrn, MRN_CHARS_MAX));
    }
    if words.is_some_and(<[String]>::is_empty) {
        query.push(" and false");
    }
    for word in words.unwrap_or_default() {
        // With the row at hand, its words are the shortest of lists.
        query.push(" and exists (select from string_to_table(p.words, ' ') as o(word) where true");
        push_begins(query, "o", word);
        query.push(")");
    }
}

fn push_begins(query: &mut QueryBuilder<Postgres>, table: &str, word: &str) {
    // Words are ordered byte by byte, and no letter of a folded word sorts after U+10FFFF.
    let end = format!("{word}\u{10FFFF}");
    query.push(format!(" and {table}.word >= ")).push_bind(word.to_owned());
    query.push(format!(" and {table}.word < ")).push_bind(end);
}

fn push_after(query: &mut QueryBuilder<Postgres>, table: &str, after: After) {
    if let Some((sort_name, patient_id)) = after {
        query.push(format!(" and ({table}.sort_name, {table}.patient_id) > ("));
        query.push_bind(sort_name).push(", ").push_bind(patient_id).push(")");
    }
}
