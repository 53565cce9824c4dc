//! No personal data outside its place: one patient whose every word is unmistakable goes through
//! everything that the product does, wrong turns included, and then all that roles, agents and
//! tools have said is searched for those words.
//!
//! Its place is: bodies of internal topics, read models, clinic databases and spools, bodies of
//! answers that were asked for. Everything else is searched: logs, metrics, headers of answers,
//! bodies of problems, keys and headers of every topic, everything on `domain.*` and
//! `unit.presence`, and what the operators' commands print.

mod places;
mod words;

use kit_token::Kind;
use serde_json::{Value, json};
use tests_e2e::{Answer, Net, Unit, eventually};
use uuid::Uuid;

use places::Places;
use words::{Canary, WORDS};

#[tokio::test]
async fn the_canary_is_found_nowhere_but_in_its_place() {
    let net = Net::own("canary").await;
    let mut unit = net.unit("canary").await;
    let mut places = Places::default();
    let seen = everything(&net, &mut unit, &mut places).await;
    // A search that cannot find would prove nothing: the word is where it belongs.
    assert!(words::found_in(seen.body.to_string().as_bytes()).is_some(), "{seen:?}");

    places.look_at_logs(&net, &unit);
    places.look_at_metrics(&net).await;
    places.look_at_topics(&net).await;
    places.look_at_commands(&net, &unit).await;
    let found = places.found();
    assert!(found.is_empty(), "the canary was found:\n{}", found.join("\n"));
    assert!(places.looked_at() > 200, "only {} places were searched", places.looked_at());
}

#[test]
fn a_word_is_found_however_it_is_written() {
    let written = [
        "… Zyxwvcanary …",
        "zyxwvcanary",
        "name=ZYXWVCANARY&x=1",
        "%7B%22family_name%22%3A%22Zyxwvcanary%22%7D",
    ];
    for text in written {
        assert!(words::found_in(text.as_bytes()).is_some(), "{text}");
    }
    assert!(words::found_in(b"nothing to see").is_none());
    assert!(WORDS.len() > 8);
}

/// Lets the canary meet every door, and gives back its own record as REST shows it.
async fn everything(net: &Net, unit: &mut Unit, places: &mut Places) -> Answer {
    let canary = Canary::default();
    let patients = unit.path("patients");
    let made = unit.rest.post(&patients, canary.registration("CANARY-MRN-8842")).await;
    places.look_at_answer("registration", &made);
    let made = made.expect(201);
    let id: Uuid = made.text("patient_id").parse().expect("an id");
    unit.rest.record(&unit.path(&format!("patients/{id}"))).await;

    wrong_bodies(unit, &id, places).await;
    searches(net, unit, &id, places).await;
    heads(unit, places).await;
    bookings(net, unit, &id, places).await;
    the_desk(unit, &id).await;
    while_away(unit, &id, places).await;

    let path = unit.path(&format!("patients/{id}"));
    eventually("the desk's last word on the canary", || async {
        let answer = unit.rest.get(&path).await;
        (answer.body["city"] == canary.moved_to).then_some(())
    })
    .await;
    unit.rest.get(&path).await
}

async fn wrong_bodies(unit: &Unit, id: &Uuid, places: &mut Places) {
    let canary = Canary::default();
    let patients = unit.path("patients");
    let again = unit.rest.post(&patients, canary.registration("CANARY-MRN-8842")).await;
    places.look_at_answer("the same number again", &again);
    assert!(again.status >= 400);
    for (field, value) in canary.nonsense() {
        let mut body = canary.registration("CANARY-MRN-8843");
        body[field] = value;
        let refused = unit.rest.post(&patients, body.clone()).await;
        places.look_at_answer(&format!("nonsense in {field}"), &refused);
        assert!(refused.status >= 400, "{field}: {refused:?}");
        let path = unit.path(&format!("patients/{id}"));
        let refused = unit.rest.patch(&path, &[], json!({ field: body[field] })).await;
        places.look_at_answer(&format!("nonsense patched into {field}"), &refused);
    }
    // A careless client makes a field of it.
    let refused = unit.rest.post(&patients, json!({ canary.family_name: 1 })).await;
    places.look_at_answer("a field of that name", &refused.expect(422));
    // Cut in the middle, and no JSON at all.
    let text = canary.registration("CANARY-MRN-8844").to_string();
    for body in [text[..text.len() / 2].to_owned(), format!("{}={text}", WORDS[0])] {
        let headers =
            [("content-type", "application/json"), ("idempotency-key", "half-a-registration")];
        let refused = unit.rest.send(reqwest::Method::POST, &patients, &headers, Some(body)).await;
        places.look_at_answer("a broken body", &refused.expect(400));
    }
}

async fn searches(net: &Net, unit: &Unit, id: &Uuid, places: &mut Places) {
    let word = WORDS[0];
    for query in [
        format!("patients?name={word}"),
        "patients?mrn=CANARY-MRN-8842".to_owned(),
        "patients?birth_date=1913-02-27".to_owned(),
        format!("patients?birth_date={word}"),
        format!("patients?cursor={word}"),
        format!("patients?limit={word}"),
        format!("patients?{}=1", Canary::default().family_name),
        format!("patients/{word}"),
        format!("appointments?patient_id={word}"),
        format!("appointments?status={word}"),
        format!("events?after={word}"),
        word.to_owned(),
    ] {
        let answer = unit.rest.get(&unit.path(&query)).await;
        places.look_at_answer("a search", &answer);
    }
    let other: Vec<_> = vec!["hcu-other".parse().expect("a unit's name")];
    let stranger = net.rest(Kind::Staff, &other, None);
    let foreign = stranger.get(&unit.path(&format!("patients/{id}"))).await;
    places.look_at_answer("another unit's staff", &foreign.expect(404));
    let patient = net.rest(Kind::Patient, std::slice::from_ref(&unit.id), Some(*id));
    let own = patient.get(&format!("/v1/patients/{id}")).await;
    places.look_at_answer("the canary itself", &own.expect(200));
    let token = unit.rest.with_token(Some(format!("{word}.{word}.{word}")));
    places.look_at_answer("a word for a token", &token.get(&unit.path("patients")).await);
}

/// The word where a careless client may put it beside the body.
async fn heads(unit: &Unit, places: &mut Places) {
    let (word, patients) = (WORDS[0], unit.path("patients"));
    for name in [
        "x-request-id",
        "traceparent",
        "tracestate",
        "user-agent",
        "accept",
        "prefer",
        "if-none-match",
        "if-match",
        "arteria-min-seq",
        "arteria-delivery",
        "arteria-expires",
        "last-event-id",
        word,
    ] {
        let answer = unit.rest.get_with(&patients, &[(name, word)]).await;
        places.look_at_answer(&format!("the word as {name}"), &answer);
        let mut command = Canary::default().registration("CANARY-MRN-8842");
        command["sex"] = json!(word);
        let refused = unit.rest.post_with(&patients, &[(name, word)], command).await;
        places.look_at_answer(&format!("the word as {name} of a command"), &refused);
    }
    let key = [("content-type", "application/json"), ("idempotency-key", word)];
    let command = Some(Canary::default().registration("CANARY-MRN-8842").to_string());
    let refused = unit.rest.send(reqwest::Method::POST, &patients, &key, command).await;
    places.look_at_answer("the word as a key", &refused);
    let method = reqwest::Method::from_bytes(word.as_bytes()).expect("a method");
    let refused = unit.rest.send(method, &patients, &[], None).await;
    places.look_at_answer("the word as a method", &refused.expect(405));
}

async fn bookings(net: &Net, unit: &Unit, id: &Uuid, places: &mut Places) {
    let canary = Canary::default();
    let slots = unit.slots(2).await;
    let appointments = unit.path("appointments");
    let body = |slot: &tests_e2e::unit::Slot| -> Value {
        let mut body = unit.booking(slot);
        body["patient_id"] = json!(id);
        body["reason"] = json!(canary.reason);
        body
    };
    let booked = unit.rest.post(&appointments, body(&slots[0])).await;
    places.look_at_answer("a booking", &booked);
    let booked = booked.expect(201);
    let taken = unit.rest.post(&appointments, body(&slots[0])).await;
    places.look_at_answer("a taken slot", &taken.expect_problem(409, "slot-taken"));
    let path = format!("{appointments}/{}/cancel", booked.text("appointment_id"));
    let cancelled = unit.rest.post(&path, json!({ "reason": canary.reason })).await;
    places.look_at_answer("a cancellation", &cancelled);
    let patient = net.rest(Kind::Patient, std::slice::from_ref(&unit.id), Some(*id));
    let respond_async = [("prefer", "respond-async")];
    let later = patient.post_with(&appointments, &respond_async, body(&slots[1])).await;
    places.look_at_answer("a tracked booking", &later);
    let settled = patient.settled(&later.must("location")).await;
    places.look_at_answer("a settled booking", &settled);
}

/// The desk writes what no form would let through.
async fn the_desk(unit: &Unit, id: &Uuid) {
    let canary = Canary::default();
    let desk = unit.desk();
    let change = |column: &str, value: &str| {
        let sql = format!("UPDATE patients SET {column} = ?1 WHERE patient_id = ?2");
        desk.execute(&sql, &[&value, &id.to_string()]).expect("the desk's change");
    };
    change("birth_date", &format!("27.2.13 says {}", canary.family_name));
    // Longer than an index of Postgres takes, and with a character that it refuses.
    change("family_name", &format!("{}{}", canary.family_name, "x".repeat(20_000)));
    change("email", &format!("{}\u{0}", canary.email));
    change("family_name", canary.family_name);
    change("birth_date", canary.birth_date);
    let invoice = Uuid::new_v4().to_string();
    let now = kit_clock::Clock::system().now().to_string();
    desk.execute(
        "INSERT INTO invoices (invoice_id, patient_id, issued_at, currency, total_minor, status)
         VALUES (?1, ?2, ?3, 'EUR', 12000, 'issued')",
        &[&invoice, &id.to_string(), &now],
    )
    .expect("an invoice");
    desk.execute(
        "INSERT INTO payments (payment_id, invoice_id, paid_at, currency, amount_minor, method,
             reference) VALUES (?1, ?2, ?3, 'EUR', 4500, 'card', ?4)",
        &[&Uuid::new_v4().to_string(), &invoice, &now, &canary.reference],
    )
    .expect("a payment");
}

/// A request that waits, one that is cancelled, one that lapses.
async fn while_away(unit: &mut Unit, id: &Uuid, places: &mut Places) {
    let canary = Canary::default();
    unit.cut_off().await;
    let path = unit.path(&format!("patients/{id}"));
    let asynchronous = [("prefer", "respond-async")];
    let change = json!({ "phone": canary.phone, "city": canary.moved_to });
    let waiting = unit.rest.patch(&path, &asynchronous, change).await;
    places.look_at_answer("a waiting change", &waiting);
    let cancelled = unit.rest.patch(&path, &asynchronous, json!({ "email": canary.email })).await;
    places.look_at_answer("a change to cancel", &cancelled);
    places.look_at_answer("a cancel", &unit.rest.delete(&cancelled.must("location")).await);
    let short = [("prefer", "respond-async"), ("arteria-expires", "1")];
    let lapsing = unit.rest.patch(&path, &short, json!({ "phone": canary.phone })).await;
    places.look_at_answer("a change that lapses", &lapsing);
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    unit.connect().await;
    for location in [waiting, cancelled, lapsing].map(|answer| answer.must("location")) {
        let settled = unit.rest.settled(&location).await;
        places.look_at_answer("what became of it", &settled);
    }
}
