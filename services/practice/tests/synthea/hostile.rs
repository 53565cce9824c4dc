//! Input that is broken, endless, or means harm; and deaths at every step.

use practice::Table;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::made::{
    BENEFIT, Ground, archive, bundle, claim, doctor, gzip, patient, skipped, visit, whole, with,
};

/// Names and reasons of what could not be read.
fn unreadable(ground: &Ground) -> Vec<(String, String)> {
    ground.import().unreadable
}

#[test]
fn what_is_no_fhir_is_named_and_costs_only_itself() {
    let ground = Ground::new();
    ground.write("good.json", bundle(&whole()));
    let deep = "[".repeat(1_000_000);
    let nested = format!("{{\"resourceType\":\"Bundle\",\"entry\":{deep}");
    let at = |what: &str, line: u32, column: u32| format!("{what} (line {line}, column {column})");
    let (no_fhir, cut) = ("JSON, but no FHIR", "JSON, cut short");
    let untyped = "JSON, but no FHIR: it has no resourceType".to_owned();
    let bad: [(&str, &[u8], String); 10] = [
        ("bad/array.json", b"[1, 2]", at(no_fhir, 1, 2)),
        ("bad/cut.json", b"{\"resourceType\": \"Bundle\",\n\"entry\": [", at(cut, 2, 10)),
        ("bad/deep.json", nested.as_bytes(), at(no_fhir, 1, 35)),
        ("bad/empty.json", b"", at(cut, 1, 0)),
        ("bad/entry.json", b"{\"resourceType\": \"Bundle\", \"entry\": 7}", at(no_fhir, 1, 37)),
        ("bad/latin.json", b"{\"resourceType\": \"\xfc\"}", "not UTF-8 after 18 bytes".to_owned()),
        ("bad/null.json", b"null", at(no_fhir, 1, 4)),
        ("bad/text.json", b"hello", at("no JSON", 1, 1)),
        ("bad/type.json", b"{\"resourceType\": {}}", at(no_fhir, 1, 17)),
        ("bad/untyped.json", b"{\"resource\": {}}", untyped),
    ];
    for (name, content, _) in &bad {
        ground.write(name, content);
    }
    let expected: Vec<_> = bad.map(|(name, _, why)| (name.to_owned(), why)).into();
    assert_eq!(unreadable(&ground), expected);
    assert_eq!(ground.count(Table::Payments), 1);
}

#[test]
fn a_resource_of_another_shape_costs_only_itself() {
    let ground = Ground::new();
    let id = |number: u32| json!(format!("00000000-0000-0000-0000-{number:012}"));
    let deep: Value = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let mut resources = whole();
    resources.extend([
        with(with(patient(), "id", id(1)), "birthDate", json!(5)),
        with(with(patient(), "id", id(2)), "name", json!("Ann")),
        with(with(patient(), "id", id(3)), "name", deep.clone()),
        with(patient(), "id", json!(["x"])),
        with(with(visit(), "id", id(4)), "period", json!("today")),
        with(with(claim("1"), "id", id(5)), "total", json!({"value": "12", "currency": "USD"})),
        with(with(claim("1"), "id", id(6)), "total", json!({"value": 1e300, "currency": "USD"})),
        with(with(claim("1"), "id", id(7)), "total", json!({"value": 1, "currency": "doubloons"})),
        with(with(doctor(), "id", id(8)), "extension", deep),
    ]);
    ground.write("a.json", bundle(&resources));
    let report = ground.import();
    let shape = "its fields have other types than FHIR's";
    let expected = [
        ("appointments", shape, 1),
        ("invoices", "its amount is none, or in no currency", 3),
        ("patients", shape, 4),
    ];
    assert_eq!(skipped(&report), expected);
    assert_eq!(ground.count(Table::Patients), 1);
    assert_eq!(ground.count(Table::Practitioners), 2);
}

#[test]
fn endless_and_unprintable_text_is_cut_to_what_a_column_holds() {
    let ground = Ground::new();
    let name = json!([{"family": "é".repeat(1_000_000), "given": ["\u{0}\u{1b}[2J", "Ann"]}]);
    ground.write("a.json", bundle(&[with(patient(), "name", name)]));
    ground.import();
    let row = ground.only(Table::Patients);
    assert_eq!(row["family_name"].as_str().unwrap().chars().count(), 200);
    assert_eq!(row["given_name"], "[2J Ann");
}

#[test]
fn a_cut_archive_gives_what_came_before_the_cut() {
    let ground = Ground::new();
    let (one, noise) = (bundle(&whole()), noise(3 << 20));
    let whole =
        archive(&[("a.json", one.as_bytes()), ("b.bin", &noise), ("c.json", one.as_bytes())]);
    ground.write("cut.tar.zst", &whole[..whole.len() / 2]);
    ground.write("none.tar.zst", b"no archive");
    ground.write("tar.tar.zst", zstd::encode_all(&noise[..10_000], 1).unwrap());
    let named = unreadable(&ground);
    let names: Vec<_> = named.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["cut.tar.zst", "none.tar.zst", "tar.tar.zst"], "{named:?}");
    assert_eq!(named[0].1, "cut short");
    assert_eq!(ground.count(Table::Payments), 1);
}

/// Bytes that do not pack.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

#[test]
fn a_table_that_ends_badly_has_written_nothing() {
    let ground = Ground::new();
    let row = |number: u32| format!("00000000-0000-0000-0000-{number:012},Lee{number}\n");
    let table = format!("Id,LAST\n{}", (0..20_000).map(row).collect::<String>());
    let packed = gzip(table.as_bytes());
    ground.write("patients.csv.gz", &packed[..packed.len() - 200]);
    assert_eq!(unreadable(&ground), [("patients.csv.gz".to_owned(), "cut short".to_owned())]);
    assert_eq!(ground.count(Table::Patients), 0);
    ground.write("patients.csv.gz", packed);
    assert_eq!(ground.import().tally(Table::Patients).written, 20_000);
}

#[test]
fn tables_of_another_shape_are_named() {
    let ground = Ground::new();
    ground.write("encounters.csv", "");
    ground.write("patients.csv", "Name\nAnn\n");
    // A quote that nobody closes makes one field of everything after it.
    ground.write("providers.csv", format!("Id,NAME\n1,\"{}", "a,b\n".repeat(1 << 20)));
    let expected = [
        ("encounters.csv", "empty"),
        ("patients.csv", "a table without a column ID"),
        ("providers.csv", "a row longer than a row can be"),
    ]
    .map(|(name, why)| (name.to_owned(), why.to_owned()));
    let mut named = unreadable(&ground);
    named.sort();
    assert_eq!(named, expected);
}

#[test]
fn a_bomb_is_refused_by_its_size_and_an_extended_header_by_its_own() {
    let ground = Ground::new();
    let spaces = vec![b' '; (128 << 20) + 1];
    ground.write("bomb.json.gz", gzip(&spaces));
    ground.write(
        "lines.ndjson.gz",
        gzip(&[&spaces[..], b"\n", patient().to_string().as_bytes()].concat()),
    );
    // The tar reader keeps the long name of the next entry in memory, however long it says it is.
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(spaces.len() as u64);
    header.set_cksum();
    tar.append(&header, spaces.as_slice()).unwrap();
    let packed = zstd::encode_all(tar.into_inner().unwrap().as_slice(), 1).unwrap();
    ground.write("name.tar.zst", packed);
    let named = unreadable(&ground);
    let expected = [
        ("name.tar.zst".to_owned(), "unpacks to more than an import takes"),
        ("bomb.json.gz".to_owned(), "larger than a document can be"),
        ("lines.ndjson.gz, line 1".to_owned(), "larger than a document can be"),
    ]
    .map(|(name, why)| (name, why.to_owned()));
    assert_eq!(named, expected);
    assert_eq!(ground.count(Table::Patients), 1);
}

#[test]
fn names_of_entries_lead_nowhere_and_cannot_speak_to_a_terminal() {
    let ground = Ground::new();
    let one = bundle(&whole());
    let files: [(&str, &[u8]); 3] = [
        ("../../escaped.json", one.as_bytes()),
        ("/etc/absolute.json", b"{"),
        ("\u{1b}[2Jclear.json", b"{"),
    ];
    ground.write("a.tar.zst", archive(&files));
    let names: Vec<_> = unreadable(&ground).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a.tar.zst: /etc/absolute.json", "a.tar.zst: ?[2Jclear.json"]);
    assert_eq!(ground.count(Table::Patients), 1);
    let beside: Vec<_> = std::fs::read_dir(&ground.input).unwrap().collect();
    assert_eq!(beside.len(), 1);
}

#[test]
fn lines_that_cannot_be_read_cost_only_themselves() {
    let ground = Ground::new();
    let lines = format!("{}\n{{\n\nnull\n{}", patient(), doctor());
    ground.write("all.ndjson", lines);
    let expected = [
        ("all.ndjson, line 2", "JSON, cut short (line 2, column 0)"),
        ("all.ndjson, line 4", "JSON, but no FHIR (line 1, column 4)"),
    ]
    .map(|(name, why)| (name.to_owned(), why.to_owned()));
    assert_eq!(unreadable(&ground), expected);
    assert_eq!((ground.count(Table::Patients), ground.count(Table::Practitioners)), (1, 1));
}

#[test]
fn an_import_that_dies_at_any_step_leaves_whole_patients_and_can_be_run_again() {
    let ground = Ground::new();
    let second: Vec<Value> = whole()
        .iter()
        .map(|resource| {
            let text = resource.to_string();
            // The same ids with another first digit: another patient with everything of their own.
            let ids = [
                crate::made::PATIENT,
                crate::made::DOCTOR,
                crate::made::VISIT,
                crate::made::CLAIM,
                BENEFIT,
            ];
            let other =
                ids.iter().fold(text, |text, id| text.replace(id, &format!("a{}", &id[1..])));
            serde_json::from_str(&other).unwrap()
        })
        .collect();
    ground.write("a.json", bundle(&whole()));
    ground.write("b.json", bundle(&second));
    let complete = {
        let other = Ground::new();
        other.write("a.json", bundle(&whole()));
        other.write("b.json", bundle(&second));
        other.import();
        other.dump()
    };
    for table in ["patients", "practitioners", "appointments", "invoices", "payments"] {
        drop(std::fs::remove_file(&ground.clinic));
        practice_with_schema(&ground);
        let db = Connection::open(&ground.clinic).unwrap();
        db.execute_batch(&format!(
            "CREATE TRIGGER dies BEFORE INSERT ON {table} WHEN (SELECT count(*) FROM {table}) > 0
             BEGIN SELECT RAISE(ABORT, 'the second dies'); END"
        ))
        .unwrap();
        assert!(ground.try_import().is_err(), "{table}");
        let held = [Table::Patients, Table::Appointments, Table::Payments];
        assert_eq!(held.map(|table| ground.count(table)), [1, 1, 1], "{table}");
        db.execute_batch("DROP TRIGGER dies").unwrap();
        drop(db);
        ground.import();
        assert_eq!(ground.dump(), complete, "{table}");
    }
}

fn practice_with_schema(ground: &Ground) {
    let db = Connection::open(&ground.clinic).unwrap();
    db.execute_batch(practice::SCHEMA).unwrap();
}

#[test]
fn another_practices_database_is_left_as_it_is() {
    let ground = Ground::new();
    ground.write("a.json", bundle(&whole()));
    Connection::open(&ground.clinic)
        .unwrap()
        .execute_batch(practice::second::SECOND_SCHEMA)
        .unwrap();
    let before = std::fs::read(&ground.clinic).unwrap();
    let error = ground.try_import().unwrap_err().to_string();
    assert!(error.ends_with("none named patients: another practice's schema"), "{error}");
    assert_eq!(std::fs::read(&ground.clinic).unwrap(), before);
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let ground = Ground::new();
    std::fs::remove_dir(&ground.input).unwrap();
    assert!(ground.try_import().is_err());
}
