//! The practice against its own promises, on databases of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use kit_event::Timestamp;
use practice::{Desk, Interval, Patient, Population, Seeded, Table, day, seed};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

fn now() -> Timestamp {
    "2026-03-18T10:07:00Z".parse().unwrap()
}

fn clinic(patients: u32, zone: Tz) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(practice::CLINIC_DB);
    seed(&path, 7, &Population::of(patients, zone), now()).unwrap();
    (dir, path)
}

/// Every row of every table, as text.
fn dump(path: &std::path::Path) -> String {
    let desk = Desk::open(path).unwrap();
    let tables = Table::ALL.map(|table| json!(desk.rows(table).unwrap()).to_string());
    tables.join("\n")
}

#[test]
fn the_same_seed_gives_the_same_clinic_and_a_clinic_with_patients_is_left_alone() {
    let ((_a, one), (_b, two)) = (clinic(200, Tz::UTC), clinic(200, Tz::UTC));
    let before = dump(&one);
    assert_eq!(before, dump(&two));
    let again = seed(&one, 8, &Population::default(), now()).unwrap();
    assert_eq!(again, Seeded::LeftAlone { patients: 200 });
    assert_eq!(dump(&one), before);
}

#[test]
fn two_thousand_patients_take_less_than_a_few_seconds_even_without_optimisation() {
    let began = Instant::now();
    let (_dir, path) = clinic(2_000, Tz::Europe__Lisbon);
    let took = began.elapsed();
    let desk = Desk::open(&path).unwrap();
    assert_eq!(desk.count(Table::Patients).unwrap(), 2_000);
    assert!(desk.count(Table::Appointments).unwrap() > 5_000);
    assert!((6..=10).contains(&desk.count(Table::Practitioners).unwrap()));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn the_diary_never_overlaps_lies_within_hours_and_has_statuses_that_fit_the_time() {
    // Over the night of 29 March Lisbon moves its clocks.
    let (_dir, path) = clinic(300, Tz::Europe__Lisbon);
    let db = Connection::open(&path).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let overlaps = count(
        "SELECT count(*) FROM appointments a JOIN appointments b USING (practitioner_id)
         WHERE a.appointment_id < b.appointment_id
           AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at",
    );
    assert_eq!(overlaps, 0);
    let now = now().to_string();
    for wrong in [
        format!("ends_at <= '{now}' AND status IN ('booked', 'arrived')"),
        format!("starts_at > '{now}' AND status NOT IN ('booked', 'cancelled')"),
        "starts_at >= ends_at".to_owned(),
    ] {
        assert_eq!(
            count(&format!("SELECT count(*) FROM appointments WHERE {wrong}")),
            0,
            "{wrong}"
        );
    }
    // By SQLite's own calendar, one hour of summer time away from UTC after 29 March 01:00Z.
    let outside = count(
        "WITH local AS (SELECT practitioner_id, datetime(starts_at, shift) s, datetime(ends_at, shift) e
           FROM (SELECT *, iif(starts_at >= '2026-03-29T01:00:00Z', '+1 hour', '+0 hour') shift
                 FROM appointments))
         SELECT count(*) FROM local WHERE NOT EXISTS (
           SELECT 1 FROM working_hours h WHERE h.practitioner_id = local.practitioner_id
             AND h.weekday = (strftime('%w', s) + 6) % 7 + 1
             AND strftime('%H:%M', s) >= h.starts AND strftime('%H:%M', e) <= h.ends)",
    );
    assert_eq!(outside, 0);
}

#[test]
fn what_the_desk_writes_the_oracle_reads_in_the_names_of_rest() {
    let (_dir, path) = clinic(10, Tz::UTC);
    let desk = Desk::open(&path).unwrap();
    let patient = Patient {
        mrn: Some("X-1".into()),
        birth_date: Some("31.12.1980".into()),
        phone: Some(String::new()),
        ..Patient::named("Zoë", "d'Aubigné")
    };
    let id = desk.register_patient(&patient).unwrap();
    desk.deactivate_patient(&id).unwrap();
    let row = desk.row(Table::Patients, &id).unwrap().unwrap();
    let expected = json!({
        "patient_id": id, "mrn": "X-1", "given_name": "Zoë", "family_name": "d'Aubigné",
        "birth_date_raw": "31.12.1980", "active": false,
    });
    assert_eq!(json!(row), expected);
    assert!(practice::differences(Table::Patients, &row, &expected).is_empty());
    desk.delete(Table::Patients, &id).unwrap();
    assert_eq!(desk.row(Table::Patients, &id).unwrap(), None);
    assert!(desk.delete(Table::Patients, &id).is_err());
    assert!(desk.amend(Table::Patients, &id, &[("no; DROP", &1)]).is_err());
}

#[test]
fn a_slot_that_is_taken_is_free_no_more_until_it_is_cancelled() {
    let (_dir, path) = clinic(50, Tz::Europe__Lisbon);
    let desk = Desk::open(&path).unwrap().in_zone(Tz::Europe__Lisbon);
    let practitioner = desk.practitioners().unwrap()[0];
    let slot = desk.next_free(&practitioner, now()).unwrap().unwrap();
    let free = |slot: Interval| {
        let near = (slot.starts_at.plus_ms(-60_000), slot.ends_at.plus_ms(60_000));
        desk.free_slots(&practitioner, near.0, near.1).unwrap().contains(&slot)
    };
    assert!(free(slot));
    let taken = desk.take_slot(&practitioner, slot, &Uuid::new_v4()).unwrap();
    assert!(!free(slot));
    desk.cancel(&taken).unwrap();
    assert!(free(slot));
    desk.arrive(&taken).unwrap();
    assert!(!free(slot));
    assert!(slot.starts_at > now());
}

#[test]
fn a_rebuilt_table_keeps_rows_and_indexes_and_loses_triggers() {
    let (_dir, path) = clinic(100, Tz::UTC);
    let before = dump(&path);
    let mut desk = Desk::open(&path).unwrap();
    let trigger = "CREATE TRIGGER seen AFTER UPDATE ON patients BEGIN SELECT 1; END";
    desk.execute(trigger, &[]).unwrap();
    let resources = "SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'patients' AND type = ?1";
    let count = |path: &std::path::Path, kind: &str| -> i64 {
        Connection::open(path).unwrap().query_row(resources, [kind], |row| row.get(0)).unwrap()
    };
    let indexes = count(&path, "index");
    desk.rebuild(Table::Patients).unwrap();
    assert_eq!((count(&path, "trigger"), count(&path, "index")), (0, indexes));
    assert_eq!(dump(&path), before);
    for table in Table::ALL {
        desk.rebuild(table).unwrap();
    }
    assert_eq!(dump(&path), before);
}

#[test]
fn bulk_replace_rollback_and_lock_do_what_they_say() {
    let (_dir, path) = clinic(5, Tz::UTC);
    let mut desk = Desk::open(&path).unwrap();
    let made = desk.import_made_up(3, 7_000_000, 10_000).unwrap();
    assert_eq!(desk.count(Table::Patients).unwrap(), 10_005);
    let changed = Patient { city: Some("Évora".into()), ..made[0].clone() };
    desk.replace_patient(&changed).unwrap();
    let row = desk.row(Table::Patients, &changed.patient_id).unwrap().unwrap();
    assert_eq!(
        (row["city"].as_str(), desk.count(Table::Patients).unwrap()),
        (Some("Évora"), 10_005)
    );
    desk.rolled_back(|db| {
        db.execute("DELETE FROM patients", [])
            .map_err(|source| practice::PracticeError::Sql { act: "deleting", source })
    })
    .unwrap();
    assert_eq!(desk.count(Table::Patients).unwrap(), 10_005);

    let other = Connection::open(&path).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let lock = desk.lock().unwrap();
    assert!(other.execute("UPDATE patients SET active = 1", []).is_err());
    lock.release().unwrap();
    assert!(other.execute("UPDATE patients SET active = 1", []).is_ok());
    let held = Desk::lock_elsewhere(&path, Duration::from_millis(50)).unwrap();
    assert!(other.execute("UPDATE patients SET active = 1", []).is_err());
    held.join().unwrap().unwrap();
    assert!(other.execute("UPDATE patients SET active = 1", []).is_ok());
}

#[test]
fn a_day_at_the_desk_does_as_much_as_it_is_told_and_repeats() {
    let run = || {
        let (dir, path) = clinic(200, Tz::Europe__Berlin);
        let mut desk = Desk::open(&path).unwrap().in_zone(Tz::Europe__Berlin);
        let done = day(&mut desk, &mut StdRng::seed_from_u64(1), now(), 300).unwrap();
        drop(dir);
        done
    };
    let done = run();
    assert_eq!(done, run());
    assert!(done.registered > 20 && done.amended > 20 && done.booked > 20, "{done:?}");
    assert!(done.moved > 5 && done.cancelled > 5 && done.attended > 5, "{done:?}");
    assert!(done.deleted > 0 && done.rolled_back > 0, "{done:?}");
}

#[test]
fn past_visits_are_billed_and_a_few_balances_stay_open() {
    let (_dir, path) = clinic(200, Tz::Europe__Lisbon);
    let db = Connection::open(&path).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let invoices = count("SELECT count(*) FROM invoices");
    assert!(invoices > 300, "{invoices}");
    let open = count(
        "SELECT count(*) FROM invoices i WHERE status = 'issued' AND total_minor > coalesce(
           (SELECT sum(amount_minor) FROM payments p WHERE p.invoice_id = i.invoice_id), 0)",
    );
    assert!(open > 10 && open < invoices / 2, "{open} of {invoices}");
    assert!(count("SELECT count(*) FROM payments WHERE amount_minor < 0") > 0);
    let now = now().to_string();
    for wrong in [
        "SELECT count(*) FROM invoices i LEFT JOIN appointments a USING (appointment_id)
         WHERE a.patient_id IS NOT i.patient_id OR a.status NOT IN ('fulfilled', 'noshow')"
            .to_owned(),
        "SELECT count(*) FROM payments p LEFT JOIN invoices i USING (invoice_id)
         WHERE i.currency IS NOT p.currency OR p.paid_at < i.issued_at"
            .to_owned(),
        format!("SELECT count(*) FROM payments WHERE paid_at > '{now}'"),
        "SELECT count(*) FROM (SELECT 1 FROM invoices i JOIN payments p USING (invoice_id)
         GROUP BY invoice_id HAVING sum(p.amount_minor) > max(i.total_minor))"
            .to_owned(),
    ] {
        assert_eq!(count(&wrong), 0, "{wrong}");
    }
}

#[test]
fn the_desk_bills_takes_money_and_takes_bills_back() {
    let (_dir, path) = clinic(5, Tz::UTC);
    let desk = Desk::open(&path).unwrap();
    let patient = Uuid::new_v4();
    let invoice = desk.issue_invoice(&patient, None, 4_500, "EUR", now()).unwrap();
    let payment = desk.pay(&invoice, 1_500, "EUR", now()).unwrap();
    desk.void(&invoice).unwrap();
    let row = desk.row(Table::Invoices, &invoice).unwrap().unwrap();
    let expected = json!({"invoice_id": invoice, "patient_id": patient, "currency": "EUR",
        "issued_at": now(), "total_minor": 4_500, "status": "voided"});
    assert_eq!(json!(row), expected);
    let row = desk.row(Table::Payments, &payment).unwrap().unwrap();
    assert_eq!((&row["amount_minor"], &row["invoice_id"]), (&json!(1_500), &json!(invoice)));
    assert!(desk.void(&payment).is_err());
}
