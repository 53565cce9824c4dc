//! Nothing unfinished and nothing of a workplace in what we ship.

use crate::Violation;

/// Words that may not stand in any file, and why. Written in halves, so that this file may.
const BANNED: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "finish it, or open an issue and leave the word out"),
    (concat!("FIX", "ME"), "finish it, or open an issue and leave the word out"),
    (concat!("XX", "X"), "finish it, or open an issue and leave the word out"),
    (concat!("/wo", "rk/"), "a path of one workplace: make it relative or a setting"),
    (concat!("/tmp/", "bash"), "a path of one workplace: make it relative or a setting"),
    (concat!("/ro", "ot/"), "a path of one workplace: make it relative or a setting"),
    (concat!("/home", "/"), "a path of one workplace: make it relative or a setting"),
];

/// Files that tools write and nobody reads.
const GENERATED: [&str; 1] = ["Cargo.lock"];

/// The banned words of one file.
#[must_use]
pub fn violations(path: &str, text: &str) -> Vec<Violation> {
    if GENERATED.contains(&path) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        for (word, why) in BANNED.iter().filter(|(word, _)| stands_in(line, word)) {
            found.push(Violation::new(format!("{path}:{number}"), format!("{word}: {why}")));
        }
    }
    found
}

/// Whether the word stands there as a word: base64 and names that contain it do not count.
fn stands_in(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        // A path may go on behind its beginning; and before it nothing of a longer path stands.
        if word.starts_with('/') {
            !letter(before) && before != Some('.')
        } else {
            !letter(before) && !letter(after)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_words_are_found() {
        for (word, _) in BANNED {
            assert_eq!(violations("planted.md", &format!("see {word} here")).len(), 1, "{word}");
        }
        let lawful = ["METODOLOGIA", "../work/x", "homework/x", "/var/home/x", "dXXXz"];
        for text in lawful {
            assert_eq!(violations("planted.md", text), [], "{text}");
        }
    }
}
