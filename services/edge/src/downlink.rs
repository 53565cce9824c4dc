//! From a record on `unit.requests` to the frame that goes down.

use std::sync::Arc;

use kit_bus::{Bus, OpenError, RawRecord};
use kit_event::{Request, Timestamp};
use kit_link::{Cancel, FromEdge, NewEpoch, Query, Reemit, RequestFrame, Resend, limits};
use kit_telemetry::chain;
use requests::control;
use serde::de::DeserializeOwned;

use crate::backlog::{is_alive, lifetime};
use crate::delivery_queue::{Kind, LogRecord, Outgoing};
use crate::metrics::REQUEST_UNREADABLE;
use crate::traced;
use crate::uplink::registry_pauses;

/// What a record came to.
#[derive(Debug)]
pub enum Opened {
    /// A frame, as text, and what it is.
    Frame(Box<FromEdge>, String),
    /// A query whose asker has given up.
    TooLate,
    /// Nothing that could go down; it is parked, and its place is passed over.
    Unreadable,
}

/// Why a record that reads well does not go down.
#[derive(Debug, thiserror::Error)]
enum Misfit {
    #[error("no control of this version: {type_name}")]
    UnknownControl { type_name: String },
    #[error("the body of {type_name} does not read")]
    Body { type_name: String },
    #[error("the frame would be {bytes} bytes")]
    TooLarge { bytes: usize },
    #[error("the frame could not be written")]
    Unwritable,
}

/// Opens a record, waiting for the registry where it must; what cannot be read is parked.
pub async fn open(bus: &Bus, out: &Outgoing<Arc<RawRecord>>, now: Timestamp) -> Opened {
    let record = &out.log_record.content;
    if out.log_record.kind == Kind::Query && !is_wanted(&out.log_record, now) {
        return Opened::TooLate;
    }
    let cause = match request(bus, record).await {
        Ok(mut request) => {
            let _step = traced::delivering(&mut request);
            let position = out.in_place.then_some(out.log_record.position);
            match frame(request, out.log_record.kind, out.log_record.position, position) {
                Ok((frame, text)) => return Opened::Frame(Box::new(frame), text),
                Err(misfit) => misfit.to_string(),
            }
        }
        Err(error) => chain(&error),
    };
    tracing::error!(
        partition = record.partition,
        position = record.offset,
        request_type = record.ce_type(),
        cause,
        "a request cannot go down and is parked"
    );
    // A control goes twice; it is parked once, for its place.
    if out.in_place || out.log_record.kind == Kind::Query {
        park(bus, record, &cause).await;
    }
    Opened::Unreadable
}

/// Whether a query's asker still waits. One that the tail gave is judged by how long it has waited
/// here, whatever this machine's clock says; one that was found on the log by the network's time.
fn is_wanted(log_record: &LogRecord<Arc<RawRecord>>, now: Timestamp) -> bool {
    match log_record.received_at {
        Some(received_at) => received_at.elapsed() < lifetime(&log_record.content),
        None => is_alive(&log_record.content, now),
    }
}

/// A record is passed over only when its copy is safe.
async fn park(bus: &Bus, record: &RawRecord, cause: &str) {
    for pause in registry_pauses() {
        match bus.park(record, cause).await {
            Ok(_) => {
                kit_metric::PARKED.of([REQUEST_UNREADABLE]).increment(1);
                return;
            }
            Err(error) => {
                let refused = error.is_refused();
                let position = record.offset;
                tracing::error!(position, refused, error = chain(&error), "parking failed");
                if refused {
                    return;
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

async fn request(bus: &Bus, record: &RawRecord) -> Result<Request, OpenError> {
    let mut pauses = registry_pauses();
    let mut told = false;
    loop {
        match bus.open_request(record).await {
            Err(error) if error.is_worth_waiting() => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(
                        partition = record.partition,
                        position = record.offset,
                        error = chain(&error),
                        "a unit's requests wait for the schema registry"
                    );
                }
                if let Some(pause) = pauses.next() {
                    tokio::time::sleep(pause).await;
                }
            }
            opened => return opened,
        }
    }
}

fn frame(
    request: Request,
    kind: Kind,
    at: i64,
    position: Option<i64>,
) -> Result<(FromEdge, String), Misfit> {
    let frame = match kind {
        Kind::Command => FromEdge::Request(RequestFrame {
            position: at,
            id: request.id,
            type_name: request.type_name,
            version: request.version,
            accepted_at: request.accepted_at,
            expires_at: request.expires_at,
            delivery: request.delivery,
            command_hash: request.command_hash,
            actor: request.actor,
            traceparent: request.traceparent,
            reply_partition: request.reply_partition,
            body: request.body,
        }),
        Kind::Query => FromEdge::Query(Query {
            id: request.id,
            type_name: request.type_name,
            expires_at: request.expires_at,
            traceparent: request.traceparent,
            reply_partition: request.reply_partition,
            body: request.body,
        }),
        Kind::Control => control_frame(request, position)?,
    };
    let text = serde_json::to_string(&frame).map_err(|_| Misfit::Unwritable)?;
    if text.len() > limits::FRAME_BYTES_MAX {
        return Err(Misfit::TooLarge { bytes: text.len() });
    }
    Ok((frame, text))
}

fn control_frame(request: Request, position: Option<i64>) -> Result<FromEdge, Misfit> {
    let Request { type_name, actor, traceparent, reply_partition, body, .. } = request;
    match type_name.as_str() {
        control::Cancel::TYPE => {
            let control::Cancel { request_id } = read(&type_name, body)?;
            let cancel = Cancel { position, request_id, actor, traceparent, reply_partition };
            Ok(FromEdge::Cancel(cancel))
        }
        control::Resend::TYPE => {
            let control::Resend { from, to } = read(&type_name, body)?;
            Ok(FromEdge::Resend(Resend { position, from, to }))
        }
        control::NewEpoch::TYPE => {
            let control::NewEpoch { above, reason } = read(&type_name, body)?;
            Ok(FromEdge::NewEpoch(NewEpoch { position, above, reason }))
        }
        control::Reemit::TYPE => {
            let control::Reemit { seq, subject } = read(&type_name, body)?;
            Ok(FromEdge::Reemit(Reemit { position, seq, subject }))
        }
        _ => Err(Misfit::UnknownControl { type_name }),
    }
}

fn read<T: DeserializeOwned>(type_name: &str, body: serde_json::Value) -> Result<T, Misfit> {
    serde_json::from_value(body).map_err(|_| Misfit::Body { type_name: type_name.to_owned() })
}
