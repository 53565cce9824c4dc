//! Names: a type on the wire and its Avro record.

/// The namespace under which every domain of Arteria has its own.
pub const NAMESPACE: &str = "arteria";

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
    if is_snake(domain) && is_snake(name) { Ok((domain, name)) } else { Err(refuse()) }
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
/// full name and its subject in the registry.
///
/// # Errors
/// The text is not `<domain>.<name>`.
pub fn record_name(type_name: &str) -> Result<String, NameError> {
    let (domain, name) = split(type_name)?;
    Ok(format!("{NAMESPACE}.{domain}.{}", camel(name)))
}

/// The type of a record name, where it is one of ours.
pub fn type_name(record_name: &str) -> Option<String> {
    let (domain, record) =
        record_name.strip_prefix(NAMESPACE)?.strip_prefix('.')?.split_once('.')?;
    let mut name = String::with_capacity(record.len() + 4);
    for letter in record.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    let type_name = format!("{domain}.{name}");
    split(&type_name).is_ok().then_some(type_name)
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
        assert_eq!(type_name("com.example.Thing"), None);
    }
}
