//! Times as programs write them: the diary sees what the mapping reads, in whatever form.

use std::time::{Duration, Instant};

use agent::failpoints::Failpoints;
use agent::setup::files;
use agent::stores::Stores;
use kit_event::{Filter, Records, Timestamp};
use kit_link::{FromEdge, Resume};
use proptest::prelude::*;
use scheduling::diary::Diary;
use scheduling::interval::Interval;
use serde_json::{Value, json};

use crate::desk::{Folder, PATIENT, PRACTITIONER};
use crate::edge::request;
use crate::walkthrough::booking;

const DAY_MS: i64 = 86_400_000;

/// How a practice's table may keep an instant: the columns' declaration, what the mapping says of
/// `starts_at`, and the columns that hold it.
struct Kept {
    declared: &'static str,
    starts: &'static str,
    columns: &'static str,
}

const KEPT: &[Kept] = &[
    Kept { declared: "starts_at TEXT", starts: "", columns: "starts_at" },
    Kept { declared: "starts_at TEXT COLLATE NOCASE", starts: "", columns: "starts_at" },
    Kept { declared: "starts_at DATETIME", starts: "", columns: "starts_at" },
    Kept { declared: "starts_at", starts: "", columns: "starts_at" },
    Kept {
        declared: "starts_at TEXT",
        starts: r#"format = "dd.mm.yyyy HH:MM""#,
        columns: "starts_at",
    },
    Kept {
        declared: "starts_at DATETIME",
        starts: r#"format = "yyyy-mm-dd HH:MM:SS", zone = "Europe/Lisbon""#,
        columns: "starts_at",
    },
    Kept { declared: "starts_at INTEGER", starts: r#"format = "unix""#, columns: "starts_at" },
    Kept { declared: "starts_at", starts: r#"format = "unix_ms""#, columns: "starts_at" },
    Kept {
        declared: "day TEXT, hour TEXT",
        starts: r#"columns = ["day", "hour"], format = "dd-mm-yyyy HH:MM""#,
        columns: "day, hour",
    },
];

impl Kept {
    fn open(&self) -> (Folder, Stores) {
        let clinic = Folder::empty();
        clinic.delete(files::CLINIC);
        let Self { declared, starts, columns } = self;
        let ddl = format!(
            "CREATE TABLE visits (nr INTEGER PRIMARY KEY, who TEXT, {declared});
             CREATE INDEX visits_by_who ON visits (who, {columns});"
        );
        clinic.desk().execute_batch(&ddl).unwrap();
        let more = if starts.is_empty() { String::new() } else { format!(", {starts}") };
        clinic.map(&format!(
            r#"
            [[table]]
            name = "visits"
            thing = "appointment"
            key = ["nr"]
            [table.columns]
            nr = {{ type = "uuid", of = "appointment", field = "appointment_id" }}
            who = {{ type = "text", field = "reason" }}
            starts_at = {{ type = "timestamp"{more} }}
            "#
        ));
        let stores = Stores::open(clinic.setup(Failpoints::none())).unwrap();
        (clinic, stores)
    }
}

/// One instant in one of the forms that programs write; some read as none.
fn written() -> impl Strategy<Value = Vec<String>> {
    let blanks =
        prop::sample::select(vec!["", "", "", " ", "  ", "\t", "\n", "\u{a0}", "\u{2003}"]);
    let offset_min = prop::sample::select(vec![0, 60, -60, 570, -720, 840, 1439, -1439]);
    let edge_ms = prop::sample::select(vec![0, 1, -1, DAY_MS, -DAY_MS, 12 * 3_600_000]);
    (0..20i64, edge_ms, offset_min, 0..15usize, blanks.clone(), blanks).prop_map(
        |(day, edge_ms, offset_min, form, before, after)| {
            let base: Timestamp = "2026-02-25T00:00:00Z".parse().unwrap();
            let at = base.plus_ms(day * DAY_MS + edge_ms);
            let utc = at.to_utc();
            let local = utc.naive_utc() + chrono::TimeDelta::minutes(offset_min);
            let (sign, m) = (if offset_min < 0 { '-' } else { '+' }, offset_min.abs());
            let offset = format!("{sign}{:02}:{:02}", m / 60, m % 60);
            let of = |form: &str| utc.format(form).to_string();
            let texts = match form {
                0 => vec![at.to_string()],
                1 => vec![at.to_string().to_lowercase()],
                2 => vec![at.to_string().replace('T', " ")],
                3 => vec![format!("{}{offset}", local.format("%Y-%m-%dT%H:%M:%S"))],
                4 => vec![format!("{}{offset}", local.format("%Y-%m-%d %H:%M:%S%.6f"))],
                // As `datetime('now')` writes it, and with half of it left out.
                5 => vec![of("%Y-%m-%d %H:%M:%S")],
                6 => vec![of("%Y-%m-%dT%H:%M")],
                7 => vec![of("%d.%m.%Y %H:%M")],
                8 => vec![of("%-d.%-m.%Y %-H:%M")],
                9 => vec![(at.unix_ms() / 1000).to_string()],
                10 => vec![at.unix_ms().to_string()],
                11 => vec![format!("{}.0", at.unix_ms() / 1000)],
                12 => vec![of("%d-%m-%Y"), of("%H:%M")],
                13 => vec![at.to_string(), String::new()],
                _ => vec!["tomorrow".to_owned(), "9".to_owned()],
            };
            texts.iter().map(|text| format!("{before}{text}{after}")).collect()
        },
    )
}

/// The sameness of what the filter lets through and what reads so, in one kind of table.
fn compare(kept: &Kept, clinic: &Folder, stores: &Stores, rows: &[Vec<String>], bounds: [i64; 2]) {
    let desk = clinic.desk();
    desk.execute_batch("PRAGMA synchronous = OFF; BEGIN; DELETE FROM visits").unwrap();
    let is_two = kept.columns.contains(',');
    for row in rows {
        let texts: Vec<Option<&str>> = if is_two {
            vec![Some(&row[0]), row.get(1).map(String::as_str).filter(|text| !text.is_empty())]
        } else {
            vec![Some(&row[0])]
        };
        let marks = vec!["?"; texts.len()].join(", ");
        let sql = format!("INSERT INTO visits (who, {}) VALUES ('w', {marks})", kept.columns);
        desk.execute(&sql, rusqlite::params_from_iter(texts)).unwrap();
    }
    desk.execute_batch("COMMIT").unwrap();
    let records = stores.records(&stores.clinic.conn);
    let base: Timestamp = "2026-02-25T00:00:00Z".parse().unwrap();
    let [from, to] = bounds.map(|ms| base.plus_ms(ms));
    let whose = Filter::Equals("reason", json!("w"));
    let all = records.find("appointment", std::slice::from_ref(&whose)).unwrap();
    assert_eq!(all.len(), rows.len());
    for range in [
        vec![Filter::NotBefore("starts_at", from), Filter::Before("starts_at", to)],
        vec![Filter::NotBefore("starts_at", from)],
        vec![Filter::Before("starts_at", to)],
    ] {
        let filters: Vec<Filter> = [whose.clone()].into_iter().chain(range.clone()).collect();
        let found = sorted(records.find("appointment", &filters).unwrap());
        let reads = |state: &&Value| range.iter().all(|filter| filter.passes(state));
        let wanted = sorted(all.iter().filter(reads).cloned().collect());
        assert_eq!(found, wanted, "{} {} {range:?}", kept.declared, kept.starts);
    }
}

fn sorted(mut states: Vec<Value>) -> Vec<String> {
    states.sort_by_key(|state| state["appointment_id"].to_string());
    states
        .iter()
        .map(|state| format!("{} {}", state["appointment_id"], state["starts_at"]))
        .collect()
}

#[test]
fn what_the_mapping_reads_as_an_instant_the_filter_reads_and_nothing_else() {
    for kept in KEPT {
        let (clinic, stores) = kept.open();
        let seen = std::cell::Cell::new(0);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 12,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let span = -DAY_MS..22 * DAY_MS;
        let cases = (prop::collection::vec(written(), 40), span.clone(), span);
        runner
            .run(&cases, |(rows, from, to)| {
                compare(kept, &clinic, &stores, &rows, [from.min(to), from.max(to)]);
                let all = stores.records(&stores.clinic.conn).find("appointment", &[]).unwrap();
                let instants = all.iter().filter(|state| state["starts_at"].is_string()).count();
                seen.set(seen.get() + instants);
                Ok(())
            })
            .unwrap();
        let seen = seen.get();
        assert!(seen > 40, "{} {}: {seen} instants were read", kept.declared, kept.starts);
    }
}

#[test]
fn a_time_that_the_network_shows_is_taken_however_it_is_written_and_however_long_it_lasts() {
    for (starts, ends) in [
        (" 2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z"),
        ("\t2026-03-02T09:00:00Z\n", " 2026-03-02T09:30:00Z "),
        ("\u{a0}2026-03-02t09:00:00z", "2026-03-02T09:30:00Z"),
        ("2026-03-02 09:00:00+00:00", "2026-03-02 09:30:00.000Z"),
        ("2026-03-01T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z"),
        ("2011-01-01T00:00:00Z", " 2036-01-01T00:00:00Z"),
        (" 2011-01-01T00:00:00Z", "2036-01-01T00:00:00+05:00"),
    ] {
        let clinic = Folder::staffed();
        clinic.seeded();
        let mut agent = clinic.worker();
        let mut line = agent.connect(None, Resume::Exact);
        clinic
            .desk()
            .execute(
                "INSERT INTO appointments (appointment_id, patient_id, practitioner_id, starts_at,
                     ends_at) VALUES ('A-1', ?1, ?2, ?3, ?4)",
                [PATIENT, PRACTITIONER, starts, ends],
            )
            .unwrap();
        let command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
        let command = request(1, "one", "scheduling.book_appointment", command);
        agent.receive(&mut line, vec![FromEdge::Request(command)]);
        assert!(line.log.iter().any(|fact| fact.body["starts_at"].is_string()), "{starts:?}");
        assert_eq!(line.replies[0].outcome["reason"], "slot-taken", "{starts:?} {ends:?}");
    }
}

/// Of a large diary only the rows of the day are read; of those before it, their two times.
#[test]
fn a_day_of_a_diary_of_a_hundred_thousand_is_read_at_once() {
    let clinic = Folder::staffed();
    let stores = Stores::open(clinic.setup(Failpoints::none())).unwrap();
    clinic
        .desk()
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
             INSERT INTO appointments (appointment_id, patient_id, practitioner_id, starts_at,
                 ends_at, status)
             SELECT printf('A-%d', i), '{PATIENT}', iif(i % 5, 'P-' || (i % 5), '{PRACTITIONER}'),
                 strftime('%Y-%m-%dT%H:%M:%SZ', '2016-01-01', '+' || (i * 45) || ' minutes'),
                 strftime('%Y-%m-%dT%H:%M:%SZ', '2016-01-01', '+' || (i * 45 + 30) || ' minutes'),
                 'booked' FROM n"
        ))
        .unwrap();
    let records = stores.records(&stores.clinic.conn);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let around = Interval::new(at("2024-05-06T09:00:00Z"), at("2024-05-06T17:00:00Z"));
    let whose = PRACTITIONER.parse().unwrap();
    let began = Instant::now();
    let diary = Diary::gather(&records, whose, &around, None).unwrap();
    let taken = began.elapsed();
    println!("a day of a diary of 100,000: {taken:?}");
    // Reading whole rows would take many times as long.
    assert!(taken < Duration::from_secs(3), "{taken:?}");
    assert!(diary.overlaps(&around));
}
