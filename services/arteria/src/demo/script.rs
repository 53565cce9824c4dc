//! The story: a desk, an app, and a clinic that goes away and comes back.

use anyhow::{Context, Result, bail, ensure};
use kit_event::Timestamp;
use practice::{Interval, Patient};
use serde_json::{Value, json};
use uuid::Uuid;

use super::money::billed_and_paid;
use super::stage::Stage;
use super::voip::calls_become_events;
use crate::network::Network;

/// Days ahead in which a free slot is looked for.
const DAYS_AHEAD: i64 = 14;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// A free slot of one practitioner.
#[derive(Clone)]
struct Slot {
    practitioner_id: String,
    starts_at: String,
    ends_at: String,
}

/// Plays every chapter; the first thing that is not observed ends it.
pub async fn play(stage: &mut Stage<'_>) -> Result<()> {
    registered_at_the_desk(stage).await?;
    let mut slots = free_slots(stage, 4).await?.into_iter();
    let mut next = || slots.next().context("the clinic has too few free slots");
    let (first, taken, cancelled, refused) = (next()?, next()?, next()?, next()?);
    booked_through_rest(stage, &first).await?;
    billed_and_paid(stage).await?;
    calls_become_events(stage).await?;
    cut_off(stage).await?;
    let waiting = booked_while_away(stage, &taken, &refused).await?;
    let withdrawn = cancelled_while_away(stage, &cancelled).await?;
    taken_at_the_desk(stage, &taken)?;
    comes_back(stage, &taken, &waiting, &cancelled, &withdrawn).await
}

async fn registered_at_the_desk(stage: &mut Stage<'_>) -> Result<()> {
    stage.chapter("A patient is registered at the desk, by plain SQL");
    let patient = Patient::named("Matilde", "Conceição");
    stage.act("INSERT INTO patients (...) in clinic.db, as the practice's own software does it");
    let patient_id = stage.desk.register_patient(&patient)?.to_string();
    let subject = format!("patient/{patient_id}");
    let found = stage.wait_for_fact("patients.patient_registered", &subject).await?;
    stage.seen(&format!(
        "fact {} patients.patient_registered on unit.facts, partition {}, offset {}",
        found.fact.seq, found.partition, found.offset
    ));
    let path = stage.path(&format!("patients/{patient_id}"));
    let answer = stage.wait_for_record(&path).await?;
    stage.seen(&format!("GET {path}: 200, Arteria-Unit-Seq {}", seq(answer.seq.as_ref())));
    ensure!(
        answer.text("family_name") == Some("Conceição"),
        "REST shows another name than the desk wrote"
    );
    stage.remember_patient(&patient_id);
    Ok(())
}

async fn free_slots(stage: &Stage<'_>, wanted: usize) -> Result<Vec<Slot>> {
    let path = stage.path("practitioners?limit=50");
    let answer = stage.app.get(&path).await?.expect(200, "listing practitioners")?;
    let from = kit_clock::Clock::system().now().plus_ms(DAY_MS);
    let mut slots = Vec::new();
    for practitioner in answer.body["items"].as_array().into_iter().flatten() {
        let id =
            practitioner["practitioner_id"].as_str().context("a practitioner without an id")?;
        let to = from.plus_ms(DAYS_AHEAD * DAY_MS);
        let path = stage.path(&format!("slots?practitioner_id={id}&from={from}&to={to}"));
        let answer = stage.app.get(&path).await?.expect(200, "asking for free slots")?;
        for slot in answer.body["items"].as_array().into_iter().flatten() {
            let text = |member: &str| slot[member].as_str().map(str::to_owned);
            slots.push(Slot {
                practitioner_id: id.to_owned(),
                starts_at: text("starts_at").context("a slot without a start")?,
                ends_at: text("ends_at").context("a slot without an end")?,
            });
            if slots.len() == wanted {
                return Ok(slots);
            }
        }
    }
    bail!("only {} free slots in the coming {DAYS_AHEAD} days", slots.len())
}

async fn booked_through_rest(stage: &mut Stage<'_>, slot: &Slot) -> Result<()> {
    stage.chapter("An appointment is booked through REST");
    let path = stage.path("appointments");
    stage.act(&format!("POST {path}   {}", slot.starts_at));
    let body = booking(stage, slot);
    let answer = stage.app.post(&path, &key(), &[], body).await?.expect(201, "booking")?;
    let id = answer.text("appointment_id").context("an appointment without an id")?.to_owned();
    stage.seen(&format!("201 Created, Arteria-Unit-Seq {}", seq(answer.seq.as_ref())));
    let rows = stage.diary_rows(&slot.practitioner_id, &slot.starts_at)?;
    ensure!(
        rows.len() == 1 && rows[0]["appointment_id"] == id.as_str(),
        "clinic.db does not hold exactly this appointment"
    );
    stage.seen("the row stands in clinic.db, status booked");
    let subject = format!("appointment/{id}");
    let found = stage.wait_for_fact("scheduling.appointment_booked", &subject).await?;
    stage.seen(&format!(
        "fact {} scheduling.appointment_booked, {} bytes of Avro on unit.facts, partition {}, \
         offset {}",
        found.fact.seq, found.bytes, found.partition, found.offset
    ));
    let path = stage.path(&format!("appointments/{id}"));
    let unit_seq = answer.seq.clone().context("a booking without Arteria-Unit-Seq")?;
    let read = stage.app.get_since(&path, &unit_seq).await?.expect(200, "reading it back")?;
    stage.seen(&format!("GET {path} with Arteria-Min-Seq {unit_seq}: 200 from the read model"));
    ensure!(read.text("status") == Some("booked"), "the read model shows another status");
    Ok(())
}

async fn cut_off(stage: &mut Stage<'_>) -> Result<()> {
    stage.chapter("The clinic is cut off");
    stage.act("its agent is stopped");
    stage.network.supervisor.stop(&Network::agent_name(&stage.unit)).await?;
    stage.wait_for_presence(false).await?;
    stage.seen("the network sees the clinic as away");
    Ok(())
}

async fn booked_while_away(stage: &mut Stage<'_>, slot: &Slot, other: &Slot) -> Result<String> {
    stage.act("POST a booking that may wait (Arteria-Delivery: queue)");
    let path = stage.path("appointments");
    let wait = [("prefer", "respond-async")];
    let body = booking(stage, slot);
    let answer = stage.app.post(&path, &key(), &wait, body).await?.expect(202, "booking")?;
    let location = answer.location.context("a tracked request without a Location")?;
    stage.seen(&format!("202 Accepted, Location {location}"));
    stage.act("POST another as online-only");
    let only = [("arteria-delivery", "online-only")];
    let body = booking(stage, other);
    let answer = stage.app.post(&path, &key(), &only, body).await?.expect(503, "online-only")?;
    ensure!(answer.problem() == Some("unit-not-connected"), "another problem was named");
    stage.seen("503 unit-not-connected, at once, nothing sent");
    Ok(location)
}

async fn cancelled_while_away(stage: &mut Stage<'_>, slot: &Slot) -> Result<String> {
    stage.act("POST a third booking that waits, then DELETE its request");
    let path = stage.path("appointments");
    let wait = [("prefer", "respond-async")];
    let body = booking(stage, slot);
    let answer = stage.app.post(&path, &key(), &wait, body).await?.expect(202, "booking")?;
    let location = answer.location.context("a tracked request without a Location")?;
    stage.app.delete(&location).await?.expect(202, "cancelling a request")?;
    stage.seen("202 and 202: the clinic will have the last word");
    Ok(location)
}

fn taken_at_the_desk(stage: &mut Stage<'_>, slot: &Slot) -> Result<()> {
    stage.act("the desk, which knows nothing of all this, writes the first slot into clinic.db");
    let time = |text: &str| text.parse::<Timestamp>().context("a slot's time");
    let interval = Interval::new(time(&slot.starts_at)?, time(&slot.ends_at)?);
    let practitioner = slot.practitioner_id.parse::<Uuid>()?;
    let patient = stage.patient_id().parse::<Uuid>()?;
    stage.desk.take_slot(&practitioner, interval, &patient)?;
    stage.seen("INSERT INTO appointments (...)");
    Ok(())
}

async fn comes_back(
    stage: &mut Stage<'_>,
    taken: &Slot,
    waiting: &str,
    cancelled: &Slot,
    withdrawn: &str,
) -> Result<()> {
    stage.chapter("The clinic comes back");
    stage.act("its agent is started");
    let agent = stage.network.agent(&stage.unit)?;
    stage.network.supervisor.start(agent).await?;
    let (state, reason) = stage.wait_for_outcome(waiting).await?;
    ensure!(
        state == "rejected" && reason.as_deref() == Some("slot-taken"),
        "the waiting booking is {state} ({})",
        reason.unwrap_or_default()
    );
    stage.seen("the waiting booking is rejected: slot-taken");
    let rows = stage.diary_rows(&taken.practitioner_id, &taken.starts_at)?;
    ensure!(rows.len() == 1, "the slot holds {} appointments", rows.len());
    stage.seen("clinic.db holds the desk's appointment in that slot, and no other");
    let (state, _) = stage.wait_for_outcome(withdrawn).await?;
    ensure!(state == "cancelled", "the cancelled booking is {state}");
    let rows = stage.diary_rows(&cancelled.practitioner_id, &cancelled.starts_at)?;
    ensure!(rows.is_empty(), "the cancelled booking was made all the same");
    stage.seen("the other booking is cancelled, and clinic.db never held it");
    stage.wait_for_presence(true).await?;
    stage.seen("the network sees the clinic as online");
    Ok(())
}

fn booking(stage: &Stage<'_>, slot: &Slot) -> Value {
    json!({
        "patient_id": stage.patient_id(),
        "practitioner_id": slot.practitioner_id,
        "starts_at": slot.starts_at,
        "ends_at": slot.ends_at,
        "modality": "in-person",
        "reason": "demo",
    })
}

/// A key of its own for each command: a demo run again must not repeat an older one's requests.
pub fn key() -> String {
    Uuid::new_v4().to_string()
}

pub fn seq(seq: Option<&String>) -> &str {
    seq.map_or("(none)", String::as_str)
}
