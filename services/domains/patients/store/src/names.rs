//! Names as they are searched: without case, without accents, word by word. Both sides of a search
//! go through the same functions, so that what is typed and what is stored meet.

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters kept of one word: longer ones are found by these.
const WORD_CHARS_MAX: usize = 60;
/// Words kept of one person's names. The longest names on record have fewer.
const WORDS_MAX: usize = 24;
/// Characters by which lists are ordered; an index entry has a greatest size.
const SORT_CHARS_MAX: usize = 120;

/// Text without case, accents and signs that nobody sees.
///
/// Case goes by Unicode's full folding, which knows what lower case does not: capitals without
/// accents, a final sigma, `ß`. Both before and after it letters are taken apart, because either
/// step makes what the other one has to undo.
pub fn fold(text: &str) -> String {
    let seen = text.chars().filter(|c| !is_unseen(*c)).map(plain_apostrophe);
    // An apostrophe may come to light by taking a letter apart (`῍`).
    let folded = without_case(&seen.nfd().map(plain_apostrophe).collect::<String>());
    // A letter may come to light here that had no case before (`ℌ`, `Ⓐ`).
    let folded = without_marks(&without_case(&without_marks(&folded)));
    let mut plain = String::with_capacity(folded.len());
    for c in folded.chars().filter(|c| !is_unseen(*c)).map(plain_apostrophe) {
        match plain_letters(c) {
            Some(letters) => plain.push_str(letters),
            None => plain.push(c),
        }
    }
    plain
}

fn without_case(text: &str) -> String {
    UniCase::unicode(text).to_folded_case()
}

fn without_marks(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).collect()
}

const fn plain_apostrophe(c: char) -> char {
    if is_apostrophe(c) { '\'' } else { c }
}

/// Letters that Unicode does not take apart, as people type them without their stroke or bend.
const fn plain_letters(c: char) -> Option<&'static str> {
    Some(match c {
        'æ' => "ae",
        'œ' => "oe",
        'ø' | 'ɵ' => "o",
        'ł' | 'ƚ' => "l",
        'đ' | 'ð' | 'ɖ' | 'ɗ' => "d",
        'þ' => "th",
        'ı' | 'ɨ' => "i",
        'ħ' => "h",
        'ŧ' | 'ⱦ' => "t",
        'ŋ' | 'ɲ' => "n",
        'ĸ' => "k",
        'ə' | 'ǝ' | 'ɛ' => "e",
        'ɓ' | 'ƀ' => "b",
        'ƙ' => "k",
        'ǥ' | 'ɣ' => "g",
        'ɔ' => "o",
        'ʉ' => "u",
        'ƴ' | 'ɏ' => "y",
        'ƶ' => "z",
        'ⱥ' => "a",
        'ȼ' => "c",
        _ => return None,
    })
}

/// What a text carries without showing it: soft hyphens, joiners and spaces of no width, marks of
/// direction; and the stroke that only stretches an Arabic word.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{61C}'
            | '\u{640}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
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
            if word.contains('\'') {
                words.extend(word.split('\'').map(cut));
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
    folded.split(|c: char| !c.is_alphanumeric() && c != '\'')
}

fn joined(word: &str) -> String {
    cut(&word.replace('\'', ""))
}

fn cut(word: &str) -> String {
    word.chars().take(WORD_CHARS_MAX).collect()
}

/// Signs that people and programs write for an apostrophe, because they look like one.
const fn is_apostrophe(c: char) -> bool {
    matches!(
        c,
        '\''
            | '`'
            | '\u{B4}'
            | '\u{2B9}'
            | '\u{2BB}'..='\u{2BF}'
            | '\u{2C8}'
            | '\u{2CA}'..='\u{2CB}'
            | '\u{2F4}'
            | '\u{374}'
            | '\u{384}'
            | '\u{55A}'
            | '\u{55D}'
            | '\u{5F3}'
            | '\u{7F4}'..='\u{7F5}'
            | '\u{1FBD}'
            | '\u{1FBF}'
            | '\u{1FEF}'
            | '\u{1FFD}'..='\u{1FFE}'
            | '\u{2018}'..='\u{2019}'
            | '\u{201B}'
            | '\u{2032}'
            | '\u{2035}'
            | '\u{275B}'..='\u{275C}'
            | '\u{A78B}'..='\u{A78C}'
            | '\u{FF07}'
            | '\u{FF40}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_accents_do_not_count() {
        assert_eq!(fold("ÁLVARES Conceição"), "alvares conceicao");
        assert_eq!(fold("Łukasz Straße Søren"), "lukasz strasse soren");
        assert_eq!(fold("Zo\u{0308}e"), fold("Zöe"));
        assert_eq!(fold("İpek"), "ipek");
        assert_eq!(fold("ΠΑΠΑΔΟΠΟΥΛΟΣ"), fold("Παπαδόπουλος"));
        assert_eq!(fold("ΑΣ"), fold("ας"), "a final sigma");
        assert_eq!(fold("ΐ Ϊ́"), fold("Ι ι"));
        assert_eq!(fold("ΑΙ ᾼ"), fold("ᾳ αι"), "an iota below is one beside");
        assert_eq!(fold("Weiß GROẞ"), "weiss gross");
        assert_eq!(fold("Þór Ægir Đorđe Ħ Ŋ Ŧ ĸ Ə"), "thor aegir dorde h n t k e");
        assert_eq!(fold("IŞIK ışık"), "isik isik");
        assert_eq!(fold("ＭＵＬＬＥＲ ﬁn ŉ"), "muller fin 'n");
        assert_eq!(fold("ЁЛКА Ёлка"), "елка елка");
    }

    #[test]
    fn what_nobody_sees_does_not_part_a_name() {
        for unseen in
            ["\u{AD}", "\u{200B}", "\u{200C}", "\u{200D}", "\u{2060}", "\u{FEFF}", "\u{200F}"]
        {
            let name = format!("Mü{unseen}ller");
            assert_eq!(stored_words(Some(&name), None), ["muller"], "{unseen:?}");
            assert_eq!(searched_words(&name), ["muller"], "{unseen:?}");
        }
        assert_eq!(fold("مـحـمـد"), fold("محمد"));
    }

    #[test]
    fn an_apostrophe_is_one_whichever_sign_stands_for_it() {
        for sign in "'`´ʹʻʼʽʾʿˈˊˋ՚׳‘’‛′‵ꞌ＇".chars() {
            let name = format!("O{sign}Brien");
            assert_eq!(stored_words(Some(&name), None), ["brien", "o", "obrien"], "{sign:?}");
            assert_eq!(searched_words(&name), ["obrien"], "{sign:?}");
        }
        assert_eq!(fold("O\u{1FCD}Brien"), fold("O\u{1FBF}\u{300}Brien"), "one that has a mark");
    }

    #[test]
    fn every_letter_folds_as_its_capital_does_and_only_once() {
        let chars = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        for c in chars.filter(|c| c.is_alphanumeric()) {
            let own = fold(&c.to_string());
            assert_eq!(fold(&c.to_uppercase().to_string()), own, "{c:?} {:x}", u32::from(c));
            assert_eq!(fold(&c.to_lowercase().to_string()), own, "{c:?} {:x}", u32::from(c));
            assert_eq!(fold(&own), own, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_found_however_it_is_typed(
            family in "[\\PC\u{AD}\u{200B}\u{301}\u{308}]{1,24}", given in "[\\pL' -]{0,24}",
        ) {
            let stored = stored_words(Some(&family), Some(&given));
            let composed: String = family.nfc().collect();
            let apart: String = family.nfd().collect();
            let (upper, lower) = (family.to_uppercase(), family.to_lowercase());
            for typed in [upper, lower, given.to_uppercase(), composed, apart] {
                for word in searched_words(&typed) {
                    let is_found = stored.iter().any(|it| it.starts_with(&word));
                    let is_full = stored.len() == WORDS_MAX;
                    prop_assert!(is_found || is_full, "{typed:?} {word} {stored:?}");
                }
            }
            let name = format!("{family} {given}");
            let sorted = sort_name(Some(&family), Some(&given));
            prop_assert_eq!(sorted.is_empty(), fold(&name).is_empty());
        }
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
