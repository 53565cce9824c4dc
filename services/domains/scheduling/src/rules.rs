//! Rules that a field obeys by itself, whatever the diary says. The gateway checks them before a
//! request is sent (422), the unit once more as the last word.

use kit_event::{FieldProblem, Timestamp};

use crate::commands::{
    BookAppointment, CancelAppointment, Command, FreeSlots, RescheduleAppointment,
};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The longest appointment that may be asked for. A day holds every visit; a longer one is a
/// mistyped date.
pub const APPOINTMENT_MS_MAX: i64 = DAY_MS;
/// The longest stretch that one query for slots may span: a month of any length.
pub const SLOTS_RANGE_MS_MAX: i64 = 31 * DAY_MS;
/// A reason is a sentence or two, not a record.
pub const REASON_CHARS_MAX: usize = 500;
/// A modality is a short code.
pub const MODALITY_CHARS_MAX: usize = 32;

/// The modalities that the network itself knows. A unit may have others (a home visit, a group), so
/// any short code is let through.
pub const MODALITIES: &[&str] = &["in-person", "video", "phone"];

impl Command {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        match self {
            Self::Book(command) => command.validate(),
            Self::Reschedule(command) => command.validate(),
            Self::Cancel(command) => command.validate(),
            Self::Arrive(_) | Self::Fulfil(_) | Self::Noshow(_) => Ok(()),
        }
    }
}

impl BookAppointment {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        let length = length(self.starts_at, self.ends_at);
        let modality = self.modality.as_deref().and_then(code);
        let reason = self.reason.as_deref().and_then(prose);
        FieldProblem::check([("ends_at", length), ("modality", modality), ("reason", reason)])
    }
}

impl RescheduleAppointment {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        FieldProblem::check([("ends_at", length(self.starts_at, self.ends_at))])
    }
}

impl CancelAppointment {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        FieldProblem::check([("reason", self.reason.as_deref().and_then(prose))])
    }
}

impl FreeSlots {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        let range_ms = self.to.unix_ms() - self.from.unix_ms();
        let days_max = SLOTS_RANGE_MS_MAX / DAY_MS;
        let broken = if range_ms <= 0 {
            Some("must be after from".to_owned())
        } else {
            (range_ms > SLOTS_RANGE_MS_MAX)
                .then(|| format!("must be within {days_max} days of from"))
        };
        FieldProblem::check([("to", broken)])
    }
}

fn length(starts: Timestamp, ends: Timestamp) -> Option<String> {
    let length_ms = ends.unix_ms() - starts.unix_ms();
    let hours_max = APPOINTMENT_MS_MAX / HOUR_MS;
    if length_ms <= 0 {
        Some("must be after starts_at".to_owned())
    } else {
        (length_ms > APPOINTMENT_MS_MAX)
            .then(|| format!("must be within {hours_max} hours of starts_at"))
    }
}

fn code(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let fits = (1..=MODALITY_CHARS_MAX).contains(&text.len()) && text.bytes().all(plain);
    (!fits).then(|| format!("is a short lower-case code, as {}", MODALITIES.join(", ")))
}

fn prose(text: &str) -> Option<String> {
    let odd = |c: char| c.is_control() && c != '\n' && c != '\r' && c != '\t';
    if text.trim().is_empty() {
        Some("must not be blank".to_owned())
    } else if text.chars().count() > REASON_CHARS_MAX {
        Some(format!("has at most {REASON_CHARS_MAX} characters"))
    } else if text.chars().any(odd) {
        Some("must not hold control characters".to_owned())
    } else {
        None
    }
}
