//! What is fetched or written for a unit beside its loop, and what comes of it.

use std::sync::Arc;

use futures_util::FutureExt;
use kit_bus::{BusError, Outgoing as Record, Placed, PublishError, RawRecord, Topic};
use kit_event::RequestId;
use kit_link::{Answer, CloseCode, FromEdge, Reply};
use kit_telemetry::{Step, chain};
use requests::RequestOutcome;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{End, Link};
use crate::backlog::{self, BacklogError};
use crate::delivery_queue::{Outgoing, Want, Window};
use crate::downlink::{self, Opened};
use crate::edge::log_unavailable;
use crate::fault::Fault;
use crate::limits::REPLIES_UNDER_WAY_MAX;
use crate::metrics;
use crate::presence::presence_record;
use crate::tail::Subscription;
use crate::traced;

/// A finished background task.
pub(super) enum BackgroundTask {
    Subscribed(u32, Result<Subscription, BusError>),
    Scanned(u32, Result<Window<Arc<RawRecord>>, BacklogError>),
    Opened(Outgoing<Arc<RawRecord>>, Opened),
    PresenceWritten(anyhow::Result<Placed>),
    ReplyWritten(Option<Result<Placed, PublishError>>),
}

impl Link {
    pub(super) fn fetch(&mut self, round: u32, want: Want) {
        let (edge, partition) = (self.edge.clone(), self.partition);
        let unit = self.session.unit().clone();
        self.background_tasks.push(match want {
            Want::Subscription => async move {
                BackgroundTask::Subscribed(
                    round,
                    edge.tail.subscribe(&edge.bus, &unit, partition).await,
                )
            }
            .boxed(),
            Want::Scan(order) => {
                let budget = self.budget.clone();
                async move {
                    tokio::time::sleep_until(budget.scanned(0, Instant::now())).await;
                    let now = edge.clock.now();
                    let window = backlog::read(&edge.scans, &unit, partition, order, now).await;
                    if let Ok(window) = &window {
                        let passed = u64::try_from(window.seen_to - order.from);
                        budget.scanned(passed.unwrap_or_default(), Instant::now());
                    }
                    BackgroundTask::Scanned(round, window)
                }
                .boxed()
            }
        });
    }

    pub(super) fn open(&mut self, out: Outgoing<Arc<RawRecord>>) {
        let edge = self.edge.clone();
        let task = async move {
            let opened = downlink::open(&edge.bus, &out, edge.clock.now()).await;
            BackgroundTask::Opened(out, opened)
        };
        self.background_tasks.push(task.boxed());
    }

    pub(super) fn write_presence(&mut self) {
        self.book.is_being_written = true;
        self.book.is_stale = false;
        self.book.written_at = Instant::now();
        let presence = self.standing.presence(
            Some(&self.edge.id),
            Some(self.registration.conn_epoch()),
            Some(self.session.applied_next()),
            self.session.durable(),
        );
        let edge = self.edge.clone();
        let task = async move {
            let written =
                async { Ok(edge.bus.publish(presence_record(&presence, &edge.clock)?).await?) };
            BackgroundTask::PresenceWritten(written.await)
        };
        self.background_tasks.push(task.boxed());
    }

    /// Passes an outcome on to whoever waits.
    pub(super) fn write_reply(&mut self, partition: i32, reply: Reply) -> Result<(), Fault> {
        let outcome: RequestOutcome = serde_json::from_value(reply.outcome)
            .map_err(|_| Fault::protocol("reply: the outcome does not read as one"))?;
        if outcome.request_id != reply.request_id {
            return Err(Fault::protocol("reply: the outcome is of another request"));
        }
        let unit = self.session.unit();
        let step = traced::replying(unit, &reply.request_id, reply.traceparent.as_deref());
        let body = requests::Reply {
            request_id: reply.request_id,
            last_seq: reply.last_seq,
            record_seq: reply.record_seq,
            outcome,
        };
        self.write(partition, requests::Reply::TYPE, &body.request_id, &body, step);
        Ok(())
    }

    /// Passes an answer on to whoever asked.
    pub(super) fn write_answer(&mut self, partition: i32, answer: Answer) {
        let unit = self.session.unit();
        let step = traced::replying(unit, &answer.id, answer.traceparent.as_deref());
        let body = requests::Answer {
            query_id: answer.id,
            body_json: answer.body.map(|body| body.to_string()),
            reason: answer.reason,
            detail: answer.detail,
        };
        self.write(partition, requests::Answer::TYPE, &body.query_id, &body, step);
    }

    fn write<T: Serialize>(
        &mut self,
        to: i32,
        type_name: &str,
        id: &RequestId,
        body: &T,
        mut step: Step,
    ) {
        if self.replies_under_way >= REPLIES_UNDER_WAY_MAX {
            metrics::REPLIES_DROPPED.get().increment(1);
            return;
        }
        // Structs of plain members; none of them fails to print.
        let Ok(body) = serde_json::to_value(body) else { return };
        let record = Record {
            topic: Topic::Replies,
            partition: Some(to),
            key: self.session.unit().to_string(),
            ce_id: Uuid::new_v4().to_string(),
            type_name: type_name.to_owned(),
            version: 1,
            time: self.edge.clock.now(),
            headers: traced::reply_headers(id, &step),
            body,
        };
        self.replies_under_way += 1;
        let bus = self.edge.bus.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        // A reply outlives its link: an agent may leave as soon as it has said it.
        self.life.spawn_passing(async move {
            let written = bus.publish(record).await;
            if written.is_err() {
                step.failed("log-unavailable");
            }
            drop(step);
            if let Err(Err(error)) = tell.send(written) {
                tracing::warn!(error = chain(&error), "a reply could not be passed on");
            }
        });
        self.background_tasks
            .push(told.map(|written| BackgroundTask::ReplyWritten(written.ok())).boxed());
    }

    pub(super) fn finish(&mut self, task: BackgroundTask) -> Result<(), End> {
        match task {
            BackgroundTask::Subscribed(round, subscribed) if self.downstream.is_current(round) => {
                self.subscribed(round, subscribed)?;
            }
            BackgroundTask::Scanned(round, scanned) if self.downstream.is_current(round) => {
                self.scanned(round, scanned)?;
            }
            BackgroundTask::Subscribed(..) | BackgroundTask::Scanned(..) => {}
            BackgroundTask::Opened(out, opened) => self.opened(&out, opened),
            BackgroundTask::PresenceWritten(written) => {
                self.book.is_being_written = false;
                if let Err(error) = written {
                    let unit = self.session.unit();
                    let error = format!("{error:#}");
                    tracing::warn!(%unit, error, "a unit's presence could not be written");
                    self.book.is_stale = true;
                }
            }
            BackgroundTask::ReplyWritten(written) => {
                self.replies_under_way -= 1;
                if let Some(Err(error)) = written {
                    let (unit, error) = (self.session.unit(), chain(&error));
                    tracing::warn!(%unit, error, "a reply could not be passed on");
                }
            }
        }
        Ok(())
    }

    fn subscribed(
        &mut self,
        round: u32,
        subscribed: Result<Subscription, BusError>,
    ) -> Result<(), Fault> {
        let subscription = subscribed.map_err(|error| {
            let unit = self.session.unit();
            tracing::warn!(%unit, error = chain(&error), "a unit could not join the tail");
            log_unavailable("the log of requests cannot be read")
        })?;
        self.downstream.subscribed(round, subscription);
        Ok(())
    }

    fn scanned(
        &mut self,
        round: u32,
        scanned: Result<Window<Arc<RawRecord>>, BacklogError>,
    ) -> Result<(), Fault> {
        match scanned {
            Ok(window) => {
                self.downstream.scanned(round, window);
                Ok(())
            }
            Err(error) if error.is_out_of_range() => {
                let detail = "the place asked for is not on the log of requests";
                Err(Fault::new(CloseCode::Resync, detail))
            }
            Err(error) => {
                let unit = self.session.unit();
                tracing::warn!(%unit, error = chain(&error), "a unit's requests could not be read");
                Err(log_unavailable("the log of requests cannot be read"))
            }
        }
    }

    /// What a frame asks of the agent, as far as its answer is judged by it.
    fn remember(&mut self, frame: FromEdge) {
        match frame {
            FromEdge::Resend(resend) => self.session.asks_again(&resend),
            FromEdge::Request(asked) => self.session.asks(asked.id, asked.reply_partition),
            FromEdge::Cancel(asked) => self.session.asks(asked.request_id, asked.reply_partition),
            FromEdge::Query(asked) => self.session.asks(asked.id, asked.reply_partition),
            FromEdge::Welcome(_)
            | FromEdge::NewEpoch(_)
            | FromEdge::Reemit(_)
            | FromEdge::Ack(_)
            | FromEdge::Ping(_)
            | FromEdge::Error(_) => {}
        }
    }

    fn opened(&mut self, out: &Outgoing<Arc<RawRecord>>, opened: Opened) {
        self.downstream.opened();
        match opened {
            Opened::Frame(frame, text) => {
                self.remember(*frame);
                if out.in_place {
                    self.session.sends(out.log_record.position);
                }
                metrics::REQUESTS.get().increment(1);
                self.wire.send_text(text);
                self.heartbeat.sent(Instant::now());
            }
            Opened::TooLate => metrics::QUERIES_LATE.get().increment(1),
            Opened::Unreadable => {}
        }
    }
}
