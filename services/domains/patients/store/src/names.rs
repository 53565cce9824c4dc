//! Names as they are searched: without case, without accents, word by word. Both sides of a search
//! go through the same functions, so that what is typed and what is stored meet.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters kept of one word: longer ones are found by these.
const WORD_CHARS_MAX: usize = 60;
/// Words kept of one person's names. The longest names on record have fewer.
const WORDS_MAX: usize = 24;
/// Characters by which lists are ordered; an index entry has a greatest size.
const SORT_CHARS_MAX: usize = 120;

/// Text without case and accents.
pub fn fold(text: &str) -> String {
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(text.len());
    for c in plain {
        // Letters that Unicode does not take apart, and that people type without their stroke.
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'þ' => folded.push_str("th"),
            'ı' => folded.push('i'),
            other => folded.push(other),
        }
    }
    folded
}

/// The words that a searcher may mean: `O'Brien` is `obrien`.
pub fn searched_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = split(&fold(text)).map(joined).collect();
    words.retain(|word| !word.is_empty());
    words.truncate(WORDS_MAX);
    words
}

/// The words under which a name is found: `O'Brien` by `obrien`, and by `brien` too.
pub fn stored_words(family: Option<&str>, given: Option<&str>) -> Vec<String> {
    let mut words = Vec::new();
    for name in [family, given].into_iter().flatten() {
        for word in split(&fold(name)) {
            words.push(joined(word));
            if word.contains(is_apostrophe) {
                words.extend(word.split(is_apostrophe).map(cut));
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words.truncate(WORDS_MAX);
    words.sort_unstable();
    words.dedup();
    words
}

/// The key by which lists are ordered: family name, then given name.
pub fn sort_name(family: Option<&str>, given: Option<&str>) -> String {
    let folded = fold(&format!("{} {}", family.unwrap_or_default(), given.unwrap_or_default()));
    kit_store::json::searchable(&folded, SORT_CHARS_MAX)
}

fn split(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|c: char| !c.is_alphanumeric() && !is_apostrophe(c))
}

fn joined(word: &str) -> String {
    cut(&word.replace(is_apostrophe, ""))
}

fn cut(word: &str) -> String {
    word.chars().take(WORD_CHARS_MAX).collect()
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{02BC}' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_do_not_count() {
        assert_eq!(fold("ÁLVARES Conceição"), "alvares conceicao");
        assert_eq!(fold("Łukasz Straße Søren"), "lukasz strasse soren");
        assert_eq!(fold("Zo\u{0308}e"), fold("Zöe"));
        assert_eq!(fold("İpek"), "ipek");
    }

    #[test]
    fn a_name_is_found_by_each_of_its_words() {
        let words = stored_words(Some("da Silva-Santos"), Some("Ana María"));
        assert_eq!(words, ["ana", "da", "maria", "santos", "silva"]);
        assert_eq!(stored_words(Some("O’Brien"), None), ["brien", "o", "obrien"]);
        assert_eq!(searched_words("  O'BRIEN, zoë "), ["obrien", "zoe"]);
        assert!(stored_words(None, Some("--")).is_empty());
    }

    #[test]
    fn names_without_end_are_cut() {
        let long = "x".repeat(5_000);
        assert_eq!(stored_words(Some(&long), None)[0].len(), WORD_CHARS_MAX);
        assert_eq!(sort_name(Some(&long), None).chars().count(), SORT_CHARS_MAX);
    }
}
