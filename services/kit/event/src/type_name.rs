//! Names of types, `<domain>.<name>`: what a mapping may call a fact, what the clinic link carries
//! and what the registry can name a record after are one grammar, and this is it.

/// Before the type of a fact it names the fact's public form: `public.scheduling.noshow` is what
/// the world outside may read of `scheduling.noshow`. No domain may be called so.
pub const PUBLIC: &str = "public";

/// The longest type name. Ours have some forty characters.
pub const TYPE_NAME_BYTES_MAX: usize = 127;

/// Why a text names no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no type name: a type is <domain>.<name> in lower-case letters, digits and _, each \
     word between _ begins with a letter, and it has at most {TYPE_NAME_BYTES_MAX} characters"
)]
pub struct TypeNameError(pub String);

/// Domain and name of a type: `("scheduling", "appointment_booked")`.
///
/// # Errors
/// The text is not `<domain>.<name>`, or is too long.
pub fn split(type_name: &str) -> Result<(&str, &str), TypeNameError> {
    let refuse = || TypeNameError(type_name.chars().take(80).collect());
    let (domain, name) = type_name.split_once('.').ok_or_else(refuse)?;
    let is_type = type_name.len() <= TYPE_NAME_BYTES_MAX
        && is_snake(domain)
        && domain != PUBLIC
        && is_snake(name);
    if is_type { Ok((domain, name)) } else { Err(refuse()) }
}

/// Lower-case words joined by single underscores, so that CamelCase of it can be told back.
fn is_snake(text: &str) -> bool {
    text.split('_').all(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_a_domain_and_a_name_in_words_that_begin_with_a_letter() {
        for good in ["voip.call", "lab.covid19_changed", "a.b", "v2.x_y_z"] {
            assert!(split(good).is_ok(), "{good}");
        }
        let long = format!("lab.{}", "x".repeat(TYPE_NAME_BYTES_MAX - 3));
        for bad in [
            "lab.covid_19",
            "a.b__c",
            "x.y_",
            "x._y",
            "x.1y",
            "1x.y",
            "x",
            "x.",
            ".x",
            "x.y.z",
            "X.y",
            "x.ü",
            "x.y z",
            "x-a.y",
            "public.x",
            "",
            &long,
        ] {
            assert!(split(bad).is_err(), "{bad}");
        }
        assert_eq!(split(&long[..TYPE_NAME_BYTES_MAX]).unwrap().0, "lab");
    }
}
