//! A page, a record's past and a waking look cost the same whatever the unit's history, and a name
//! the same however many bear it: Postgres counts the rows that it touched.

#![expect(clippy::unused_async, reason = "a test says what it expects and goes on")]

mod desk;
mod live;

use desk::{OTHER, PATIENT, UNIT};
use gateway::streams::Bounds;
use kit_event::UnitSeq;
use kit_timeline::{EventFilter, Moment, PatientFilter, Subject, VisibleTypes};
use live::Live;
use sqlx::{Executor, PgPool};

/// Facts of the unit: far more than any page shows.
const FACTS: i64 = 60_000;
/// What a page of 50 may touch: each type named reads a page of its own.
const ROWS_MAX: i64 = 110;

async fn grow(live: &Live) {
    let unit = UNIT;
    // One in a hundred concerns the patient, one in five hundred is of a rare type.
    let fill = format!(
        "insert into timeline.fact
         select '{unit}', 1, n, gen_random_uuid(),
                case when n % 500 = 0 then 'a.rare' when n % 2 = 0 then 'a.one' else 'a.two' end,
                1, now(), case when n % 100 = 0 then 'patient/{PATIENT}' else 'x/' || n end,
                case when n % 100 = 0 then '{PATIENT}' else '{OTHER}' end::uuid, null, 0, n, '{{}}'
         from generate_series(1, {FACTS}) n;
         insert into timeline.applied values ('{unit}', 1, {FACTS}, null, now(), 1, {FACTS});
         insert into requests.applied values ('{unit}', 1, {FACTS}, null, now(), 1, {FACTS});
         analyze timeline.fact;"
    );
    live.pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(fill))).await.unwrap();
}

/// The connection whose reads are counted, and the table that they are counted of.
struct Counted {
    pool: PgPool,
    schema: &'static str,
    table: &'static str,
}

impl Counted {
    /// One connection, so that what it counted is what we made it count, and the gateway's own kind
    /// of it, so that plans are those that it makes.
    async fn of(live: &Live, schema: &'static str, table: &'static str) -> Self {
        Self { pool: kit_store::read_pool(&live.url, "flat", 1).unwrap(), schema, table }
    }

    /// Rows touched so far, through indexes and without.
    async fn touched(&self) -> (i64, i64) {
        self.pool.execute("select pg_stat_force_next_flush()").await.unwrap();
        sqlx::query_as(
            "select coalesce(idx_tup_fetch, 0)::bigint, seq_tup_read::bigint
             from pg_stat_user_tables where schemaname = $1 and relname = $2",
        )
        .bind(self.schema)
        .bind(self.table)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// How often an index of the table was entered so far.
    async fn entered(&self, index: &str) -> i64 {
        self.pool.execute("select pg_stat_force_next_flush()").await.unwrap();
        sqlx::query_scalar(
            "select idx_scan from pg_stat_user_indexes
             where schemaname = $1 and relname = $2 and indexrelname = $3",
        )
        .bind(self.schema)
        .bind(self.table)
        .bind(index)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    async fn costs<F: Future>(&self, what: &str, read: impl Fn() -> F) {
        self.costs_at_most(ROWS_MAX, what, read).await;
    }

    async fn costs_at_most<F: Future>(&self, rows_max: i64, what: &str, read: impl Fn() -> F) {
        // The first read makes the plan.
        read().await;
        let before = self.touched().await;
        read().await;
        let after = self.touched().await;
        let (by_index, by_scan) = (after.0 - before.0, after.1 - before.1);
        println!("{what}: {by_index} rows by index, {by_scan} by scan");
        assert_eq!(by_scan, 0, "{what} reads the whole table");
        assert!(by_index <= rows_max, "{what} touches {by_index} rows");
    }
}

#[tokio::test]
async fn what_is_read_of_the_timeline_is_what_is_shown() {
    let live = Live::start(Bounds::default()).await;
    grow(&live).await;
    let counted = Counted::of(&live, "timeline", "fact").await;
    let (pool, unit) = (counted.pool.clone(), Live::unit());
    for after in [UnitSeq::ZERO, UnitSeq::new(1, 30_000), UnitSeq::new(1, 59_990)] {
        let after_text = after.to_string();
        for types in [&[][..], &["a.rare"], &["a.one", "a.rare"], &["a.none"]] {
            let types = types.iter().map(|t| (*t).to_owned()).collect();
            let filter = EventFilter { after, types, patient_id: None };
            let what = format!("page after {after_text} of {:?}", filter.types);
            counted.costs(&what, || kit_timeline::events(&pool, &unit, &filter, 50)).await;
        }
        // Who may not see every type looks at a stretch, twice: at its facts and for its end.
        let visible = VisibleTypes::new([("a.rare".to_owned(), true)], false);
        let what = format!("page after {after_text} of what is visible");
        let read = || kit_timeline::visible_events(&pool, &unit, after, &visible, 50);
        counted.costs_at_most(2_010, &what, read).await;
        let filter = PatientFilter {
            patient_id: PATIENT.parse().unwrap(),
            after,
            upto: UnitSeq::new(1, FACTS.cast_unsigned()),
            types: Vec::new(),
            also: (1..20).map(|n| UnitSeq::new(1, n * 3000 + 1)).collect(),
            visible: VisibleTypes::all(),
        };
        let what = format!("patient's page after {after_text}");
        counted.costs(&what, || kit_timeline::of_patient(&pool, &unit, &filter, 50)).await;
        let upto = UnitSeq::new(1, after.seq + 90);
        counted
            .costs("who is concerned", || kit_timeline::concerned(&pool, &unit, after, upto))
            .await;
    }
    let subject = Subject { name: "x/777", types: "a.", resource: "x" };
    for moment in [
        Moment::Seq(UnitSeq::new(1, 50_000)),
        Moment::Time("2099-01-01T00:00:00Z".parse().unwrap()),
    ] {
        counted.costs("as of", || kit_timeline::said(&pool, &unit, subject, moment)).await;
    }
    counted.costs("ever", || kit_timeline::ever_said(&pool, &unit, subject)).await;
    counted.costs("holds", || kit_timeline::holds(&pool, &unit, UnitSeq::new(1, 7))).await;
}

/// Patients of the unit.
const PATIENTS: i64 = 20_000;

#[tokio::test]
async fn a_name_reads_the_rows_of_its_page_however_many_bear_it() {
    let live = Live::start(Bounds::default()).await;
    let unit = UNIT;
    // Every tenth is a Silva or a Silveira; the rows' places on disk have nothing to do with names.
    let fill = format!(
        "insert into patients.patient
             (unit, patient_id, epoch, seq, sort_name, words, removed, withdrawn, state)
         select '{unit}', md5(n::text)::uuid, 1, n, family || ' ana' || n % 97,
                'ana' || n % 97 || ' ' || family, false, false, '{{}}'
         from generate_series(1, {PATIENTS}) n,
              lateral (select case n % 20 when 0 then 'silva' when 10 then 'silveira'
                              else 'family' || n % 500 end as family) f;
         insert into patients.patient_word
         select unit, w, sort_name, patient_id from patients.patient,
                lateral string_to_table(words, ' ') w;
         insert into patients.applied values ('{unit}', 1, {PATIENTS}, null, now(), 1, {PATIENTS});
         analyze patients.patient;
         analyze patients.patient_word;"
    );
    live.pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(fill))).await.unwrap();
    let counted = Counted::of(&live, "patients", "patient").await;
    let (pool, unit) = (counted.pool.clone(), Live::unit());
    let mut went_on = 0;
    for name in ["sil", "s", "silva ana1", "ana", "ana4 silve", "nobody"] {
        let filter = patients_store::PatientFilter { name: Some(name.into()), ..<_>::default() };
        let mut after = None;
        for page in 1..=3 {
            let what = format!("page {page} of {name}");
            let read = || patients_store::patients(&pool, &unit, &filter, after.as_deref(), 50);
            counted.costs(&what, read).await;
            let next = read().await.unwrap().value.next;
            // Each page is read three times here.
            went_on += if after.is_some() { 3 } else { 0 };
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    // A page that goes on looks up one id, the last one's; rows found by their ids would open the
    // index in as many places as a page has rows.
    assert_eq!(counted.entered("patient_pkey").await, went_on, "rows are found by their ids");
    assert!(counted.entered("patient_by_name").await > 0, "nothing was found by its name");
}
