//! What the coordinator asks of units: missing facts again, and a new epoch after a fork.
//!
//! Both are controls on `unit.requests`, so a unit that is away gets them when it comes back. Both
//! bear ids that follow from what they ask for: asked twice, they are one.

use std::collections::HashMap;
use std::time::Duration;

use kit_bus::{Bus, PublishError};
use kit_clock::Clock;
use kit_event::{Delivery, Request, RequestId, UnitId, UnitSeq, command_hash};
use kit_store::{Hole, Reading, StoreError};
use kit_timeline::repair::{self, Fork};
use requests::control::{NewEpoch, Resend};
use serde_json::Value;
use sqlx::PgConnection;
use tokio::time::Instant;

use crate::alarm;
use crate::plan::Readings;

/// How often the same missing fact is asked for before people must look.
pub(crate) const RESENDS_MAX: u32 = 3;
/// A control waits for its unit as long as any request may.
const CONTROL_LIVES_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// After a control could not be published, none is tried for this long: broker or registry is away.
const PUBLISH_PAUSE_MS: u64 = 2_000;
/// Who asks, in the control's id and as its actor.
const ACTOR: &str = "service:timeline";

/// When units are asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often holes are looked at.
    pub tick_ms: u64,
    /// A hole at the log's end must be this old: an agent that lost its link sends again by itself.
    pub grace_ms: u64,
    /// After each resend asked for, how long its facts may take once the unit is heard again.
    pub patience_ms: [u64; RESENDS_MAX as usize],
}

impl Default for Pace {
    fn default() -> Self {
        Self { tick_ms: 250, grace_ms: 500, patience_ms: [2_000, 10_000, 30_000] }
    }
}

/// A hole that is open, of which a unit has two at most: in the present epoch, and before a higher
/// one that did not open.
struct OpenHole {
    hole: Hole,
    asked: u32,
    since: Instant,
    /// Whether anything of the unit came since it was last asked. A unit that is silent is away,
    /// and finds the control when it is back.
    is_heard: bool,
    is_given_up: bool,
}

/// The coordinator's view of units whose numbering is broken.
pub(crate) struct Repairs {
    domain: &'static str,
    pace: Pace,
    holes: HashMap<UnitId, Vec<OpenHole>>,
    /// Ends of holes asked for before this session.
    asked_before: HashMap<UnitId, (UnitSeq, u32)>,
    has_forks: bool,
    not_before: Instant,
}

impl Repairs {
    /// What is broken as this session begins.
    pub async fn load(
        connection: &mut PgConnection,
        domain: &'static str,
        pace: Pace,
        readings: &Readings,
    ) -> Result<Self, StoreError> {
        let asked = repair::resends(connection).await?;
        let asked_before =
            asked.into_iter().map(|(unit, end, times)| (unit, (end, times))).collect();
        let mut repairs = Self {
            domain,
            pace,
            holes: HashMap::new(),
            asked_before,
            has_forks: true,
            not_before: Instant::now(),
        };
        for (unit, reading) in readings {
            repairs.notice(unit, reading);
        }
        Ok(repairs)
    }

    /// The same units are as broken on another copy of the tables, and were asked the same.
    pub fn on_another_copy(mut self, readings: &Readings) -> Self {
        for (unit, reading) in readings {
            self.notice(unit, reading);
        }
        self.has_forks = true;
        self
    }

    /// How often holes are looked at.
    pub fn tick(&self) -> Duration {
        Duration::from_millis(self.pace.tick_ms)
    }

    /// A batch with records of these units was committed; their readings may have moved.
    pub fn committed(&mut self, touched: &[UnitId], readings: &Readings, has_forks: bool) {
        for unit in touched {
            for open in self.holes.get_mut(unit).into_iter().flatten() {
                open.is_heard = true;
            }
            if let Some(reading) = readings.get(unit) {
                self.notice(unit, reading);
            }
        }
        self.has_forks |= has_forks;
    }

    fn notice(&mut self, unit: &UnitId, reading: &Reading) {
        let holes = reading.holes();
        if holes.is_empty() {
            self.holes.remove(unit);
            return;
        }
        let mut before = self.holes.remove(unit).unwrap_or_default();
        let asked_before = self.asked_before.get(unit);
        let open = holes.into_iter().map(|hole| {
            if let Some(at) = before.iter().position(|open| open.hole.end == hole.end) {
                return OpenHole { hole, ..before.swap_remove(at) };
            }
            let same = asked_before.filter(|(end, _)| *end == hole.end);
            let asked = same.map_or(0, |(_, times)| *times);
            let (since, is_heard, is_given_up) = (Instant::now(), true, false);
            OpenHole { hole, asked, since, is_heard, is_given_up }
        });
        let open = open.collect();
        self.holes.insert(unit.clone(), open);
    }

    /// Holes that are to be asked for now, of units whose partition was read to its end.
    fn due(&mut self, is_at_end: impl Fn(&UnitId) -> bool) -> Vec<(UnitId, Hole)> {
        let pace = self.pace;
        let mut due = Vec::new();
        for (unit, holes) in &mut self.holes {
            for open in holes {
                let wait_ms = match open.asked.checked_sub(1) {
                    None => pace.grace_ms,
                    Some(index) => {
                        pace.patience_ms[(index as usize).min(pace.patience_ms.len() - 1)]
                    }
                };
                let is_ripe = open.since.elapsed() >= Duration::from_millis(wait_ms);
                if open.is_given_up || !open.is_heard || !is_ripe || !is_at_end(unit) {
                    continue;
                }
                if open.asked >= RESENDS_MAX {
                    open.is_given_up = true;
                    alarm::stays_on_hold(self.domain, unit, open.hole.from, open.asked);
                    continue;
                }
                due.push((unit.clone(), open.hole));
            }
        }
        due
    }

    /// Asks for what is missing, and tells of forks. What cannot be published is tried again later;
    /// only Postgres ends the session.
    pub async fn ask(
        &mut self,
        bus: &Bus,
        clock: &Clock,
        connection: &mut PgConnection,
        is_at_end: impl Fn(i32) -> bool,
    ) -> Result<(), StoreError> {
        if Instant::now() < self.not_before {
            return Ok(());
        }
        let due = self.due(|unit| is_at_end(bus.partition_of(unit.as_str())));
        for (unit, hole) in due {
            let open = self.holes.get_mut(&unit).into_iter().flatten();
            let Some(open) = open.into_iter().find(|open| open.hole == hole) else { continue };
            let asked = open.asked + 1;
            let (from, to) = (hole.from, hole.to);
            if let Err(error) = bus.publish_request(&resend(clock, &unit, from, to, asked)).await {
                self.pause(&error);
                return Ok(());
            }
            (open.asked, open.since, open.is_heard) = (asked, Instant::now(), false);
            repair::note_resend(connection, &unit, hole.end, asked).await?;
            self.asked_before.insert(unit.clone(), (hole.end, asked));
            tracing::warn!(unit.id = %unit, %from, %to, asked, "asked to resend");
        }
        self.tell_forks(bus, clock, connection).await
    }

    async fn tell_forks(
        &mut self,
        bus: &Bus,
        clock: &Clock,
        connection: &mut PgConnection,
    ) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.has_forks) {
            return Ok(());
        }
        for fork in repair::untold_forks(connection).await? {
            if let Err(error) = bus.publish_request(&new_epoch(clock, &fork)).await {
                self.has_forks = true;
                self.pause(&error);
                return Ok(());
            }
            repair::told(connection, &fork).await?;
        }
        Ok(())
    }

    fn pause(&mut self, error: &PublishError) {
        self.not_before = Instant::now() + Duration::from_millis(PUBLISH_PAUSE_MS);
        let error: &dyn std::error::Error = error;
        tracing::warn!(error, "a control could not be published; it is tried again");
    }
}

fn resend(clock: &Clock, unit: &UnitId, from: UnitSeq, to: UnitSeq, asked: u32) -> Request {
    let body = serde_json::to_value(Resend { from, to }).unwrap_or_default();
    control(clock, unit, Resend::TYPE, &format!("resend/{from}/{asked}"), body)
}

fn new_epoch(clock: &Clock, fork: &Fork) -> Request {
    let (above, reason) = (fork.seq.epoch, "fork".to_owned());
    let body = serde_json::to_value(NewEpoch { above, reason }).unwrap_or_default();
    control(clock, &fork.unit, NewEpoch::TYPE, &format!("new-epoch/{above}"), body)
}

fn control(clock: &Clock, unit: &UnitId, type_name: &str, what: &str, body: Value) -> Request {
    let now = clock.now();
    Request {
        unit: unit.clone(),
        id: RequestId::derive(unit, "arteria", ACTOR, what),
        type_name: type_name.to_owned(),
        version: 1,
        accepted_at: now,
        expires_at: now.plus_ms(CONTROL_LIVES_MS),
        delivery: Delivery::Queue,
        command_hash: command_hash(type_name, &body),
        actor: ACTOR.to_owned(),
        reply_partition: None,
        traceparent: None,
        body,
    }
}
