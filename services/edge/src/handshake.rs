//! From an upgraded socket to a link: HELLO, who it is, what is durable, where requests go on,
//! WELCOME.
//!
//! Nothing costs the edge much before the token has been verified: the first frame is small and
//! must come soon. While the answer is worked out the socket is watched, because an agent that says
//! more than HELLO breaks the protocol, and one that leaves needs no WELCOME.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use kit_bus::{Topic, Watermarks};
use kit_event::UnitId;
use kit_lifecycle::Lifecycle;
use kit_link::{
    CloseCode, Cursor, FromEdge, Hello, LogIdentity, Resume, SUBPROTOCOL, Welcome, limits,
};
use kit_telemetry::chain;
use kit_token::InvalidToken;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::budget::UnitBudget;
use crate::codec;
use crate::connections::Registration;
use crate::edge::{Edge, draining, log_unavailable, overloaded};
use crate::fault::Fault;
use crate::limits::{HELLO_TURN_MS, REFUSED_AFTER_MS};
use crate::link::{self, Holding, Link};
use crate::on_log::{self, OnLogError};
use crate::places::{Newcomer, Place, Places};
use crate::presence::{Standing, presence_record};
use crate::session::{OnLog, Session};
use crate::wire::{Event, Wire};

/// A socket whose agent is known.
struct Known {
    wire: Wire,
    hello: Hello,
    unit: UnitId,
    budget: Arc<UnitBudget>,
    place: Place,
}

/// A unit that was let in.
struct Admitted {
    registration: Registration,
    standing: Standing,
    durable: Option<OnLog>,
    resume: Resume,
    next: i64,
    head: i64,
}

/// Takes an upgraded socket to its link, or to its end.
pub async fn perform(
    stream: TcpStream,
    part: Vec<u8>,
    newcomer: Arc<Newcomer>,
    places: Places,
    edge: Arc<Edge>,
    life: Lifecycle,
) {
    let wire = Wire::new(stream, part, limits::HELLO_BYTES_MAX).await;
    let known = tokio::select! {
        () = newcomer.evicted() => return,
        known = authenticate(wire, &places, &edge, &life) => known,
    };
    drop(newcomer);
    let Some(Known { mut wire, hello, unit, budget, place }) = known else { return };
    let (admitted, early) = admit_watching(&edge, unit, &hello, &mut wire).await;
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(fault) => return end(wire, fault).await,
    };
    let early = early.or_else(|| wire.next(true).now_or_never());
    let mut wire = wire.widened().await;
    let fault = match early {
        None | Some(Event::Alive) => {
            wire.send(&FromEdge::Welcome(welcome(&edge, &admitted)));
            None
        }
        Some(Event::Gone) => Some(None),
        Some(Event::Broken(fault)) => Some(Some(fault)),
        Some(Event::Text(_)) => {
            Some(Some(Fault::protocol("nothing may be sent between hello and welcome")))
        }
    };
    let session = Session::new(
        admitted.standing.unit.clone(),
        edge.bus.partitions(),
        admitted.durable,
        admitted.next,
    );
    let Admitted { registration, standing, .. } = admitted;
    let link = Link::new(
        edge,
        life.clone(),
        wire,
        session,
        Holding { registration, standing, budget, place },
    );
    // The steady state is a task of its own: the handshake's large future ends here.
    life.spawn_passing(link::run(Box::new(link), fault));
}

/// Takes a newcomer to its token, and, where that is good, to a link's place.
async fn authenticate(
    mut wire: Wire,
    places: &Places,
    edge: &Edge,
    life: &Lifecycle,
) -> Option<Known> {
    let hello = match hello(&mut wire, life).await {
        Ok(hello) => hello,
        Err(fault) => {
            end(wire, fault).await;
            return None;
        }
    };
    let answer_at = Instant::now() + Duration::from_millis(REFUSED_AFTER_MS);
    let unit = match verify(edge, &hello).await {
        Ok(unit) => unit,
        Err(fault) => {
            tokio::time::sleep_until(answer_at).await;
            end(wire, Some(fault)).await;
            return None;
        }
    };
    let now = Instant::now();
    let budget = edge.budgets.of(&unit, now);
    let fault = match (budget.connects(now), places.link()) {
        (Ok(()), Some(place)) => return Some(Known { wire, hello, unit, budget, place }),
        (Err(pause), _) => {
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            overloaded("the unit connects too often").retry_after_ms(pause_ms)
        }
        (Ok(()), None) => overloaded("the edge has no place for another link"),
    };
    end(wire, Some(fault)).await;
    None
}

async fn end(wire: Wire, fault: Option<Fault>) {
    if let Some(fault) = fault {
        tracing::info!(problem = fault.code.slug(), detail = fault.detail, "a hello was refused");
        crate::metrics::LINKS_CLOSED.of([fault.code.slug()]).increment(1);
        wire.close(&fault).await;
    }
}

/// The first frame, in time. An agent that leaves has no fault.
async fn hello(wire: &mut Wire, life: &Lifecycle) -> Result<Hello, Option<Fault>> {
    let soft = life.soft();
    let within = Duration::from_millis(limits::HELLO_WITHIN_MS);
    let first = async {
        loop {
            match wire.next(true).await {
                Event::Alive => {}
                event => return event,
            }
        }
    };
    let event = tokio::select! {
        () = soft.cancelled() => return Err(Some(draining())),
        event = timeout(within, first) => event.map_err(|_| {
            let detail = format!("no hello within {} ms", limits::HELLO_WITHIN_MS);
            Some(Fault::new(CloseCode::HelloTimeout, detail))
        })?,
    };
    let hello = match event {
        Event::Text(text) => codec::read_hello(&text).map_err(Some)?,
        Event::Broken(fault) => return Err(Some(fault)),
        Event::Gone | Event::Alive => return Err(None),
    };
    if hello.versions.iter().any(|version| version == SUBPROTOCOL) {
        return Ok(hello);
    }
    let detail = format!("this edge speaks {SUBPROTOCOL}");
    Err(Some(Fault::new(CloseCode::VersionUnsupported, detail)))
}

async fn verify(edge: &Edge, hello: &Hello) -> Result<UnitId, Fault> {
    let bad = |detail: &str| Fault::new(CloseCode::BadToken, detail);
    let within = Duration::from_millis(limits::HELLO_WITHIN_MS);
    let verified = timeout(within, edge.verifier.verify(&hello.token, edge.clock.now())).await;
    let verified = verified.map_err(|_| overloaded("the keys of agents do not answer"))?;
    let verified = verified.map_err(|refused| {
        tracing::info!(refused = %refused, "a token was refused");
        bad(&told(refused))
    })?;
    let unit = verified.units.into_iter().next();
    unit.ok_or_else(|| bad("the token names no unit"))
}

/// What a stranger is told of a refused token. Whether a unit is enrolled here is told to nobody
/// who does not hold its key, so an unknown key and a wrong signature are one rejection.
fn told(refused: InvalidToken) -> String {
    match refused {
        InvalidToken::Key | InvalidToken::Signature => {
            "the token is not signed with the key of an enrolled unit".to_owned()
        }
        other => other.to_string(),
    }
}

/// Works out the answer while the socket is watched. The work is never dropped half-way: it may
/// have written that the unit is here. Before it has, it ends when the agent leaves.
async fn admit_watching(
    edge: &Arc<Edge>,
    unit: UnitId,
    hello: &Hello,
    wire: &mut Wire,
) -> (Result<Admitted, Option<Fault>>, Option<Event>) {
    let left = CancellationToken::new();
    let mut work = pin!(admit(edge, unit, hello, &left));
    let mut early = None;
    loop {
        tokio::select! {
            admitted = &mut work => return (admitted, early),
            event = wire.next(true), if early.is_none() => match event {
                Event::Alive => {}
                event => {
                    if matches!(event, Event::Gone) {
                        left.cancel();
                    }
                    early = Some(event);
                }
            },
        }
    }
}

/// Lets a unit in. No fault means that its agent left before anybody was told of it.
async fn admit(
    edge: &Arc<Edge>,
    unit: UnitId,
    hello: &Hello,
    left: &CancellationToken,
) -> Result<Admitted, Option<Fault>> {
    let partition = edge.bus.partition_of(unit.as_str());
    let log = LogIdentity(edge.bus.log_identity(Topic::Requests, partition));
    let sighted = edge.whereabouts.on_log(&unit, &log.0);
    let begin = tokio::select! {
        () = left.cancelled() => return Err(None),
        begin = on_log::prepare(edge, &unit, sighted, hello.facts_offset) => begin,
    };
    let begin = begin.map_err(|error| not_found(&unit, &error))?;
    let turn = timeout(Duration::from_millis(HELLO_TURN_MS), edge.hellos.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(Some(overloaded("too many agents connect at once")));
    };
    let ends = edge.bus.watermarks(Topic::Requests, partition).await.map_err(|error| {
        tracing::warn!(%unit, error = chain(&error), "the ends of the requests are not known");
        log_unavailable("the log of requests cannot be read")
    })?;
    let (resume, next) = resume(hello.cursor.as_ref(), &log, ends);
    let since = edge.clock.now();
    let agent_version = plain_version(&hello.agent_version);
    let standing = Standing { unit: unit.clone(), since, agent_version, log };
    if left.is_cancelled() {
        // Its number would be greater than that of the link that the agent has made meanwhile.
        return Err(None);
    }
    let conn_epoch = announce(edge, &standing, next, sighted).await?;
    let registration = edge.connections.enter(unit.clone(), conn_epoch);
    if let Some(holder) = edge.whereabouts.conn_epoch(&unit).filter(|holder| *holder > conn_epoch) {
        edge.connections.received(&unit, holder);
    }
    match on_log::find(edge, &unit, &begin).await {
        Ok(durable) => {
            Ok(Admitted { registration, standing, durable, resume, next, head: ends.high })
        }
        Err(error) => {
            link::write_away(edge, &standing, &registration, Some(next), sighted).await;
            Err(Some(not_found(&unit, &error)))
        }
    }
}

/// The end of a link for whose unit it is not known what is durable.
fn not_found(unit: &UnitId, error: &OnLogError) -> Fault {
    let error_text = chain(error);
    if let Some(pause_ms) = error.retry_after_ms() {
        tracing::info!(%unit, error = error_text, "a unit waits for what is durable");
        overloaded("what is durable of the unit is being looked for").retry_after_ms(pause_ms)
    } else {
        tracing::warn!(%unit, error = error_text, "what is durable could not be found");
        log_unavailable("the log of facts cannot be read")
    }
}

/// The longest agent version that is kept. Ours have eleven characters.
const AGENT_VERSION_CHARS_MAX: usize = 64;

/// An agent's version as it is kept and shown: it comes from the clinic, and ends on an operator's
/// terminal, so only printing ASCII of it is kept.
fn plain_version(told: &str) -> String {
    let plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
    told.chars().filter(plain).take(AGENT_VERSION_CHARS_MAX).collect()
}

/// Writes the unit's presence; the record's own offset is the connection's number.
async fn announce(
    edge: &Edge,
    standing: &Standing,
    next: i64,
    sighted: Option<OnLog>,
) -> Result<i64, Fault> {
    let presence = standing.presence(Some(&edge.id), None, Some(next), sighted);
    let written = async {
        let record = presence_record(&presence, &edge.clock)?;
        anyhow::Ok(edge.bus.publish(record).await?.offset)
    };
    written.await.map_err(|error| {
        let error = format!("{error:#}");
        tracing::warn!(unit = %standing.unit, error, "a unit's presence could not be written");
        log_unavailable("the unit's presence cannot be written")
    })
}

/// Where requests go on, and whether anything is missing in between.
fn resume(cursor: Option<&Cursor>, log: &LogIdentity, ends: Watermarks) -> (Resume, i64) {
    let Some(cursor) = cursor else { return (Resume::Exact, ends.low) };
    let gap = |to| (Resume::Gap { from: cursor.next, to }, to);
    if cursor.log != *log || cursor.next < ends.low {
        gap(ends.low)
    } else if cursor.next > ends.high {
        // The log lost its end: new requests take the numbers of those that the unit has seen.
        gap(ends.high)
    } else {
        (Resume::Exact, cursor.next)
    }
}

fn welcome(edge: &Edge, admitted: &Admitted) -> Welcome {
    Welcome {
        version: SUBPROTOCOL.to_owned(),
        unit: admitted.standing.unit.clone(),
        conn_epoch: admitted.registration.conn_epoch(),
        credits: limits::CREDITS,
        frame_bytes_max: limits::FRAME_BYTES_MAX,
        heartbeat_ms: limits::HEARTBEAT_MS,
        server_time: edge.clock.now(),
        log: admitted.standing.log.clone(),
        head: admitted.head,
        durable: admitted.durable.map(|on| on.durable),
        resume: admitted.resume,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_kept_without_what_a_terminal_obeys() {
        let hostile = "1.2\u{1b}[2J\u{9b}31m\n\r\u{202e}evil\u{0}";
        assert_eq!(plain_version(hostile), "1.2[2J31mevil");
        assert_eq!(plain_version("0.1.0 (linux x86_64)"), "0.1.0 (linux x86_64)");
        assert_eq!(plain_version(&"x".repeat(5_000)).len(), AGENT_VERSION_CHARS_MAX);
    }

    #[test]
    fn an_unknown_key_and_a_wrong_signature_are_one_refusal() {
        assert_eq!(told(InvalidToken::Key), told(InvalidToken::Signature));
        assert_ne!(told(InvalidToken::Key), told(InvalidToken::Expired));
    }

    #[test]
    fn a_cursor_is_exact_only_within_its_own_log() {
        let log = LogIdentity("c/unit.requests/3".to_owned());
        let ends = Watermarks { low: 10, high: 20 };
        let at = |log: &str, next| Some(Cursor { log: LogIdentity(log.to_owned()), next });
        let of = |cursor: Option<Cursor>| resume(cursor.as_ref(), &log, ends);
        assert_eq!(of(None), (Resume::Exact, 10));
        assert_eq!(of(at("c/unit.requests/3", 10)), (Resume::Exact, 10));
        assert_eq!(of(at("c/unit.requests/3", 20)), (Resume::Exact, 20));
        assert_eq!(of(at("c/unit.requests/3", 9)), (Resume::Gap { from: 9, to: 10 }, 10));
        assert_eq!(of(at("c/unit.requests/3", 21)), (Resume::Gap { from: 21, to: 20 }, 20));
        assert_eq!(of(at("d/unit.requests/3", 15)), (Resume::Gap { from: 15, to: 10 }, 10));
    }
}
