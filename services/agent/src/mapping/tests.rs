//! What a mapping file may say, and what each mistake in one is told as.

use super::*;

fn mistakes(text: &str) -> Vec<String> {
    match Mapping::parse(text, Tz::UTC) {
        Ok(_) => Vec::new(),
        Err(MappingError::Mistakes(mistakes)) => mistakes.iter().map(Mistake::to_string).collect(),
        Err(other) => panic!("{other}"),
    }
}

fn patients(columns: &str) -> String {
    format!("[[table]]\nname='t'\nthing='patient'\nkey=['k']\n[table.columns]\n{columns}")
}

#[track_caller]
fn assert_told(text: &str, line: usize, words: &str) {
    let told = mistakes(text);
    let wanted = format!("line {line}: ");
    let fits = told.iter().any(|it| it.starts_with(&wanted) && it.contains(words));
    assert!(fits, "{words:?} at line {line} is not among {told:#?} of\n{text}");
}

#[test]
fn the_reference_mapping_reads() {
    let mapping = Mapping::reference().unwrap();
    let resources: Vec<&str> = mapping.tables.iter().map(|table| table.resource.as_str()).collect();
    assert_eq!(resources[..4], ["patient", "practitioner", "working_hours", "appointment"]);
    assert_eq!(resources.last(), Some(&"request"));
    assert_eq!(mapping.by_name("PATIENTS").unwrap().columns.len(), 14);
    assert!(mapping.tables.iter().all(|table| table.facts.is_none()));
}

#[test]
fn the_ledger_is_added_to_every_practices_mapping() {
    let mapping = Mapping::parse(&patients("n={type='text',field='mrn'}"), Tz::UTC).unwrap();
    let names: Vec<&str> = mapping.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["t", "arteria_applied"]);
    assert_eq!(mapping.tables[0].id, "patient_id");
    assert_eq!(mapping.tables[0].images, ["k", "n"]);
}

#[test]
fn every_mistake_is_told_at_once_and_by_its_line() {
    let text = "zone = 'Moon/Sea'\n\
        [[table]]\nname = 'a'\nthing = 'patient'\nkey = []\nmood = 'fine'\n[table.columns]\n\
        x = { type = 'colour' }\n\
        y = { type = 'date', field = 'birth_date', format = 'dd.mm.yy' }\n\
        z = { type = 'text', field = 'shoe_size' }\n\
        [[table]]\nname = 'A'\nthing = 'patient'\nkey = ['k']\n[table.columns]\n\
        v = { type = 'uuid', of = 'moon', field = 'patient_id' }\n";
    for (line, words) in [
        (1, "no IANA time zone"),
        (5, "at least one column"),
        (6, "no \"mood\""),
        (8, "\"colour\" is no type"),
        (9, "four digits"),
        (10, "no field \"shoe_size\""),
        (12, "is mapped twice"),
        (12, "two tables hold patient"),
        (16, "no table of this mapping holds \"moon\""),
    ] {
        assert_told(text, line, words);
    }
    assert_eq!(mistakes(text).len(), 9, "{:#?}", mistakes(text));
}

#[test]
fn a_file_that_is_no_toml_or_no_mapping_is_told_so() {
    assert_told("", 1, "a list of [[table]]");
    assert_told("\n\n[[table]\nname='x'", 3, "");
    assert_told("a = 1\na = 2", 2, "");
    assert_told("table = 'patients'", 1, "a list of [[table]]");
    assert_told("[[table]]\nname = 7\nthing='patient'", 2, "name is a text");
    assert_told("[[table]]\nname='t'\nkey=['k']", 1, "a thing, or a type of its own");
    assert_told("[[table]]\nname='t'\nthing='moon'\nkey=['k']", 3, "no domain knows \"moon\"");
    assert_told("[[table]]\nname='t'\nthing='patient'\nkey=['k']", 1, "columns] is missing");
    assert_told("[[table]]\nname='t'\nthing='patient'\n[table.columns]", 1, "key is missing");
}

#[test]
fn what_is_huge_is_refused_in_one_line() {
    let huge = "#".repeat(file::FILE_BYTES_MAX + 1);
    assert_told(&huge, 1, "more than");
    let many = "[[table]]\nname='t'\nthing='patient'\nkey=['k']\n".repeat(101);
    assert_told(&many, 401, "at most 100 tables");
    let wide: String =
        (0..61).map(|n| format!("c{n} = {{ type = 'text', field = 'f{n}' }}\n")).collect();
    let text = format!("[[table]]\nname='t'\ntype='x.y'\nkey=['k']\n[table.columns]\n{wide}");
    assert_told(&text, 2, "at most 60 columns");
    let deep = format!("[[table]]\nname={}1{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(!mistakes(&deep).is_empty());
    let long = patients(&format!("{} = 'colour'", "n".repeat(50_000)));
    assert!(mistakes(&long).iter().all(|told| told.len() < 300));
}

#[test]
fn the_agents_own_tables_and_other_domains_facts_are_not_a_practices_to_name() {
    let own = patients("v='text'").replace("name='t'", "name='Arteria_Applied'");
    assert_told(&own, 2, "tables of the agent");
    assert_told(&own.replace("key=", "ledger=true\nkey="), 4, "no \"ledger\"");
    let generic = |rest: &str| format!("[[table]]\nname='t'\nkey=['k']\n{rest}\n[table.columns]\n");
    for (rest, line, words) in [
        ("type='patients.patient'", 4, "names its own facts"),
        ("type='requests.request_done'", 4, "names its own facts"),
        ("type='control.cancel'", 4, "names its own facts"),
        ("type='public.call'", 4, "names its own facts"),
        ("type='Voip.Call'", 4, "is no type"),
        ("type='voip'", 4, "is no type"),
        ("type='lab.covid_19'", 4, "is no type"),
        ("type='a.b__c'", 4, "is no type"),
        ("type='x.y_'", 4, "is no type"),
        ("[table.facts]\ninserted='lab.covid_19_found'", 5, "is no type"),
        (&format!("type='lab.{}'", "x".repeat(117)), 4, "is no type"),
        ("type='voip.call'\nthing='patient'", 5, "not both"),
        ("[table.facts]", 4, "at least one"),
        (
            "[table.facts]\ninserted='voip.call_ended'\nremoved='other.call_gone'",
            6,
            "another domain",
        ),
        ("[table.facts]\ninserted='voip.call_ended'\nversion=0", 6, "from 1"),
        ("[table.facts]\ninserted='voip.call_ended'\nmoved='voip.call_moved'", 6, "no \"moved\""),
    ] {
        assert_told(&generic(rest), line, words);
    }
}

#[test]
fn generic_types_name_their_facts() {
    let read = |rest: &str| {
        let text =
            format!("[[table]]\nname='t'\nkey=['k']\n{rest}\n[table.columns]\nd='integer'\n");
        Mapping::parse(&text, Tz::UTC).unwrap().tables.remove(0)
    };
    let plain = read("type='voip.call'");
    let facts = plain.facts.as_ref().unwrap();
    assert_eq!((plain.resource.as_str(), plain.id.as_str()), ("voip.call", "call_id"));
    assert_eq!(facts.changed.as_deref(), Some("voip.call_changed"));
    assert_eq!(facts.removed.as_deref(), Some("voip.call_removed"));
    let named = read("[table.facts]\ninserted='voip.call_ended'\nversion=2");
    let facts = named.facts.as_ref().unwrap();
    assert_eq!((named.resource.as_str(), named.subject_word()), ("voip.call", "call"));
    assert_eq!(facts.stated(), Some("voip.call_ended"));
    assert_eq!((facts.removed.as_deref(), facts.version), (None, 2));
}

#[test]
fn lookups_may_not_go_in_circles() {
    let through = |own: &str| {
        format!(
            "{{ type='text', field='f_{own}', through={{column='{own}', table='o', key='k'}} }}"
        )
    };
    let generic = |columns: &str| {
        format!("[[table]]\nname='t'\ntype='x.y'\nkey=['k']\n[table.columns]\n{columns}")
    };
    assert_told(&generic(&format!("a = {}", through("a"))), 6, "through itself");
    let circle = generic(&format!("a = {}\nb = {}", through("b"), through("a")));
    assert_told(&circle, 6, "is looked up itself");
    assert_told(&circle, 7, "is looked up itself");
    assert_told(&generic("a={type='text',through={table='o'}}"), 6, "column is missing");
    assert!(mistakes(&generic(&format!("a = {}", through("own")))).is_empty());
}

#[test]
fn columns_that_cannot_be_meant_are_told() {
    for (column, words) in [
        ("v='money'", "says its currency"),
        ("v={type='money',field='mrn',currency='DEM'}", "no currency"),
        ("v={type='money',field='mrn',currency=7}", "currency is a code"),
        ("v={type='text',field='mrn',currency='EUR'}", "only an amount"),
        ("v={type='money',field='mrn',currency='EUR',decimal_point=';'}", "decimal_point is"),
        ("v={type='text',field='mrn',zone='Europe/Berlin'}", "a zone is for timestamps"),
        ("v={type='text',field='mrn',format='dd.mm.yyyy'}", "a format is for date"),
        ("v={type='date',field='birth_date',codes={x='y'}}", "codes are for"),
        ("v={type='bool',field='active',codes={ja='yes'}}", "is no bool"),
        ("v={type='text',field='sex',codes={m='male',M='female'}}", "by its case only"),
        ("v={type='text',field='mrn',of='patient'}", "only a uuid"),
        ("v={type='text',field='mrn',columns=['a','b']}", "several columns make an id"),
        ("v={type='text',field='mrn',columns=[]}", "at least one"),
        ("v={type='text'}", "no field \"v\""),
        ("\"\"={type='text',field='mrn'}", "not empty"),
        ("v=7", "a column is a type"),
        ("v={type='text',field='mrn',colour='red'}", "no \"colour\""),
    ] {
        assert_told(&patients(column), 6, words);
    }
    let twice = patients("v={type='text',field='mrn'}\nw={type='text',field='mrn'}");
    assert_told(&twice, 7, "mapped twice");
    let spelt = patients("v={type='text',field='mrn'}\nV={type='text',field='city'}");
    assert_told(&spelt, 2, "spelt in two ways");
    let constant = patients("v={type='text',field='mrn'}\n[table.constants]\nmrn='x'\nage=1.5");
    assert_told(&constant, 8, "mapped twice");
    assert_told(&constant, 9, "a value here is");
}

#[test]
fn a_column_of_another_type_than_the_domain_expects_is_told() {
    for (column, words) in [
        ("v={type='text',field='birth_date'}", "birth_date wants the type date, not text"),
        ("v={type='timestamp',field='birth_date'}", "not timestamp"),
        ("v={type='text',field='active'}", "active wants the type bool"),
        (
            "v={type='integer',field='mrn'}",
            "mrn wants the type text or date or time or timestamp or decimal or partial_date or \
             uuid",
        ),
        ("v={type='text',field='patient_id'}", "patient_id wants the type uuid"),
        ("v={type='uuid',field='patient_id'}", "names a patient: say of = \"patient\""),
        ("v='uuid'\n[table.constants]\nactive='ja'", "\"active\" wants a value of bool"),
    ] {
        let line = 6 + column.matches('\n').count();
        assert_told(&patients(column), line, words);
    }
    let visits = |columns: &str| {
        let name = "[[table]]\nname='v'\nthing='appointment'\nkey=['n']\n[table.columns]\n";
        format!("{name}{columns}\n{}", patients("w={type='text',field='mrn'}"))
    };
    let date = visits("b={type='date',field='starts_at',format='dd/mm/yyyy'}");
    assert_told(&date, 6, "starts_at wants the type timestamp, not date");
    let other = visits("p={type='uuid',of='appointment',field='patient_id'}");
    assert_told(&other, 6, "patient_id names a patient");
    assert!(mistakes(&visits("p={type='uuid',of='patient',field='patient_id'}")).is_empty());
    // A practice whose patients are not mapped may name them by ids of their own.
    let alone = visits("p={type='uuid',field='patient_id'}");
    let alone = &alone[..alone.rfind("[[table]]").unwrap()];
    assert!(mistakes(alone).is_empty(), "{:?}", mistakes(alone));
}

#[test]
fn a_key_that_no_new_row_could_be_given_is_told() {
    let keyed = |key: &str, rest: &str| {
        format!(
            "[[table]]\nname='t'\nthing='patient'\nkey={key}\nnew_key={rest}\n[table.columns]\n\
             v={{type='text',field='mrn'}}\n"
        )
    };
    assert_told(&keyed("['a','b']", "'next'"), 2, "is for one column");
    assert_told(&keyed("['a','b']", "'assigned'"), 2, "assigns no key of several");
    assert_told(&keyed("['a','A']", "'public_id'"), 4, "names \"A\" twice");
    let fixed = keyed("['a','b']", "'next'") + "[table.defaults]\na=7\n";
    assert!(mistakes(&fixed).is_empty());
}

#[test]
fn signs_within_amounts_are_told_apart() {
    let invoice = |signs: &str| {
        format!(
            "[[table]]\nname='t'\nthing='invoice'\nkey=['k']\n[table.columns]\n\
             v={{type='money',field='total_minor',currency='BRL',{signs}}}\n"
        )
    };
    assert!(mistakes(&invoice("decimal_point=',',thousands='.'")).is_empty());
    assert!(mistakes(&invoice("thousands=' '")).is_empty());
    assert_told(&invoice("decimal_point=',',thousands=','"), 6, "not the decimal_point");
    assert_told(&invoice("thousands='-'"), 6, "thousands is one of");
    assert_told(&patients("v={type='text',field='mrn',thousands='.'}"), 6, "only an amount");
}

#[test]
fn what_is_written_twice_is_named_and_a_mistake_in_every_line_takes_a_moment() {
    let twice = patients("nome='text'\nnome='text'");
    assert_told(&twice, 7, "duplicate key \"nome\"");
    assert_told(&patients("v={type='date',field='birth_date',format='unix'}"), 6, "for timestamps");
    let many: String = (0..60_000).map(|n| format!("c{n}=1\n")).collect();
    // Looking for each line from the beginning of the file, and for each word among all others,
    // took minutes.
    assert_eq!(mistakes(&patients(&many)).len(), 60_000);
    let words: String = (0..60_000).map(|n| format!("w{n}='a',")).collect();
    let coded = patients(&format!("v={{type='text',field='mrn',codes={{{words}}}}}"));
    assert_eq!(mistakes(&coded), ["line 6: a code list has at most 1000 words"]);
}

#[test]
fn zones_and_formats_come_from_the_nearest_place() {
    let text = "zone='Europe/Berlin'\n[[table]]\nname='t'\nthing='appointment'\nkey=['k']\n\
        [table.columns]\nb={type='timestamp',field='starts_at'}\n\
        e={type='timestamp',field='ends_at',zone='Asia/Tokyo',format='unix'}\n";
    let mapping = Mapping::parse(text, Tz::UTC).unwrap();
    let column = |field| mapping.tables[0].column(field).unwrap();
    assert_eq!(column("starts_at").zone, Some(Tz::Europe__Berlin));
    assert!(column("starts_at").format.is_some());
    assert_eq!(column("ends_at").zone, Some(Tz::Asia__Tokyo));
    let bare = text.replace("zone='Europe/Berlin'\n", "");
    let mapping = Mapping::parse(&bare, Tz::Europe__Lisbon).unwrap();
    assert!(mapping.tables[0].column("starts_at").unwrap().format.is_none(), "RFC 3339 only");
}

#[test]
fn the_reference_text_is_the_reference_mapping_without_the_ledger() {
    let text = REFERENCE;
    assert!(!text.contains("ledger"), "{text}");
    let names = |mapping: &Mapping| -> Vec<String> {
        mapping.tables.iter().map(|table| table.name.clone()).collect()
    };
    let begun = Mapping::parse(text, Tz::UTC).unwrap();
    assert_eq!(names(&begun), names(&Mapping::reference().unwrap()));
}

#[test]
fn an_id_beside_the_key_names_its_row_and_nobody_elses_column_can() {
    let text = "[[table]]\nname='p'\nthing='patient'\nkey=['nr']\n[table.columns]\n\
        oid={type='uuid',of='patient',field='patient_id'}\n\
        [[table]]\nname='t'\nthing='appointment'\nkey=['nr']\n[table.columns]\n";
    let mapping = Mapping::parse(text, Tz::UTC).unwrap();
    assert!(mapping.tables[0].has_id_beside_key() && !mapping.tables[1].has_id_beside_key());
    let named = format!("{text}wer={{type='uuid',of='patient',field='patient_id'}}\n");
    assert_told(&named, 12, "no other row can name it");
}

#[test]
fn no_text_makes_the_reader_fall_over() {
    let whole = include_str!("../../../practice/schema/second.mapping.toml");
    assert!(mistakes(whole).is_empty());
    let places: Vec<usize> = whole.char_indices().map(|(at, _)| at).step_by(41).collect();
    for at in places {
        let (before, after) = whole.split_at(at);
        for text in
            [before.to_owned(), format!("{before}\u{0}{after}"), format!("{before}]{after}")]
        {
            let _ = mistakes(&text);
        }
        let skipped: String = after.chars().skip(5).collect();
        let _ = mistakes(&format!("{before}{skipped}"));
    }
}
