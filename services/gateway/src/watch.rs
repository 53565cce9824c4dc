//! The one watcher of a gateway: it asks how far the timeline has come with all units that have
//! streams, in one query, and wakes those streams for which there may be news.
//!
//! It decides nothing: a stream that is woken for nothing reads an empty page, and one that is not
//! woken looks by itself at each heartbeat. So it may be as coarse as it likes, and knows no fact.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_clock::Clock;
use kit_event::{RequestId, Timestamp, UnitId};
use kit_request::ports::RequestBook;
use kit_store::{StoreError, positions};
use kit_telemetry::chain;
use kit_timeline::Concerned;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::streams::Streams;

/// Between two looks: half of it is what a stream adds to the way of a fact on average.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// The watcher sleeps so many times as long as its look took, so that it never takes more than a
/// fifth of what Postgres gives, however many units it watches.
const SLEEP_FOR_EACH_LOOK: u32 = 4;
/// Between two looks at deadlines, which must be told within a second.
const DEADLINES_EVERY: Duration = Duration::from_millis(250);
/// A request may come to the read model after its deadline; for so long it is still looked for.
const DEADLINES_LOOK_BACK_MS: i64 = 60_000;
/// Deadlines of one unit that one look takes: as many as it may have open by default.
const DEADLINES_MAX: u32 = 10_000;
/// Postgres is away: not asked again before.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Watches while there is somebody to wake.
pub struct Watcher {
    streams: Streams,
    pool: PgPool,
    book: Arc<dyn RequestBook>,
    clock: Clock,
    /// Deadlines that were told within the time in which they are looked for.
    told: HashMap<RequestId, Timestamp>,
    deadlines_at: Instant,
}

impl Watcher {
    /// A watcher for `streams`.
    #[must_use]
    pub fn new(streams: Streams, pool: PgPool, book: Arc<dyn RequestBook>, clock: Clock) -> Self {
        Self { streams, pool, book, clock, told: HashMap::new(), deadlines_at: Instant::now() }
    }

    /// Watches until `stop`.
    ///
    /// # Errors
    /// Never; a Postgres that is away is asked again.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut was_away = false;
        while stop.run_until_cancelled(self.streams.somebody()).await.is_some() {
            let begun = Instant::now();
            let looked = self.look().await;
            let sleep = match &looked {
                Ok(()) => LOOK_EVERY.max(begun.elapsed() * SLEEP_FOR_EACH_LOOK),
                Err(_) => AGAIN_AFTER,
            };
            if let (Err(error), false) = (&looked, was_away) {
                tracing::warn!(error = %chain(error), "streams wait for Postgres");
            }
            was_away = looked.is_err();
            if stop.run_until_cancelled(tokio::time::sleep(sleep)).await.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let (whole, of_patients) = self.streams.units();
        if !whole.is_empty() {
            for (unit, seq) in positions(&self.pool, &whole, &["timeline"]).await? {
                self.streams.unit_is_at(&unit, seq);
            }
        }
        if of_patients.is_empty() {
            return Ok(());
        }
        // What tells a patient something joins two read models, so it goes with the slower.
        for (unit, seq) in positions(&self.pool, &of_patients, &["timeline", "requests"]).await? {
            let seen = self.streams.patients_woken_to(&unit);
            if seen != seq {
                let concerned = if seen < seq {
                    kit_timeline::concerned(&self.pool, &unit, seen, seq).await?
                } else {
                    Concerned::Anybody
                };
                self.streams.patients_are_at(&unit, seq, &concerned);
            }
        }
        if self.deadlines_at <= Instant::now() {
            self.deadlines(&of_patients).await?;
            self.deadlines_at = Instant::now() + DEADLINES_EVERY;
        }
        Ok(())
    }

    /// Wakes the streams of patients whose requests ran out of time since the last look.
    async fn deadlines(&mut self, units: &[UnitId]) -> Result<(), StoreError> {
        // Strictly past: at the very instant a request does not show as overdue yet.
        let upto = self.clock.now().plus_ms(-1);
        let from = upto.plus_ms(-DEADLINES_LOOK_BACK_MS);
        self.told.retain(|_, expires_at| *expires_at > from);
        for one in self.book.overdue_between(units, (from, upto), DEADLINES_MAX).await? {
            let unit = one.request_id.unit();
            if self.told.insert(one.request_id, one.expires_at).is_none() {
                self.streams.ran_out(&unit, one.patient);
            }
        }
        Ok(())
    }
}
