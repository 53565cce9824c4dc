//! The end of a link: finish what the broker still owes, say that the unit is away, close.

use std::time::Duration;

use kit_event::Timestamp;
use kit_link::{CloseCode, FromEdge};
use tokio::time::{Instant, timeout, timeout_at};

use super::downstream::Downstream;
use super::{End, Link};
use crate::connections::Registration;
use crate::edge::{Edge, draining};
use crate::fault::Fault;
use crate::limits::{AWAY_WITHIN_MS, DRAIN_WITHIN_MS};
use crate::presence::{Standing, presence_record};
use crate::session::OnLog;

/// Ends a link.
pub(super) async fn part(mut link: Box<Link>, end: End) {
    let fault = match end {
        End::Gone => None,
        End::Fault(fault) => Some(fault),
        End::Drain => {
            finish_facts(&mut link).await;
            Some(draining())
        }
        End::Superseded { by } => Some(superseded(&mut link, by).await),
    };
    log(&link, fault.as_ref());
    let applied_next = link.session.applied_next();
    let durable = link.session.durable();
    let Link { edge, wire, registration, standing, downstream, uplink, .. } = *link;
    drop((downstream, uplink));
    let away = write_away(&edge, &standing, &registration, Some(applied_next), durable);
    let closed = async {
        match &fault {
            Some(fault) => wire.close(fault).await,
            None => wire.end().await,
        }
    };
    tokio::join!(away, closed);
}

/// The end of a link that a newer connection took over. An agent obeys `superseded` by staying away
/// for minutes, so it is told so only when the other came to stand: the number may be that of a
/// HELLO that the agent itself gave up.
async fn superseded(link: &mut Link, by: i64) -> Fault {
    // Neither facts nor requests of the unit go by this link any more.
    link.downstream = Downstream::new(link.session.applied_next());
    let unit = link.session.unit();
    if link.edge.whereabouts.came_to_stand(unit, by).await {
        let detail = format!("connection {by} of this unit is newer");
        return Fault::new(CloseCode::Superseded, detail);
    }
    let detail = format!("connection {by} of this unit took over and did not come to stand");
    Fault::new(CloseCode::Resync, detail)
}

/// Waits for the broker's word on facts under way, and passes it on, for as long as a drain may
/// take.
async fn finish_facts(link: &mut Link) {
    let deadline = Instant::now() + Duration::from_millis(DRAIN_WITHIN_MS);
    while !link.uplink.is_idle() {
        let Ok(confirmed) = timeout_at(deadline, link.uplink.confirmed()).await else { break };
        if link.confirm(confirmed).is_err() {
            break;
        }
    }
    if let Some(ack) = link.ack.take() {
        link.wire.send(&FromEdge::Ack(ack));
    }
}

fn log(link: &Link, fault: Option<&Fault>) {
    let (unit, conn_epoch) = (link.session.unit(), link.registration.conn_epoch());
    match fault {
        None => tracing::info!(%unit, conn_epoch, "a link ended"),
        Some(fault) => {
            let problem = fault.code.slug();
            crate::metrics::LINKS_CLOSED.of([problem]).increment(1);
            tracing::info!(%unit, conn_epoch, problem, detail = fault.detail, "a link was closed");
        }
    }
}

/// Says that a unit is away, unless a newer connection has taken over.
pub async fn write_away(
    edge: &Edge,
    standing: &Standing,
    registration: &Registration,
    applied_next: Option<i64>,
    durable: Option<OnLog>,
) {
    if registration.superseded_by().is_some() {
        return;
    }
    let since: Timestamp = edge.clock.now();
    let standing = Standing { since, ..standing.clone() };
    let presence = standing.presence(None, Some(registration.conn_epoch()), applied_next, durable);
    let written = async {
        let record = presence_record(&presence, &edge.clock)?;
        let within = Duration::from_millis(AWAY_WITHIN_MS);
        anyhow::Ok(timeout(within, edge.bus.publish(record)).await??)
    };
    if let Err(error) = written.await {
        let error = format!("{error:#}");
        tracing::warn!(unit = %standing.unit, error, "a unit's absence could not be written");
    }
}
