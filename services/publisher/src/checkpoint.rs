//! Checkpoints: how far each lane is, the numbers of its units and what they hold, stored together
//! and only from where this publisher left them.
//!
//! Lanes are many and Postgres is one, so one task stores the checkpoints of all lanes that wait,
//! in one transaction, and what comes meanwhile goes with the next.

use std::time::Duration;

use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_store::{Act as _, Advance, HeldRecord, Reading, Step, StoreError, progress};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::error::SessionError;
use crate::failpoints::{Failpoints, Step as Failpoint};

/// The publisher's own schema in Postgres.
pub const SCHEMA: &str = "publisher";
/// Its tables beyond those that every reader has.
pub const STEPS: &[Step] =
    &[Step { version: 1001, name: "claim", sql: include_str!("../migrations/1001_claim.sql") }];
/// Time from one checkpoint to the next. Events are on their topics before, so nobody waits for it
/// but the lane's own next batch; without it a quiet network would commit once for every fact.
const SPACING_MS: u64 = 10;
/// A checkpoint that takes this long hangs on a server that is gone without a word.
const STALLED_AFTER_S: u64 = 300;

/// How far a lane is after a batch.
pub(crate) struct Checkpoint {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
    pub readings: Vec<(UnitId, Reading, Option<Timestamp>)>,
    pub holds: Vec<HeldRecord>,
    pub gone: Vec<(UnitId, UnitSeq)>,
    /// Told once it is stored.
    pub stored: oneshot::Sender<()>,
}

/// Takes the work over from whoever had it, or makes sure that nobody took it from us.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    holder: Uuid,
    is_first: bool,
) -> Result<(), SessionError> {
    if is_first {
        sqlx::query(
            "insert into claim (holder) values ($1)
             on conflict (only_one) do update set holder = excluded.holder",
        )
        .bind(holder)
        .execute(connection)
        .await
        .writing("claim")?;
        return Ok(());
    }
    still_ours(connection, holder).await
}

/// Locks the claim against a newcomer until the transaction ends.
async fn still_ours(connection: &mut PgConnection, holder: Uuid) -> Result<(), SessionError> {
    let found: Option<i32> = sqlx::query_scalar("select 1 from claim where holder = $1 for share")
        .bind(holder)
        .fetch_optional(connection)
        .await
        .reading("claim")?;
    found.map(|_| ()).ok_or(SessionError::TakenOver)
}

/// Stores what lanes send until all of them are gone.
pub(crate) struct Store {
    pub connection: PgConnection,
    pub topic: String,
    pub holder: Uuid,
    pub failpoints: Failpoints,
}

impl Store {
    pub async fn run(
        mut self,
        mut incoming: mpsc::Receiver<Checkpoint>,
    ) -> Result<(), SessionError> {
        let mut waiting = Vec::new();
        while incoming.recv_many(&mut waiting, usize::MAX).await > 0 {
            let within = Duration::from_secs(STALLED_AFTER_S);
            if let Ok(stored) = tokio::time::timeout(within, self.store(&waiting)).await {
                stored?;
            } else {
                let act = "storing checkpoints";
                return Err(SessionError::Stalled { act, within_s: STALLED_AFTER_S });
            }
            self.failpoints.pass(Failpoint::AfterCommit);
            for checkpoint in waiting.drain(..) {
                // A lane that is gone does not mind.
                let _ = checkpoint.stored.send(());
            }
            tokio::time::sleep(Duration::from_millis(SPACING_MS)).await;
        }
        Ok(())
    }

    async fn store(&mut self, waiting: &[Checkpoint]) -> Result<(), SessionError> {
        let mut transaction = self.connection.begin().await.writing("transaction")?;
        let connection: &mut PgConnection = &mut transaction;
        still_ours(connection, self.holder).await?;
        let advance = |one: &Checkpoint| Advance {
            topic: self.topic.clone(),
            partition: one.partition,
            from: one.from,
            to: one.to,
        };
        let advances: Vec<_> = waiting.iter().map(advance).collect();
        progress::advance_offsets(connection, &advances).await?;
        let gone: Vec<_> = waiting.iter().flat_map(|one| one.gone.iter().cloned()).collect();
        if !gone.is_empty() {
            progress::drop_held(connection, &gone).await?;
        }
        let holds: Vec<_> = waiting.iter().flat_map(|one| one.holds.iter().cloned()).collect();
        if !holds.is_empty() {
            progress::keep_held(connection, &holds).await?;
        }
        let readings = waiting.iter().flat_map(|one| &one.readings);
        let readings: Vec<_> =
            readings.map(|(unit, reading, time)| (unit, reading, *time)).collect();
        if !readings.is_empty() {
            progress::save_readings(connection, &readings).await?;
        }
        self.failpoints.pass(Failpoint::BeforeCommit);
        transaction.commit().await.writing("transaction")?;
        Ok(())
    }
}

/// Reads one held record that is due.
pub(crate) async fn held(
    connection: &mut PgConnection,
    unit: &UnitId,
    seq: UnitSeq,
) -> Result<HeldRecord, SessionError> {
    let found = progress::read_held(connection, unit, seq, seq).await?;
    let missing = StoreError::Unreadable { what: "held record" };
    found.into_iter().next().ok_or(SessionError::Store(missing))
}
