//! What a process says about itself: structured logs on standard error, and traces.
//!
//! `ARTERIA_LOG` is a filter as `info,edge=debug`; `ARTERIA_LOG_FORMAT` is `json` or `text`. A
//! line never holds a body, a token or the name of a person: fields are ids, numbers and words that
//! the code chose, and this crate must never grow a field that takes a record. The same holds for
//! the steps of a trace ([`Step`]), which go to a collector where one is named.

mod context;
mod traces;

pub use context::Traceparent;
pub use traces::{Field, Side, Step, StepName, TraceSettings, Traces, are_exported};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged where nothing else is asked for. The client library repeats each broken
/// connection many times; our own code reports it once.
const DEFAULT_FILTER: &str = "info,librdkafka=error,rdkafka=error,sqlx=warn,tower_http=warn";

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `ARTERIA_LOG` does not read as a filter.
    #[error("ARTERIA_LOG must be a filter, as info,edge=debug")]
    Filter,
    /// `ARTERIA_LOG_FORMAT` is another word.
    #[error("ARTERIA_LOG_FORMAT must be json or text")]
    Format,
    /// Something in the process already logs, or exports traces.
    #[error("logging or tracing was already started")]
    AlreadyStarted,
    /// `OTEL_TRACES_EXPORTER` is another word.
    #[error("OTEL_TRACES_EXPORTER must be otlp or none")]
    Exporter,
    /// `OTEL_TRACES_SAMPLER` is another word, or its argument no part.
    #[error("OTEL_TRACES_SAMPLER must be a sampler of the standard, its _ARG a part of 0 to 1")]
    Sampler,
    /// The collector's address is none.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT must be the address of a collector, as http://host:4318")]
    Endpoint,
}

/// Starts logging to standard error. `filter` and `format` are the two variables' values.
///
/// # Errors
/// A value that does not read, or a second start.
pub fn init(filter: Option<&str>, format: Option<&str>) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER)).map_err(|_| TelemetryError::Filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let started = match format {
        None | Some("text") => lines.with_ansi(false).try_init(),
        Some("json") => lines.json().flatten_event(true).try_init(),
        Some(_) => return Err(TelemetryError::Format),
    };
    started.map_err(|_| TelemetryError::AlreadyStarted)
}

/// An error and its causes in one line, for the one place that logs it. Errors of the house name
/// places and types, never values; one that might (as serde's of a body) is not logged at all.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_filter_or_format_is_named() {
        assert!(matches!(init(Some("a=b=c"), None), Err(TelemetryError::Filter)));
        assert!(matches!(init(None, Some("xml")), Err(TelemetryError::Format)));
    }
}
