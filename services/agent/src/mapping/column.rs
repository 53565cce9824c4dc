//! One mapped column: what stands in it, and what the domain calls it.

use chrono_tz::Tz;
use serde_json::Value;

use crate::domains::Promised;
use crate::mapping::format::Format;
use crate::mapping::money::Signs;

/// One mapped column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name in images: its name in the clinic database, where it is one column there.
    pub name: String,
    /// Its name in the domain.
    pub field: String,
    /// What it holds.
    pub kind: Kind,
    /// The thing that an id names.
    pub of: Option<String>,
    /// Where it is looked up, when it is no column of the table itself.
    pub through: Option<Through>,
    /// The columns of the table that make the value; mostly one.
    pub parts: Vec<String>,
    /// The practice's words for the domain's values; none where they are the same.
    pub codes: Vec<Code>,
    /// How dates and times are written; as the domains do, where it is not said.
    pub format: Option<Format>,
    /// The zone of local times.
    pub zone: Option<Tz>,
    /// How amounts are written.
    pub amount: Option<Amount>,
    /// Whether requests may not write it.
    pub read_only: bool,
    /// Whether the table is captured without it where the database lacks it.
    pub optional: bool,
    /// The line of the mapping file at which it stands.
    pub line: usize,
}

/// What a column holds, for the domain; the database may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A day; what does not read goes to `<field>_raw`.
    Date,
    /// A time of day, `HH:MM` to the domain.
    Time,
    /// An instant; what does not read goes to `<field>_raw`.
    Timestamp,
    /// 0 or 1, or the usual words.
    Bool,
    /// A whole number.
    Integer,
    /// A decimal number, as text; what does not read goes to `<field>_raw`.
    Decimal,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; what does not read goes to `<field>_raw`.
    PartialDate,
    /// Decimals of a currency, minor units to the domain; else `<field>_raw`.
    Money,
    /// A UUID, or an id that is made one.
    Uuid,
}

impl Kind {
    /// Every kind by its word in the file.
    pub const WORDS: [(&'static str, Self); 10] = [
        ("text", Self::Text),
        ("date", Self::Date),
        ("time", Self::Time),
        ("timestamp", Self::Timestamp),
        ("bool", Self::Bool),
        ("integer", Self::Integer),
        ("decimal", Self::Decimal),
        ("partial_date", Self::PartialDate),
        ("money", Self::Money),
        ("uuid", Self::Uuid),
    ];

    /// Whether what a column of this kind says is what a domain expects. A text may be made of
    /// anything that is written as one.
    #[must_use]
    pub fn gives(self, promised: Promised) -> bool {
        match promised {
            Promised::Text => !matches!(self, Self::Bool | Self::Integer | Self::Money),
            Promised::Date => self == Self::Date,
            Promised::Instant => self == Self::Timestamp,
            Promised::Bool => self == Self::Bool,
            Promised::Integer => matches!(self, Self::Integer | Self::Money),
            Promised::Id => self == Self::Uuid,
            Promised::Other => true,
        }
    }

    /// The kinds that give what a domain expects, in words.
    #[must_use]
    pub fn words_for(promised: Promised) -> String {
        let fitting = Self::WORDS.iter().filter(|(_, kind)| kind.gives(promised));
        let words: Vec<&str> = fitting.map(|(word, _)| *word).collect();
        words.join(" or ")
    }

    /// The word in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.into_iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// A value that stands in another table's row, which a column of this table names: the patient of a
/// payment stands in its invoice. It is looked up when the row is read, never in a trigger, because
/// a trigger that reads another table fails the practice's own writes once that table is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Through {
    /// The column of this table that names the other row.
    pub column: String,
    /// The other table.
    pub table: String,
    /// The other table's column that holds what `column` holds.
    pub key: String,
    /// The other table's column that is wanted.
    pub value: String,
}

/// A word of the practice and the domain's value for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Code {
    /// As it stands in the column; empty for an empty column.
    pub word: String,
    /// As the domain has it.
    pub value: Value,
}

/// How amounts of money are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// Of which currency.
    pub currency: Currency,
    /// The signs within them.
    pub signs: Signs,
}

/// Where a currency stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Currency {
    /// It is always this one.
    Always(String),
    /// In a column of the same row.
    Column(String),
}

impl Column {
    /// The columns of its own table that it needs.
    pub fn own(&self) -> impl Iterator<Item = &str> {
        let named = self.through.as_ref().map(|through| through.column.as_str());
        let currency = self.amount.as_ref().and_then(|amount| match &amount.currency {
            Currency::Column(name) => Some(name.as_str()),
            Currency::Always(_) => None,
        });
        self.parts.iter().map(String::as_str).chain(named).chain(currency)
    }

    /// Whether it needs this column of its table.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.own().any(|own| own == name)
    }

    /// The field for text that does not read as its kind.
    #[must_use]
    pub fn raw_field(&self) -> String {
        format!("{}_raw", self.field)
    }

    /// The domain's value for a word of the practice.
    #[must_use]
    pub fn decoded(&self, word: &str) -> Option<&Value> {
        let bare = word.trim();
        let whole = bare.strip_suffix(".0").unwrap_or(bare);
        let same = |code: &&Code| code.word == word;
        let alike = |code: &&Code| {
            code.word.trim().to_lowercase() == bare.to_lowercase() || code.word == whole
        };
        let code = self.codes.iter().find(same).or_else(|| self.codes.iter().find(alike));
        code.map(|code| &code.value)
    }

    /// The practice's words for a value, the one that is written first.
    pub fn words_for(&self, value: &Value) -> impl Iterator<Item = &str> {
        self.codes.iter().filter(move |code| code.value == *value).map(|code| code.word.as_str())
    }
}
