//! Two registrations of one person become one.

use super::*;

/// A clinic whose software keeps no `merged_into`.
struct Forgetful(Clinic);

impl Records for Forgetful {
    fn get(&self, resource: &str, id: &Uuid) -> Result<Option<Stored>, RecordsError> {
        self.0.get(resource, id)
    }

    fn find(&self, resource: &str, filters: &[Filter]) -> Result<Vec<Value>, RecordsError> {
        self.0.find(resource, filters)
    }

    fn writes(&self, _resource: &str, field: &str) -> bool {
        field != merge::MERGED_INTO
    }

    fn time_zone(&self) -> &'static str {
        "UTC"
    }
}

fn two() -> Clinic {
    let seq = Some(UnitSeq::new(1, 7));
    Clinic(vec![(registration(), seq), (json!({"patient_id": id(2)}), seq)])
}

fn merged(body: &Value, records: &dyn Records) -> Result<Granted, &'static str> {
    Patients.decide(MergePatients::TYPE, body, records, now()).map_err(|rejection| rejection.slug)
}

#[test]
fn a_merge_writes_who_stays_into_who_goes() {
    let command = json!({"patient_id": id(1), "into_patient_id": id(2)});
    let granted = merged(&command, &two()).unwrap();
    let [change] = granted.changes.as_slice() else { panic!("one row") };
    assert_eq!((change.record.id, change.operation), (id(1), RowOperation::Update));
    assert_eq!(Value::Object(change.fields.clone()), json!({"merged_into": id(2)}));
    assert_eq!(granted.record, change.record);
}

#[test]
fn what_cannot_be_merged_is_refused() {
    let command =
        |from: u128, into: u128| json!({"patient_id": id(from), "into_patient_id": id(into)});
    assert_eq!(merged(&command(1, 2), &Forgetful(two())).unwrap_err(), "merge-unsupported");
    assert_eq!(merged(&command(1, 1), &two()).unwrap_err(), "merge-with-itself");
    assert_eq!(merged(&command(3, 2), &two()).unwrap_err(), "patient-unknown");
    assert_eq!(merged(&command(1, 3), &two()).unwrap_err(), "merge-target-unknown");
    let mut clinic = two();
    clinic.0[1].0["merged_into"] = json!(id(9));
    assert_eq!(merged(&command(1, 2), &clinic).unwrap_err(), "already-merged", "no chains");
    assert_eq!(merged(&command(2, 1), &clinic).unwrap_err(), "already-merged");
    let stale = with(command(1, 2), "if_match", json!("1-6"));
    assert_eq!(merged(&stale, &two()).unwrap_err(), "changed-meanwhile");
    let unread = with(command(1, 2), "mood", json!("fine"));
    assert_eq!(merged(&unread, &two()).unwrap_err(), "request-malformed");
}

#[test]
fn a_merge_takes_along_whoever_was_merged_before_and_so_makes_no_chain() {
    let into = |from: u128, into: u128| {
        (json!({"patient_id": id(from), "merged_into": id(into)}), Some(UnitSeq::new(1, 7)))
    };
    let mut clinic = two();
    // The desk's own chain: 4 into 3, 3 into 1; and one that names itself, which is no merge.
    clinic.0.extend([into(3, 1), into(4, 3), into(5, 5)]);
    let command =
        |from: u128, into: u128| json!({"patient_id": id(from), "into_patient_id": id(into)});
    let granted = merged(&command(1, 2), &clinic).unwrap();
    assert_eq!(granted.record.id, id(1));
    let written: Vec<_> =
        granted.changes.iter().map(|it| (it.record.id, &it.fields["merged_into"])).collect();
    assert_eq!(written, [(id(1), &json!(id(2))), (id(3), &json!(id(2)))]);
    assert_eq!(merged(&command(3, 2), &clinic).unwrap_err(), "already-merged");
    assert_eq!(merged(&command(2, 3), &clinic).unwrap_err(), "already-merged");
    assert!(merged(&command(5, 2), &clinic).is_ok());
    assert!(merged(&command(2, 5), &clinic).is_ok());
    clinic.0.extend((100..=200).map(|n| into(n, 2)));
    assert_eq!(merged(&command(2, 1), &clinic).unwrap_err(), "too-many-merged");
}
