//! Power cuts between any two steps: nothing lost, nothing doubled.

use agent::failpoints::{Failpoints, Step};
use kit_link::{FactFrame, FromEdge, Resume};

use crate::desk::{Driven, Folder, Line, PATIENT, PRACTITIONER};
use crate::edge::{request, request_id};
use crate::walkthrough::{APPOINTMENT, booking};

/// A clinic, its agent with one step armed, and the log that survives every power cut.
struct Day {
    clinic: Folder,
    agent: Driven,
    line: Line,
    log: Vec<FactFrame>,
    cuts: usize,
}

impl Day {
    fn begin(failpoints: Failpoints) -> Self {
        let clinic = Folder::staffed();
        let mut agent = clinic.worker();
        let mut line = agent.connect(None, Resume::Exact);
        agent.receive(&mut line, vec![]);
        let log = line.log;
        agent.stop();
        let durable = log.last().map(|fact| kit_link::Durable { seq: fact.seq, id: fact.id });
        let mut agent = clinic.worker_with(Failpoints::none()).unwrap();
        // Armed only now: the start itself passes steps too.
        agent.rest();
        drop(agent);
        let mut agent = match clinic.worker_with(failpoints) {
            Ok(agent) => agent,
            Err(_) => clinic.worker(),
        };
        let line = agent.connect(durable, Resume::Exact);
        Self { clinic, agent, line, log, cuts: 0 }
    }

    /// Hears frames; at a power cut starts again and receives them again, as an edge would send
    /// them.
    fn receive(&mut self, frames: &[FromEdge]) {
        if self.agent.try_receive(&mut self.line, frames.to_vec()).is_ok() {
            return;
        }
        self.cuts += 1;
        self.keep_log();
        self.agent = self.clinic.worker();
        let durable = self.log.last().map(|f| kit_link::Durable { seq: f.seq, id: f.id });
        self.line = self.agent.connect(durable, Resume::Exact);
        self.agent.receive(&mut self.line, frames.to_vec());
    }

    fn keep_log(&mut self) {
        // What was sent before the cut reached the log.
        let _ = self.line.drain();
        self.log.append(&mut self.line.log);
    }

    /// Everything that happened, by type, with its subject's thing and cause.
    fn told(mut self) -> Vec<(String, bool)> {
        self.keep_log();
        let mut last = None;
        for fact in &self.log {
            if let Some(last) = last {
                assert!(fact.seq > last, "{} after {last}", fact.seq);
            }
            last = Some(fact.seq);
        }
        self.clinic.assert_numbered_without_gaps();
        assert_eq!(self.clinic.count("SELECT count(*) FROM appointments"), 1);
        self.log
            .iter()
            .filter(|fact| !fact.type_name.ends_with("_snapshot"))
            .map(|fact| (fact.type_name.clone(), fact.causation_id.is_some()))
            .collect()
    }
}

fn live(failpoints: Failpoints, times: usize) -> (Vec<(String, bool)>, usize) {
    let mut day = Day::begin(failpoints);
    day.receive(&[]);
    let desk = day.clinic.desk();
    desk.execute("UPDATE patients SET phone = '1' WHERE patient_id = ?1", [PATIENT]).unwrap();
    desk.execute("UPDATE patients SET phone = '2' WHERE patient_id = ?1", [PATIENT]).unwrap();
    day.receive(&[]);
    let command = booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    let book = request(1, "one", "scheduling.book_appointment", command);
    let frames = vec![FromEdge::Request(book); times];
    day.receive(&frames);
    assert!(day.line.replies.iter().all(|reply| reply.request_id == request_id("one")));
    assert!(!day.line.replies.is_empty());
    assert_eq!(day.line.replies[0].outcome["state"], "done");
    desk.execute("UPDATE appointments SET reason = 'x' WHERE appointment_id = ?1", [APPOINTMENT])
        .unwrap();
    day.receive(&[]);
    desk.execute("DELETE FROM practitioners WHERE practitioner_id = ?1", [PRACTITIONER]).unwrap();
    day.receive(&[]);
    let cuts = day.cuts;
    (day.told(), cuts)
}

fn expected() -> Vec<(String, bool)> {
    [
        ("units.epoch_opened", false),
        ("units.epoch_seeded", false),
        ("patients.patient_amended", false),
        ("patients.patient_amended", false),
        ("scheduling.appointment_booked", true),
        ("requests.request_done", true),
        ("scheduling.appointment_amended", false),
        ("scheduling.practitioner_removed", false),
    ]
    .map(|(type_name, caused)| (type_name.to_owned(), caused))
    .to_vec()
}

#[test]
fn a_day_without_power_cuts_is_told_once() {
    assert_eq!(live(Failpoints::none(), 1), (expected(), 0));
}

#[test]
fn a_day_in_which_everything_comes_twice_is_told_once() {
    assert_eq!(live(Failpoints::none(), 2), (expected(), 0));
}

#[test]
fn a_power_cut_at_any_step_loses_nothing_and_doubles_nothing() {
    let mut cut = 0;
    for step in Step::ALL {
        for passes in 0..7 {
            let (told, cuts) = live(Failpoints::stop_at(step, passes), 1);
            assert_eq!(told, expected(), "{step:?} after {passes} passes");
            cut += cuts;
        }
    }
    assert!(cut >= 20, "only {cut} power cuts happened");
}
