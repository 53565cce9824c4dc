//! Which types a reader may see, and the pages of a reader that may not see all of them.
//!
//! A type goes by the longest of the beginnings that fit it, as a domain's name or that of a
//! resource. A placeholder goes by the type that it stands in for.

use std::cmp::Reverse;

use kit_event::{UnitId, UnitSeq};
use kit_store::number::{from_columns, to_columns};
use kit_store::read::{fresh_items, get, page_limit};
use kit_store::{Act, FACT_WITHHELD, Fresh, StoreError};
use serde_json::Value;
use sqlx::PgPool;

use crate::read_model::{TimelineRow, line, line_columns};

/// Facts that one page looks at: a reader that may see few of them moves on by so many, and each
/// page costs no more than this.
const STRETCH_FACTS: i64 = 1_000;

/// The types that a reader may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleTypes {
    /// The longest first; the last is the empty beginning, which fits every type.
    rules: Vec<(String, bool)>,
}

impl VisibleTypes {
    /// By how types begin; what no beginning fits is visible where `otherwise` says so.
    pub fn new(rules: impl IntoIterator<Item = (String, bool)>, otherwise: bool) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.push((String::new(), otherwise));
        rules.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        Self { rules }
    }

    /// Every type.
    #[must_use]
    pub fn all() -> Self {
        Self::new([], true)
    }

    /// Whether that is every type.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.rules.iter().all(|(_, shown)| *shown)
    }

    /// Whether a type is among them.
    #[must_use]
    pub fn shows(&self, type_name: &str) -> bool {
        let fits = self.rules.iter().find(|(prefix, _)| type_name.starts_with(prefix));
        fits.is_some_and(|(_, shown)| *shown)
    }

    /// Whether a fact is: a placeholder is where the type is that it stands in for.
    pub fn shows_fact(&self, type_name: &str, body: &Value) -> bool {
        if type_name != FACT_WITHHELD {
            return self.shows(type_name);
        }
        let withheld = body.get("type").and_then(Value::as_str).unwrap_or_default();
        self.shows(type_name) && self.shows(withheld)
    }

    /// As the statements take them.
    pub(crate) fn columns(&self) -> (Vec<&str>, Vec<bool>) {
        self.rules.iter().map(|(prefix, shown)| (prefix.as_str(), *shown)).unzip()
    }
}

/// The condition that a type is visible, where `$rules` binds the beginnings and whether they are.
macro_rules! visible_sql {
    ($type:literal, $rules:literal) => {
        concat!(
            "(select r.shown from unnest(",
            $rules,
            ") with ordinality r(prefix, shown, n) where starts_with(",
            $type,
            ", r.prefix) order by r.n limit 1)"
        )
    };
}
pub(crate) use visible_sql;

/// A page of the visible facts among a stretch of all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct VisiblePage {
    /// In order.
    pub lines: Vec<TimelineRow>,
    /// Up to here nothing more is visible, and there may be more behind it; none where the page
    /// ended before its stretch did, or the stretch ended with the timeline.
    pub passed: Option<UnitSeq>,
}

/// The stretch is read off the index in its order, and no further than the page is full. Its end is
/// of the same snapshot, so that nothing which was committed in between is passed unseen.
const PAGE: &str = concat!(
    "select a.epoch as fresh_epoch, a.seq as fresh_seq, a.time as fresh_time,
            p.epoch as passed_epoch, p.seq as passed_seq, f.*
     from timeline.applied a
     left join lateral (
         select s.epoch, s.seq from timeline.fact s
         where s.unit = $1 and (s.epoch, s.seq) > ($2, $3)
         order by s.epoch, s.seq offset $7 - 1 limit 1) p on true
     left join lateral (
         select f.* from (select ",
    line_columns!(),
    " from timeline.fact f where f.unit = $1 and (f.epoch, f.seq) > ($2, $3)
             order by f.epoch, f.seq limit $7) f
         where ",
    visible_sql!("f.type", "$5::text[], $6::bool[]"),
    " order by f.epoch, f.seq limit $4) f on true
     where a.unit = $1
     order by f.epoch, f.seq"
);

/// The facts of a unit after a number that a reader may see, in order. A page may hold few facts or
/// none and still not be the last: then it says how far it went.
///
/// # Errors
/// Postgres does not answer.
pub async fn visible_events(
    pool: &PgPool,
    unit: &UnitId,
    after: UnitSeq,
    visible: &VisibleTypes,
    limit: u32,
) -> Result<Fresh<VisiblePage>, StoreError> {
    let (epoch, seq) = to_columns(after)?;
    let limit = page_limit(limit);
    let (prefixes, shown) = visible.columns();
    let rows = sqlx::query(PAGE)
        .bind(unit.as_str())
        .bind(epoch)
        .bind(seq)
        .bind(i64::from(limit))
        .bind(prefixes)
        .bind(shown)
        .bind(STRETCH_FACTS)
        .fetch_all(pool)
        .await
        .reading("timeline page of visible types")?;
    let Fresh { freshness, value: lines } = fresh_items(&rows, "seq", line)?;
    let is_full = u32::try_from(lines.len()).is_ok_and(|count| count >= limit);
    let passed = match rows.first() {
        Some(row) if !is_full => {
            let end: (Option<i64>, Option<i64>) =
                (get(row, "passed_epoch")?, get(row, "passed_seq")?);
            end.0.zip(end.1).map(|(epoch, seq)| from_columns(epoch, seq)).transpose()?
        }
        Some(_) | None => None,
    };
    Ok(Fresh { freshness, value: VisiblePage { lines, passed } })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_beginning_counts_and_a_placeholder_goes_by_what_it_stands_in_for() {
        let rules = [("a.", true), ("a.secret_", false), ("b.", false), ("units.", true)];
        let visible = VisibleTypes::new(rules.map(|(p, v)| (p.to_owned(), v)), false);
        for (type_name, shown) in
            [("a.one", true), ("a.secret_told", false), ("b.one", false), ("c.one", false)]
        {
            assert_eq!(visible.shows(type_name), shown, "{type_name}");
            let body = json!({"type": type_name});
            assert_eq!(visible.shows_fact(FACT_WITHHELD, &body), shown, "{type_name} withheld");
        }
        assert!(!visible.shows_fact(FACT_WITHHELD, &json!({})), "nobody knows what it stands for");
        assert!(!visible.is_all() && VisibleTypes::all().is_all());
        assert!(VisibleTypes::all().shows("any.type"));
    }
}
