//! Why a link ends: a close code, what exactly was wrong, and how long to stay away.

use kit_link::{CloseCode, ErrorFrame};
use serde::Serialize;

use crate::limits::DETAIL_CHARS_MAX;

/// A close reason's largest size: a close frame holds 125 bytes, two of them the code.
pub const CLOSE_REASON_BYTES_MAX: usize = 123;

/// The end of a link, as the agent is told it. The detail names positions, numbers and types; it
/// never holds a body or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.slug())]
pub struct Fault {
    /// What the agent obeys.
    pub code: CloseCode,
    /// What exactly, and what was expected.
    pub detail: String,
    /// A pause that the edge asks for.
    pub retry_after_ms: Option<u64>,
}

#[derive(Serialize)]
struct Reason<'a> {
    problem: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Fault {
    /// An end for `code`, with what exactly was wrong.
    pub fn new(code: CloseCode, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if let Some((at, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(at);
        }
        Self { code, detail, retry_after_ms: None }
    }

    /// A frame that breaks the protocol.
    pub fn protocol(detail: impl Into<String>) -> Self {
        Self::new(CloseCode::ProtocolError, detail)
    }

    /// The same end with a pause.
    #[must_use]
    pub fn retry_after_ms(mut self, pause_ms: u64) -> Self {
        self.retry_after_ms = Some(pause_ms);
        self
    }

    /// The error frame that goes ahead of the close, where a detail is not cut.
    #[must_use]
    pub fn frame(&self) -> ErrorFrame {
        ErrorFrame { problem: self.code.slug().to_owned(), detail: self.detail.clone() }
    }

    /// The close reason: JSON within [`CLOSE_REASON_BYTES_MAX`], its detail cut where it must be.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut detail = self.detail.as_str();
        loop {
            let reason =
                Reason { problem: self.code.slug(), detail, retry_after_ms: self.retry_after_ms };
            let text = serde_json::to_string(&reason).unwrap_or_default();
            if text.len() <= CLOSE_REASON_BYTES_MAX || detail.is_empty() {
                return text;
            }
            // Escapes make a character longer than its bytes, so what fits is found by trying.
            let end = detail.len().saturating_sub(text.len() - CLOSE_REASON_BYTES_MAX);
            let shorter = (0..=end.min(detail.len() - 1)).rev();
            detail = shorter.map(|at| detail.get(..at)).find_map(|cut| cut).unwrap_or("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_json_and_fits_a_close_frame() {
        for detail in ["", "expected 1-2, got 1-9", &"ü\"\n".repeat(200), &"x".repeat(5_000)] {
            for &code in CloseCode::ALL {
                let fault = Fault::new(code, detail).retry_after_ms(123_456);
                let reason = fault.reason();
                assert!(reason.len() <= CLOSE_REASON_BYTES_MAX, "{reason}");
                let read: serde_json::Value = serde_json::from_str(&reason).unwrap();
                assert_eq!(read["problem"], code.slug());
                assert_eq!(read["retry_after_ms"], 123_456);
                assert!(detail.starts_with(read["detail"].as_str().unwrap()));
            }
        }
    }

    #[test]
    fn a_short_detail_is_not_cut() {
        let reason = Fault::protocol("expected 1-2, got 1-9").reason();
        assert_eq!(reason, r#"{"problem":"protocol-error","detail":"expected 1-2, got 1-9"}"#);
    }
}
