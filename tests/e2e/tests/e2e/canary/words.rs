//! The canary's words: none is a word of any language, a part of an id, or a number that occurs.

use serde_json::{Value, json};

/// What must be found nowhere.
pub const WORDS: [&str; 12] = [
    "zyxwvcanary",
    "qorvexa",
    "9988776655",
    "zyxwv.example",
    "kanarienweg",
    "kanarienhausen",
    "kanarienstadt",
    "98765-43",
    "canary-mrn-88",
    "1913-02-27",
    "whisperquinoa",
    "canref-55120",
];

/// The first word of the canary that stands in `bytes`, in any case, percent-encoded or not.
pub fn found_in(bytes: &[u8]) -> Option<&'static str> {
    let plain = bytes.to_ascii_lowercase();
    WORDS.into_iter().find(|word| plain.windows(word.len()).any(|window| window == word.as_bytes()))
}

/// A patient whose every word is unmistakable.
pub struct Canary {
    pub family_name: &'static str,
    pub birth_date: &'static str,
    pub phone: &'static str,
    pub email: &'static str,
    pub moved_to: &'static str,
    pub reason: &'static str,
    pub reference: &'static str,
}

impl Default for Canary {
    fn default() -> Self {
        Self {
            family_name: "Zyxwvcanary",
            birth_date: "1913-02-27",
            phone: "+49 170 9988776655",
            email: "qorvexa@zyxwv.example",
            moved_to: "Kanarienstadt",
            reason: "whisperquinoa since Tuesday",
            reference: "CANREF-55120",
        }
    }
}

impl Canary {
    /// The body of its registration.
    pub fn registration(&self, mrn: &str) -> Value {
        json!({
            "mrn": mrn, "family_name": self.family_name, "given_name": "Qorvexa",
            "birth_date": self.birth_date, "sex": "female", "phone": self.phone,
            "email": self.email, "address_line": "Kanarienweg 4711", "city": "Kanarienhausen",
            "postal_code": "98765-43", "country": "DE",
        })
    }

    /// Values that must be refused, each holding a word that the rejection must not repeat.
    pub fn nonsense(&self) -> Vec<(&'static str, Value)> {
        let word = self.family_name;
        vec![
            ("birth_date", json!(format!("1913-02-27 {word}"))),
            ("birth_date", json!({ "of": word })),
            ("sex", json!(word)),
            ("active", json!(word)),
            ("family_name", json!([word])),
            ("deceased_on", json!(word)),
            ("patient_id", json!(word)),
            ("given_name", json!(word.repeat(4_000))),
            ("email", json!(word)),
        ]
    }
}
