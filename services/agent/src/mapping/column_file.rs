//! Reads one column of a mapping file.

use crate::mapping::column::{Amount, Code, Column, Currency, Kind, Through};
use crate::mapping::file::{Zones, check_name, zone_of};
use crate::mapping::format::{Format, Holds};
use crate::mapping::money::{self, Signs};
use crate::mapping::tree::{Found, Mistakes, Part, shown};

/// How local times are written where only their zone is told.
const LOCAL_FORMAT: &str = "YYYY-MM-DD HH:MM:SS";
/// Signs that people put between thousands.
const THOUSANDS: [char; 5] = ['.', ',', ' ', '\'', '’'];
/// Words of one code list.
const CODES_MAX: usize = 1_000;

/// Reads a column: `name = "type"`, or a table.
pub fn read(name: &str, found: Found<'_, '_>, zones: Zones, mistakes: &Mistakes) -> Option<Column> {
    check_name(name, found.at, mistakes);
    if let Some(word) = found.text() {
        let kind = kind(word, found.at, mistakes)?;
        let mut column = bare(name, kind, mistakes.line_of(found.at));
        if kind == Kind::Money {
            mistakes.at(found.at, "an amount says its currency, and the field of minor units");
        }
        local_times(&mut column, None, None, zones, found.at, mistakes);
        return Some(column);
    }
    let Some(part) = found.part(mistakes) else {
        mistakes.at(found.at, "a column is a type, or a table with one");
        return None;
    };
    let (word, at) = part.wanted("type")?;
    let kind = kind(&word, at, mistakes)?;
    let mut column = bare(name, kind, mistakes.line_of(found.at));
    if let Some((field, at)) = part.text("field") {
        check_name(&field, at, mistakes);
        column.field = field;
    }
    column.of = part.text("of").map(|(of, _)| of);
    places(&mut column, &part, mistakes);
    column.codes = codes(&part, kind, mistakes);
    let format = format(&part, kind, mistakes);
    let zone = zone_of(&part, mistakes);
    local_times(&mut column, format, zone, zones, found.at, mistakes);
    amount(&mut column, &part, mistakes);
    column.read_only = part.flag("read_only") || column.through.is_some();
    column.optional = part.flag("optional");
    part.finish("a column");
    check_parts(&column, found.at, mistakes);
    Some(column)
}

fn bare(name: &str, kind: Kind, line: usize) -> Column {
    Column {
        name: name.to_owned(),
        field: name.to_owned(),
        kind,
        of: None,
        through: None,
        parts: vec![name.to_owned()],
        codes: Vec::new(),
        format: None,
        zone: None,
        amount: None,
        read_only: false,
        optional: false,
        line,
    }
}

fn kind(word: &str, at: usize, mistakes: &Mistakes) -> Option<Kind> {
    let kind = Kind::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, kind)| kind);
    if kind.is_none() {
        let known: Vec<&str> = Kind::WORDS.iter().map(|(known, _)| *known).collect();
        mistakes.at(at, format!("{} is no type; known: {}", shown(word), known.join(", ")));
    }
    kind
}

/// Where the value stands: in several columns, in another table, or under the name itself.
fn places(column: &mut Column, part: &Part<'_, '_>, mistakes: &Mistakes) {
    if let Some((columns, at)) = part.texts("columns") {
        for name in &columns {
            check_name(name, at, mistakes);
        }
        if columns.is_empty() {
            mistakes.at(at, "columns names at least one");
        }
        column.parts = columns;
    }
    let Some(listed) = part.part("through") else { return };
    let named = [listed.wanted("column"), listed.wanted("table"), listed.wanted("key")];
    let value = listed.text("value").map_or_else(|| column.name.clone(), |(value, _)| value);
    listed.finish("through");
    let [Some((own, at)), Some((table, _)), Some((key, _))] = named else { return };
    for name in [&own, &table, &key, &value] {
        check_name(name, at, mistakes);
    }
    if own == column.name {
        mistakes.at(at, format!("{} is looked up through itself", shown(&own)));
    }
    column.parts.clear();
    column.through = Some(Through { column: own, table, key, value });
}

fn codes(part: &Part<'_, '_>, kind: Kind, mistakes: &Mistakes) -> Vec<Code> {
    let Some(listed) = part.part("codes") else { return Vec::new() };
    if !matches!(kind, Kind::Text | Kind::Bool | Kind::Integer) {
        mistakes.at(listed.at, "codes are for text, bool and integer");
    }
    let entries = listed.entries();
    if entries.len() > CODES_MAX {
        mistakes.at(listed.at, format!("a code list has at most {CODES_MAX} words"));
        return Vec::new();
    }
    let mut codes: Vec<Code> = Vec::new();
    for (word, found) in entries {
        let value = found.plain().filter(|value| match kind {
            Kind::Bool => value.is_boolean(),
            Kind::Integer => value.is_i64(),
            _ => value.is_string(),
        });
        let Some(value) = value else {
            let problem = format!("the value of {} is no {}", shown(word), kind.word());
            mistakes.at(found.at, problem);
            continue;
        };
        let alike = |code: &Code| code.word.trim().to_lowercase() == word.trim().to_lowercase();
        if codes.iter().any(|code| alike(code) && code.value != value) {
            let problem = format!("{} differs from another word by its case only", shown(word));
            mistakes.at(found.at, problem);
        }
        codes.push(Code { word: word.to_owned(), value });
    }
    codes
}

fn format(part: &Part<'_, '_>, kind: Kind, mistakes: &Mistakes) -> Option<Format> {
    let (text, at) = part.text("format")?;
    let holds = match kind {
        Kind::Date => Holds::Date,
        Kind::Time => Holds::Time,
        Kind::Timestamp => Holds::Instant,
        Kind::Text
        | Kind::Bool
        | Kind::Integer
        | Kind::Decimal
        | Kind::PartialDate
        | Kind::Money
        | Kind::Uuid => {
            mistakes.at(at, "a format is for date, time and timestamp");
            return None;
        }
    };
    Format::parse(&text, holds).map_err(|problem| mistakes.at(at, problem)).ok()
}

/// A timestamp with a format or a zone is local time; others are RFC 3339.
fn local_times(
    column: &mut Column,
    format: Option<Format>,
    zone: Option<chrono_tz::Tz>,
    zones: Zones,
    at: usize,
    mistakes: &Mistakes,
) {
    let named = zone.or(zones.named);
    column.format = format;
    match column.kind {
        Kind::Timestamp => {
            if named.is_some() && column.format.is_none() {
                column.format = Format::parse(LOCAL_FORMAT, Holds::Instant).ok();
            }
            column.zone = column.format.as_ref().map(|_| named.unwrap_or(zones.fallback));
        }
        _ if zone.is_some() => mistakes.at(at, "a zone is for timestamps"),
        _ => {}
    }
}

fn amount(column: &mut Column, part: &Part<'_, '_>, mistakes: &Mistakes) {
    let point = part.text("decimal_point");
    let thousands = part.text("thousands");
    let currency = part.take("currency");
    if column.kind != Kind::Money {
        let signs = point.iter().chain(&thousands).map(|(_, at)| *at);
        for at in currency.map(|it| it.at).into_iter().chain(signs) {
            mistakes.at(at, "only an amount of money has a currency and signs within it");
        }
        return;
    }
    let signs = signs(point.as_ref(), thousands, mistakes);
    let Some(found) = currency else {
        mistakes.at(part.at, "an amount says its currency");
        return;
    };
    let currency = match (found.text(), found.part(mistakes)) {
        (Some(code), _) => {
            if money::exponent(code).is_none() {
                mistakes.at(found.at, format!("{} is no currency of ISO 4217", shown(code)));
            }
            Currency::Always(code.to_owned())
        }
        (None, Some(listed)) => {
            let Some((name, at)) = listed.wanted("column") else { return };
            listed.finish("currency");
            check_name(&name, at, mistakes);
            Currency::Column(name)
        }
        (None, None) => {
            mistakes.at(found.at, "currency is a code, or { column = }");
            return;
        }
    };
    column.amount = Some(Amount { currency, signs });
}

/// The signs before the decimals and between the thousands of an amount.
fn signs(
    point: Option<&(String, usize)>,
    thousands: Option<(String, usize)>,
    mistakes: &Mistakes,
) -> Signs {
    let point = match point.map(|(sign, at)| (sign.as_str(), *at)) {
        None | Some((".", _)) => '.',
        Some((",", _)) => ',',
        Some((_, at)) => {
            mistakes.at(at, "decimal_point is \".\" or \",\"");
            '.'
        }
    };
    let Some((text, at)) = thousands else { return Signs { point, thousands: None } };
    let thousands = THOUSANDS.into_iter().find(|sign| text == sign.to_string());
    if thousands.is_none_or(|sign| sign == point) {
        let known: Vec<String> = THOUSANDS.iter().map(|sign| format!("\"{sign}\"")).collect();
        let known = known.join(", ");
        mistakes.at(at, format!("thousands is one of {known}, and not the decimal_point"));
    }
    Signs { point, thousands }
}

fn check_parts(column: &Column, at: usize, mistakes: &Mistakes) {
    if column.of.is_some() && column.kind != Kind::Uuid {
        mistakes.at(at, "only a uuid is of a thing");
    }
    if column.parts.len() < 2 {
        return;
    }
    match column.kind {
        Kind::Uuid if column.of.is_some() => {}
        Kind::Timestamp | Kind::Date if column.format.is_some() => {}
        _ => mistakes.at(at, "several columns make an id of a thing, or a time with a format"),
    }
}
