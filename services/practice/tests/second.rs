//! The second practice against its own schema.

use chrono::NaiveDateTime;
use practice::Patient;
use practice::second::{PraxisDesk, Tabelle};
use serde_json::{Value, json};

fn now() -> NaiveDateTime {
    "2026-03-18T10:00:00".parse().unwrap()
}

#[test]
fn the_second_practice_is_seeded_once_and_the_same_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let dump = |name: &str| {
        let desk = PraxisDesk::open(&dir.path().join(name)).unwrap();
        desk.seed(7, 40, now()).unwrap();
        desk.seed(8, 40, now()).unwrap();
        let mut all = Vec::new();
        for table in [Tabelle::Patient, Tabelle::Termin, Tabelle::Rechnung, Tabelle::Anruf] {
            let numbers = desk.numbers(table).unwrap();
            all.extend(numbers.iter().map(|nr| desk.as_rest(table, *nr).unwrap()));
        }
        assert!(desk.count(Tabelle::Zahlung).unwrap() > 0);
        all
    };
    let (one, two) = (dump("one.db"), dump("two.db"));
    assert_eq!(one, two);
    assert!(one.len() > 120, "{} rows", one.len());
    assert!(one.iter().flatten().all(|row| row.keys().all(|field| !field.ends_with("_raw"))));
}

#[test]
fn rows_in_german_read_in_the_names_of_rest() {
    let dir = tempfile::tempdir().unwrap();
    let desk = PraxisDesk::open(&dir.path().join("praxis.db")).unwrap();
    let patient = Patient {
        mrn: Some("A-1".into()),
        birth_date: Some("1980-12-31".into()),
        sex: Some("other".into()),
        ..Patient::named("Jürgen", "Weiß")
    };
    let (one, other) = (desk.aufnehmen(&patient).unwrap(), desk.aufnehmen(&patient).unwrap());
    desk.zusammenfuehren(other, one).unwrap();
    desk.loeschen(other).unwrap();
    let typed = |desk: &PraxisDesk, column| desk.cell(Tabelle::Patient, other, column).unwrap();
    assert_eq!(typed(&desk, "geb_datum"), Some("31.12.1980".to_owned().into()));
    assert_eq!(typed(&desk, "zusammengefuehrt_mit"), Some(one.into()));
    let shown = |table, number| Value::Object(desk.as_rest(table, number).unwrap().unwrap());
    let expected = json!({"mrn": "A-1", "family_name": "Weiß", "given_name": "Jürgen",
        "birth_date": "1980-12-31", "sex": "other", "active": false});
    assert_eq!(shown(Tabelle::Patient, other), expected);

    let visit = desk.eintragen(one, 1, "2026-03-01T14:30:00".parse().unwrap(), 20).unwrap();
    desk.zustand(visit, "nicht erschienen").unwrap();
    let expected = json!({"starts_at": "2026-03-01T13:30:00Z", "ends_at": "2026-03-01T13:50:00Z",
        "status": "noshow", "modality": "in-person"});
    assert_eq!(shown(Tabelle::Termin, visit), expected);
    let invoice = desk.berechnen(one, Some(visit), now(), 4_505).unwrap();
    let payment = desk.bezahlen(invoice, now(), -19.99, "bar").unwrap();
    assert_eq!(shown(Tabelle::Rechnung, invoice)["total_minor"], 4_505);
    assert_eq!(shown(Tabelle::Rechnung, invoice)["status"], "issued");
    assert_eq!(shown(Tabelle::Zahlung, payment)["amount_minor"], -1_999);
    assert!(desk.as_rest(Tabelle::Zahlung, 99).unwrap().is_none());
    assert!(desk.loeschen(99).is_err());
}
