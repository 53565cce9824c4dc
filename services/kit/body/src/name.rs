//! Names: a type on the wire and its Avro record.

pub use kit_event::type_name::{PUBLIC, TypeNameError as NameError, split};

/// The namespace under which every domain of Arteria has its own.
pub const NAMESPACE: &str = "arteria";

/// Namespace and name of what a schema is of: a type, or the public form of one
/// (`("public.scheduling", "appointment_booked")`).
///
/// # Errors
/// The text is neither.
pub fn split_promise(promise: &str) -> Result<(&str, &str), NameError> {
    let Some(type_name) = promise.strip_prefix(PUBLIC).and_then(|rest| rest.strip_prefix('.'))
    else {
        return split(promise);
    };
    let (domain, name) = split(type_name)?;
    Ok((&promise[..PUBLIC.len() + 1 + domain.len()], name))
}

/// The promise of a type's public form.
#[must_use]
pub fn public(type_name: &str) -> String {
    format!("{PUBLIC}.{type_name}")
}

/// `appointment_booked` -> `AppointmentBooked`.
#[must_use]
pub fn camel(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    for word in snake.split('_') {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// `scheduling.appointment_booked` -> `arteria.scheduling.AppointmentBooked`, which is the record's
/// full name and its subject in the registry; a public form is `arteria.public.scheduling. ..`.
///
/// # Errors
/// The text is not `<domain>.<name>`, with or without `public.` before it.
pub fn record_name(promise: &str) -> Result<String, NameError> {
    let (namespace, name) = split_promise(promise)?;
    Ok(format!("{NAMESPACE}.{namespace}.{}", camel(name)))
}

/// The type of a record name (or the public form of one), where it is one of ours.
#[must_use]
pub fn type_name(record_name: &str) -> Option<String> {
    spelt(record_name).filter(|type_name| split_promise(type_name).is_ok())
}

/// A record name spelt as types are, whether or not it names one.
pub(crate) fn spelt(record_name: &str) -> Option<String> {
    let (domain, record) =
        record_name.strip_prefix(NAMESPACE)?.strip_prefix('.')?.rsplit_once('.')?;
    let mut name = String::with_capacity(record.len() + 4);
    for letter in record.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    Some(format!("{domain}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_and_its_record_name_each_other() {
        for (type_text, record) in [
            ("scheduling.appointment_booked", "arteria.scheduling.AppointmentBooked"),
            ("requests.reply", "arteria.requests.Reply"),
            ("control.new_epoch", "arteria.control.NewEpoch"),
            ("public.units.unit_amended", "arteria.public.units.UnitAmended"),
        ] {
            assert_eq!(record_name(type_text).unwrap(), record);
            assert_eq!(type_name(record).unwrap(), type_text);
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for bad in ["", "a", "a.", ".b", "A.b", "a.b.c", "a.b__c", "a._b", "a.b c", "../x.y"] {
            assert!(split(bad).is_err(), "{bad}");
        }
        for bad in ["public.a", "public.public.a", "public.a.b.c", "public.", "public..a.b"] {
            assert!(record_name(bad).is_err(), "{bad}");
        }
        // A fact can never be of a type that is the public form of another.
        assert!(split("public.a.b").is_err() && split("public.a").is_err());
        assert_eq!(type_name("com.example.Thing"), None);
    }
}
