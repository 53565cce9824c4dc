//! Everything of the folder that `ARTERIA_SYNTHEA` names.

use std::path::Path;
use std::time::Instant;

use practice::Table;
use practice::synthea::import;

use crate::made::{Ground, adds_up};

#[test]
fn everything_of_the_given_folder_fits_a_clinic() {
    let Some(dir) = std::env::var_os("ARTERIA_SYNTHEA") else {
        println!("ARTERIA_SYNTHEA is not set: no files of Synthea are read");
        return;
    };
    let (ground, unit) = (Ground::new(), "hcu-0001".parse().unwrap());
    let began = Instant::now();
    let report = import(Path::new(&dir), &ground.clinic, &unit).unwrap();
    println!("in {:?}\n{report}", began.elapsed());
    adds_up(&report);
    assert!(report.complete(), "{report}");
    let from_references =
        report.lessened.get(&("practitioners", "known by a reference alone")).copied();
    for table in [
        Table::Patients,
        Table::Practitioners,
        Table::Appointments,
        Table::Invoices,
        Table::Payments,
    ] {
        let made = if table == Table::Practitioners { from_references } else { None };
        let tally = report.tally(table);
        assert_eq!(ground.count(table), tally.written + made.unwrap_or(0), "{table:?}");
        assert!(tally.written > 0, "{table:?}");
    }
    for row in ground.desk().patients().unwrap() {
        assert!(!row.contains_key("birth_date_raw") && row.contains_key("mrn"), "{row:?}");
    }
    let dangling = "SELECT (SELECT count(*) FROM appointments WHERE patient_id NOT IN
                              (SELECT patient_id FROM patients) OR practitioner_id NOT IN
                              (SELECT practitioner_id FROM practitioners))
                         + (SELECT count(*) FROM invoices WHERE patient_id NOT IN
                              (SELECT patient_id FROM patients))
                         + (SELECT count(*) FROM payments WHERE invoice_id NOT IN
                              (SELECT invoice_id FROM invoices))";
    let db = rusqlite::Connection::open(&ground.clinic).unwrap();
    let dangling: i64 = db.query_row(dangling, [], |row| row.get(0)).unwrap();
    assert_eq!(dangling, 0);
    let before = ground.dump();
    let again = import(Path::new(&dir), &ground.clinic, &unit).unwrap();
    assert_eq!(again.tally(Table::Patients).written, 0);
    assert!(ground.dump() == before, "a second import changed something");
}
