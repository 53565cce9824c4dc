//! A live query: a question to the unit itself, because only its own database knows now.

use std::sync::Arc;
use std::time::Duration;

use kit_event::{Delivery, Request, RequestId, UnitId, command_hash};
use kit_policy::Caller;
use requests::Answer;
use serde_json::Value;
use uuid::Uuid;

use crate::limits::Act;
use crate::{NotSent, Requests};

/// A question, ready to be sent.
#[derive(Debug, Clone)]
pub struct Query {
    /// Its type, as `scheduling.free_slots`.
    pub type_name: &'static str,
    /// Version of its schema.
    pub version: u32,
    /// What is asked.
    pub body: Value,
    /// How long the caller waits.
    pub wait: Duration,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl Requests {
    /// Asks a unit that is connected, and waits for its answer.
    ///
    /// # Errors
    /// The unit is away or silent; the caller asks for too much; the log is away.
    pub async fn query(
        &self,
        caller: &Caller,
        unit: &UnitId,
        query: Query,
    ) -> Result<Arc<Answer>, NotSent> {
        let now = self.clock.now();
        if !self.presence.is_online(unit, now) {
            return Err(NotSent::NotConnected);
        }
        let _place = self.limits.query(&caller.verified, unit)?;
        self.spend(&caller.verified, Act::Query)?;
        let drawn = Uuid::new_v4().to_string();
        let id = RequestId::derive(unit, "query", &caller.verified.subject, &drawn);
        let wait_ms = i64::try_from(query.wait.as_millis()).unwrap_or(i64::MAX);
        let request = Request {
            unit: unit.clone(),
            id: id.clone(),
            type_name: query.type_name.to_owned(),
            version: query.version,
            accepted_at: now,
            expires_at: now.plus_ms(wait_ms),
            delivery: Delivery::Query,
            command_hash: command_hash(query.type_name, &query.body),
            actor: caller.verified.actor(),
            reply_partition: Some(self.reply_partition),
            traceparent: query.traceparent,
            body: query.body,
        };
        let waiting = self.pending.question(&id);
        self.publish(request).await?;
        let answer = tokio::select! {
            answer = waiting.within(query.wait) => answer,
            () = self.drain_is_near() => None,
        };
        answer.ok_or(NotSent::Unanswered)
    }
}
