//! Promises of the domain.

use kit_event::{RequestId, UnitSeq};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const LOG: &str = "c/unit.requests/3";

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_772_366_400_000 + ms)
}

fn request_id() -> RequestId {
    "hcu-0001.0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn outcome(state: FinalState) -> RequestOutcome {
    RequestOutcome::new(request_id(), state, at(0))
}

fn waiting() -> Tracked {
    Tracked { log: LOG.to_owned(), position: 40, expires_at: at(1_000), word: None }
}

fn cursor(next: i64) -> Option<AppliedCursor<'static>> {
    Some(AppliedCursor { log: LOG, next })
}

#[test]
fn a_request_is_accepted_then_delivered_then_what_the_unit_says() {
    let mut request = waiting();
    assert_eq!(view(&request, None, at(0)), Shown::Accepted);
    assert_eq!(view(&request, cursor(40), at(0)), Shown::Accepted);
    assert_eq!(view(&request, cursor(41), at(0)), Shown::Delivered);
    request.hear(FinalState::Rejected);
    assert_eq!(view(&request, cursor(41), at(0)).as_str(), "rejected");
    assert_eq!(view(&request, None, at(9_000)).as_str(), "rejected");
}

#[test]
fn a_cursor_of_another_log_tells_nothing() {
    let other = Some(AppliedCursor { log: "d/unit.requests/3", next: 99 });
    assert_eq!(view(&waiting(), other, at(0)), Shown::Accepted);
}

#[test]
fn silence_past_the_deadline_is_overdue_and_not_failed() {
    let mut request = waiting();
    assert_eq!(view(&request, None, at(1_000)), Shown::Accepted);
    assert_eq!(view(&request, None, at(1_001)).as_str(), "overdue");
    assert_eq!(view(&request, cursor(41), at(1_001)).as_str(), "overdue");
    request.hear(FinalState::Done);
    assert_eq!(view(&request, None, at(1_001)).as_str(), "done");
}

#[test]
fn a_lapsed_range_expires_what_it_names_and_nothing_else() {
    let range = |from, to, log: &str| RangeLapsed { from, to, log: log.to_owned() };
    let after = |range: RangeLapsed| {
        let mut request = waiting();
        request.lapse(&range);
        view(&request, None, at(0)).as_str()
    };
    assert_eq!(after(range(40, 41, LOG)), "expired");
    assert_eq!(after(range(10, 40, LOG)), "accepted");
    assert_eq!(after(range(41, 50, LOG)), "accepted");
    assert_eq!(after(range(0, 99, "d/unit.requests/3")), "accepted");
    let mut decided = waiting();
    decided.hear(FinalState::Done);
    decided.lapse(&range(0, 99, LOG));
    assert_eq!(decided.word, Some(Word::Ledger(FinalState::Done)), "the ledger had spoken");
}

#[test]
fn the_first_word_stands_until_a_restore_undoes_it() {
    let mut request = waiting();
    request.hear(FinalState::Done);
    request.hear(FinalState::Cancelled);
    assert_eq!(request.word, Some(Word::Ledger(FinalState::Done)));
    request.hear(FinalState::Undone);
    request.hear(FinalState::Done);
    assert_eq!(request.word, Some(Word::Ledger(FinalState::Undone)));
}

#[test]
fn a_ledger_row_gives_the_fact_of_its_state() {
    for state in FinalState::ALL {
        let row = serde_json::to_value(outcome(*state)).unwrap();
        let seen = Requests.observe("request", None, Some(&row)).unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].type_name, format!("requests.request_{}", state.as_str()));
        assert_eq!(seen[0].subject, format!("request/{}", request_id()));
        assert_eq!(seen[0].body, row);
    }
}

#[test]
fn a_row_that_is_thirty_days_old_goes_without_a_word() {
    let row = outcome(FinalState::Done);
    assert_eq!(observe(Some(&row), None), []);
    assert_eq!(observe(Some(&row), Some(&row)), []);
    let undone = observe(Some(&row), Some(&outcome(FinalState::Undone)));
    assert_eq!(undone[0].type_name(), "requests.request_undone");
}

#[test]
fn a_state_of_a_later_version_travels_and_claims_nothing() {
    let row = json!({"request_id": request_id(), "state": "parked"});
    let seen = Requests.observe("request", None, Some(&row)).unwrap();
    assert_eq!(seen[0].type_name, "requests.request_snapshot");
    assert_eq!(seen[0].body, row);
}

#[test]
fn a_refusal_is_written_into_the_outcome_as_it_was_said() {
    let rejection = Rejection::from(RequestRejection::Expired { expires_at: at(0) });
    let row = outcome(FinalState::Expired).because(&rejection);
    assert_eq!(row.reason.as_deref(), Some("expired"));
    assert_eq!(row.title.as_deref(), Some(rejection.title));
    assert!(row.detail.unwrap().contains("2026-03-01T12:00:00Z"));
}

#[test]
fn the_range_is_about_no_patient() {
    let fact = Fact::RangeLapsed(RangeLapsed { from: 3, to: 9, log: LOG.to_owned() });
    let observed = fact.observed().unwrap();
    assert_eq!(observed.type_name, "requests.range_lapsed");
    assert_eq!(observed.patient_id, None);
    assert_eq!(Fact::read(observed.type_name, &observed.body).unwrap(), Some(fact));
}

#[test]
fn controls_read_strictly() {
    let cancel = |body| serde_json::from_value::<control::Cancel>(body);
    assert!(cancel(json!({"request_id": request_id()})).is_ok());
    assert!(cancel(json!({"request_id": request_id(), "why": "x"})).is_err());
    let resend = json!({"from": "1-4", "to": "1-9"});
    let resend: control::Resend = serde_json::from_value(resend).unwrap();
    assert_eq!(resend.to, UnitSeq::new(1, 9));
}

#[test]
fn a_reply_promises_its_outcome_field_by_field() {
    let promises = Requests.schemas();
    let reply = promises.iter().find(|it| it.type_name == Reply::TYPE).unwrap();
    let schema = serde_json::to_value(&reply.schema).unwrap();
    let outcome = &schema["properties"]["outcome"];
    assert_eq!(outcome["properties"]["request_id"]["type"], "string", "{outcome}");
    assert_eq!(outcome["properties"]["type"]["type"], json!(["string", "null"]));
}

#[test]
fn every_promise_is_an_object_of_documented_fields() {
    for promise in Requests.schemas() {
        let schema = serde_json::to_value(&promise.schema).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "{}.{name}: {field}", promise.type_name);
        }
    }
}

/// What can happen to a request, in the eyes of its readers.
#[derive(Debug, Clone)]
enum Happens {
    Passes(i64),
    Time(i64),
    Word(FinalState),
    Lapse(i64, i64),
}

fn anything() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (0i64..3).prop_map(Happens::Passes),
        (0i64..900).prop_map(Happens::Time),
        prop::sample::select(FinalState::ALL).prop_map(Happens::Word),
        (35i64..45, 35i64..45).prop_map(|(from, to)| Happens::Lapse(from, to)),
    ]
}

proptest! {
    /// Whatever happens, a reader never sees a request go back, and never sees a word unsaid.
    #[test]
    fn a_life_only_goes_forward(life in prop::collection::vec(anything(), 0..20)) {
        let (mut request, mut next, mut now) = (waiting(), 39, 0);
        let mut shown = view(&request, cursor(next), at(now));
        for happens in life {
            match happens {
                Happens::Passes(positions) => next += positions,
                Happens::Time(ms) => now += ms,
                Happens::Word(word) => request.hear(word),
                Happens::Lapse(from, to) => {
                    request.lapse(&RangeLapsed { from, to, log: LOG.to_owned() });
                }
            }
            let later = view(&request, cursor(next), at(now));
            prop_assert!(shown.may_become(later), "{shown:?} became {later:?}");
            shown = later;
        }
    }
}
