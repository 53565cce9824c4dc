//! A fresh copy of a domain beside the live one, and the way back.
//!
//! The live copy goes on all the while. A second one is filled from the log's beginning, caught up,
//! compared with the live one at the very same positions, and made the live one
//! ([`kit_store::switch`]); the one before is kept, with its own progress, so that going back is
//! the same walk with another candidate: catch up, compare, switch. The running projector notices
//! by itself that its tables are another copy, and goes on with that.
//!
//! Nothing is remembered outside the tables. Until the switch commits, the live copy has not been
//! touched; so whoever kills this at any line may run it again, go on with `--resume`, or drop what
//! is unfinished. Two at a time keep each other out by a lock that ends with their connection.
//!
//! `unit.requests` is kept for eight days only. What it no longer has, the live copy is asked for
//! before anything is read ([`kit_store::Projection::inherit`]): requests that were accepted longer
//! ago and that no fact has ended. Where there is no live copy any more, these are unknown until
//! their unit speaks.

mod builder;
mod told;

use std::time::{Duration, Instant};

use kit_store::compare::Side;
use kit_store::progress::Offsets;
use kit_store::{Place, Projection, StoreError, Switch, copies, switch};
use sqlx::{Connection as _, PgConnection};

use crate::error::SessionError;
use crate::host::Host;
use builder::Builder;

pub use told::{Comparison, Told};

/// How long the comparison waits for a live copy that is behind. A running projector is
/// milliseconds behind; one that stands longer is compared where it stands, and that is said.
const LIVE_WAIT_S: u64 = 20;
/// Between two looks at the live copy.
const LIVE_LOOK_MS: u64 = 100;
/// How often a switch is tried whose locks others hold.
const SWITCHES_MAX: u32 = 10;
/// Between two tries.
const SWITCH_PAUSE_MS: u64 = 1_000;

/// How a rebuild goes about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct How {
    /// Goes on with a copy that was left unfinished, instead of beginning anew.
    pub resume: bool,
    /// Switches although rows differ: the reason for the rebuild may be that they should.
    pub accept_differences: bool,
    /// Keeps no copy to go back to.
    pub drop_previous: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The other copy is live.
    Switched,
    /// Rows differ; the live copy is as it was, and the other waits for a decision.
    Differs,
}

/// Why a copy could not be built or switched to. The live copy is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Somebody else works on the domain's copies.
    #[error("{domain} is being rebuilt or switched by somebody else")]
    Claimed {
        /// Which domain.
        domain: &'static str,
    },
    /// There is no copy at the place.
    #[error("{domain} has no {} copy", place.as_str())]
    NoCopy {
        /// Which domain.
        domain: &'static str,
        /// Where.
        place: Place,
    },
    /// Postgres failed.
    #[error("working on the copies of {domain}")]
    Store {
        /// Which domain.
        domain: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The copy could not be filled.
    #[error("filling the {} copy of {domain}", place.as_str())]
    Fill {
        /// Which domain.
        domain: &'static str,
        /// Which copy.
        place: Place,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tables were never free for the moment that a switch takes.
    #[error("the tables of {domain} were in use all the time; nothing was switched")]
    Busy {
        /// Which domain.
        domain: &'static str,
    },
}

/// Whoever listens to what is going on.
pub type Listener<'a> = &'a (dyn Fn(&Told) + Send + Sync);

/// Work on one domain's copies.
pub struct Rebuild<'h> {
    host: &'h Host,
    projection: &'static dyn Projection,
    /// Holds the claim on the domain for as long as it lives.
    control: PgConnection,
    tell: Listener<'h>,
}

impl<'h> Rebuild<'h> {
    /// Takes the domain's copies for itself.
    ///
    /// # Errors
    /// [`RebuildError::Claimed`]; Postgres does not answer.
    pub async fn claim(
        host: &'h Host,
        projection: &'static dyn Projection,
        tell: Listener<'h>,
    ) -> Result<Self, RebuildError> {
        let domain = projection.schema();
        let store = |source| RebuildError::Store { domain, source };
        let name = format!("arteria-rebuild-{domain}");
        let mut control = kit_store::operator(&host.postgres_url, &name).await.map_err(store)?;
        if !copies::claim(&mut control, domain).await.map_err(store)? {
            return Err(RebuildError::Claimed { domain });
        }
        Ok(Self { host, projection, control, tell })
    }

    /// Builds a copy from the log's beginning and makes it the live one.
    ///
    /// # Errors
    /// As [`RebuildError`] says; the live copy is as it was.
    pub async fn run(mut self, how: How) -> Result<Outcome, RebuildError> {
        self.must_stand(Place::Live).await?;
        if how.resume {
            self.must_stand(Place::Next).await?;
        } else {
            self.discard(Place::Next).await?;
        }
        let outcome = self.bring_forward(Place::Next, how.accept_differences).await?;
        if outcome == Outcome::Switched && how.drop_previous {
            self.discard(Place::Previous).await?;
        }
        Ok(outcome)
    }

    /// Makes the previous copy the live one again, caught up with the log; the live one becomes the
    /// previous.
    ///
    /// # Errors
    /// As [`Rebuild::run`].
    pub async fn go_back(mut self) -> Result<Outcome, RebuildError> {
        self.must_stand(Place::Live).await?;
        self.must_stand(Place::Previous).await?;
        // That they differ is the reason for going back.
        self.bring_forward(Place::Previous, true).await
    }

    /// Drops the previous copy, an unfinished one, and what a switch left; which there were.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn drop_others(mut self) -> Result<Vec<Place>, RebuildError> {
        let mut dropped = Vec::new();
        for place in [Place::Next, Place::Previous] {
            if self.discard(place).await? {
                dropped.push(place);
            }
        }
        Ok(dropped)
    }

    /// The copies that stand.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn standing(
        host: &Host,
        projection: &'static dyn Projection,
    ) -> Result<Vec<copies::Copy>, RebuildError> {
        let domain = projection.schema();
        let store = |source| RebuildError::Store { domain, source };
        let name = format!("arteria-copies-{domain}");
        let mut control = kit_store::operator(&host.postgres_url, &name).await.map_err(store)?;
        copies::standing(&mut control, domain).await.map_err(store)
    }

    async fn bring_forward(
        &mut self,
        place: Place,
        accepts: bool,
    ) -> Result<Outcome, RebuildError> {
        let (schema, steps) = (place.schema(self.domain()), self.projection.steps());
        kit_store::migrate(&self.host.postgres_url, &schema, steps).await.map_err(self.store())?;
        let builder = Builder::begin(self.host, self.projection, place).await;
        let mut builder = builder.map_err(|source| self.fill(place, source))?;
        let ends = builder.log_ends().await.map_err(|source| self.fill(place, source))?;
        self.reach(&mut builder, &ends).await?;
        let store = self.store();
        copies::analyze(&mut self.control, &schema).await.map_err(store)?;
        let comparison = self.compare(&mut builder).await?;
        let is_equal = comparison.is_equal();
        (self.tell)(&Told::Compared { domain: self.domain(), comparison });
        if !is_equal && !accepts {
            return Ok(Outcome::Differs);
        }
        self.switch(&mut builder).await?;
        Ok(Outcome::Switched)
    }

    /// Both copies at one place of the log: the live one in a snapshot, while its projector goes
    /// on; the other led up to exactly there.
    async fn compare(&mut self, builder: &mut Builder<'_>) -> Result<Comparison, RebuildError> {
        let (domain, store) = (self.domain(), self.store());
        let name = format!("arteria-compare-{domain}");
        let url = &self.host.postgres_url;
        let mut observer = kit_store::operator(url, &name).await.map_err(&store)?;
        let since = Instant::now();
        let offsets = loop {
            let offsets = snapshot(&mut observer, domain).await.map_err(&store)?;
            let has_waited = since.elapsed() > Duration::from_secs(LIVE_WAIT_S);
            if has_waited || builder.is_behind(&offsets) {
                break offsets;
            }
            end_snapshot(&mut observer).await.map_err(&store)?;
            tokio::time::sleep(Duration::from_millis(LIVE_LOOK_MS)).await;
        };
        self.reach(builder, &offsets).await?;
        let partitions_apart = builder.partitions_apart(&offsets);
        let schema = builder.place().schema(domain);
        let tables = kit_store::compare(
            Side { connection: &mut observer, schema: domain },
            Side { connection: &mut self.control, schema: &schema },
            self.projection.own_deeds(),
        );
        let tables = tables.await.map_err(&store)?;
        end_snapshot(&mut observer).await.map_err(&store)?;
        drop(observer.close().await);
        Ok(Comparison { tables, partitions_apart })
    }

    async fn switch(&mut self, builder: &mut Builder<'_>) -> Result<(), RebuildError> {
        let (domain, place, store) = (self.domain(), builder.place(), self.store());
        copies::drop_leaving(&mut self.control, domain).await.map_err(&store)?;
        for _ in 0..SWITCHES_MAX {
            let ends = builder.log_ends().await.map_err(|source| self.fill(place, source))?;
            self.reach(builder, &ends).await?;
            if let Some(waited) = self.try_switch(builder).await? {
                (self.tell)(&Told::Switched { domain, waited });
                return copies::drop_leaving(&mut self.control, domain).await.map_err(&store);
            }
            (self.tell)(&Told::Waits { domain });
            tokio::time::sleep(Duration::from_millis(SWITCH_PAUSE_MS)).await;
        }
        Err(RebuildError::Busy { domain })
    }

    async fn try_switch(
        &mut self,
        builder: &mut Builder<'_>,
    ) -> Result<Option<Duration>, RebuildError> {
        let (domain, place, store) = (self.domain(), builder.place(), self.store());
        let held = Switch::hold(&mut self.control, domain, place).await.map_err(&store)?;
        let Some(mut held) = held else { return Ok(None) };
        // The live copy stands still now, so this is the last of it, and a little.
        let offsets = held.live_offsets().await.map_err(&store)?;
        let reached = builder.reach(&offsets, &|_, _| {}).await;
        reached.map_err(|source| fill(domain, place, source))?;
        held.complete(self.projection.own_deeds()).await.map_err(&store)
    }

    async fn reach(
        &self,
        builder: &mut Builder<'_>,
        offsets: &Offsets,
    ) -> Result<(), RebuildError> {
        let (domain, place) = (self.domain(), builder.place());
        let tell = |done, of| (self.tell)(&Told::Read { domain, done, of });
        builder.reach(offsets, &tell).await.map_err(|source| self.fill(place, source))
    }

    async fn must_stand(&mut self, place: Place) -> Result<(), RebuildError> {
        let (domain, store) = (self.domain(), self.store());
        let schema = place.schema(domain);
        if copies::exists(&mut self.control, &schema).await.map_err(store)? {
            return Ok(());
        }
        Err(RebuildError::NoCopy { domain, place })
    }

    async fn discard(&mut self, place: Place) -> Result<bool, RebuildError> {
        let (domain, store) = (self.domain(), self.store());
        copies::drop_copy(&mut self.control, domain, place).await.map_err(store)
    }

    fn domain(&self) -> &'static str {
        self.projection.schema()
    }

    fn store(&self) -> impl Fn(StoreError) -> RebuildError + use<> {
        let domain = self.domain();
        move |source| RebuildError::Store { domain, source }
    }

    fn fill(&self, place: Place, source: SessionError) -> RebuildError {
        fill(self.domain(), place, source)
    }
}

fn fill(domain: &'static str, place: Place, source: SessionError) -> RebuildError {
    RebuildError::Fill { domain, place, source: Box::new(source) }
}

/// Begins a snapshot of everything, and reads from it where the live copy stands.
async fn snapshot(observer: &mut PgConnection, domain: &str) -> Result<Offsets, StoreError> {
    run(observer, "begin isolation level repeatable read, read only").await?;
    switch::read_offsets(observer, domain).await
}

async fn end_snapshot(observer: &mut PgConnection) -> Result<(), StoreError> {
    run(observer, "rollback").await
}

async fn run(observer: &mut PgConnection, sql: &'static str) -> Result<(), StoreError> {
    let done = sqlx::raw_sql(sql).execute(observer).await;
    done.map(|_| ()).map_err(|source| StoreError::Read { what: "a snapshot", source })
}
