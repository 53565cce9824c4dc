//! Names: a type on the wire and its Avro record.

/// The namespace under which every domain of Arteria has its own.
pub const NAMESPACE: &str = "arteria";

/// Before the type of a fact it names the fact's public form: `public.scheduling.noshow` is what
/// the world outside may read of `scheduling.noshow`. No domain may be called so.
pub const PUBLIC: &str = "public";

/// Why a text names no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no type name: a type is <domain>.<name> in lower-case letters, digits and _")]
pub struct NameError(pub String);

/// Domain and name of a type: `("scheduling", "appointment_booked")`.
///
/// # Errors
/// The text is not `<domain>.<name>`.
pub fn split(type_name: &str) -> Result<(&str, &str), NameError> {
    let refuse = || NameError(type_name.chars().take(80).collect());
    let (domain, name) = type_name.split_once('.').ok_or_else(refuse)?;
    let is_type = is_snake(domain) && domain != PUBLIC && is_snake(name);
    if is_type { Ok((domain, name)) } else { Err(refuse()) }
}

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
pub fn public(type_name: &str) -> String {
    format!("{PUBLIC}.{type_name}")
}

/// Lower-case words joined by single underscores, so that CamelCase of it can be told back.
fn is_snake(text: &str) -> bool {
    text.split('_').all(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// `appointment_booked` -> `AppointmentBooked`.
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
pub fn type_name(record_name: &str) -> Option<String> {
    let (domain, record) =
        record_name.strip_prefix(NAMESPACE)?.strip_prefix('.')?.rsplit_once('.')?;
    let mut name = String::with_capacity(record.len() + 4);
    for letter in record.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    let type_name = format!("{domain}.{name}");
    split_promise(&type_name).is_ok().then_some(type_name)
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
