//! What is counted of streams; calls and requests are counted where they are served.

use kit_metric::{Counter, Gauge};
use kit_rest::guard::TOKENS_REFUSED;

use crate::sse::Over;

/// Open streams.
pub const STREAMS: Gauge =
    Gauge::new("arteria_sse_streams", "Live streams that are open at this gateway.", []);
/// Ended streams.
pub const CLOSED: Counter<1> =
    Counter::new("arteria_sse_closed_total", "Live streams that ended, by reason.", ["reason"]);

/// Says what is counted, so that it is there before the first stream is.
pub fn describe() {
    TOKENS_REFUSED.describe();
    STREAMS.describe();
    STREAMS.get().set(0.0);
    CLOSED.describe();
    for over in Over::ALL {
        CLOSED.of([over.as_str()]).absolute(0);
    }
}
