//! The routes of patients, each with its permission beside its handler.

use kit_rest::Route;
use kit_rest::as_of::SAYS as AS_OF_SAYS;
use kit_rest::route::Method::{Get, Patch, Post};
use kit_rest::route::{BodyDoc, Doc, Gives, outcome, schema_of};
use patients::Patient;
use utoipa::PartialSchema;

use crate::permissions::{LIST_PATIENTS, READ_PATIENT, WRITE_PATIENTS};
use crate::{commands, reads};

/// All of them.
pub fn all() -> Vec<Route> {
    [in_unit(), by_id()].into_iter().flatten().collect()
}

fn in_unit() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/patients",
            LIST_PATIENTS,
            reads::list,
            Doc::new("listPatients", "Patients of a unit", Gives::Page(schema_of::<Patient>()))
                .query("name", "search", "Begins a word of the name; without case and accents.")
                .query("birth_date", "date", "Born on that day.")
                .query("mrn", "search", "The unit's own number for the patient, exactly."),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/patients",
            WRITE_PATIENTS,
            &commands::REGISTER,
            Doc::new("registerPatient", "Register a patient", outcome::<Patient>(true)).body(
                BodyDoc {
                    name: "RegisterPatient",
                    command: patients::RegisterPatient::schema(),
                    set_by_server: commands::REGISTER_SET,
                    partial: false,
                },
            ),
        ),
    ]
}

fn by_id() -> Vec<Route> {
    vec![
        Route::new(
            Get,
            "/v1/units/{unit}/patients/{id}",
            READ_PATIENT,
            reads::one,
            Doc::new("getPatient", "One patient", Gives::Record(schema_of::<Patient>()))
                .query("as_of", "moment", AS_OF_SAYS),
        ),
        Route::command(
            Patch,
            "/v1/units/{unit}/patients/{id}",
            WRITE_PATIENTS,
            &commands::UPDATE,
            Doc::new("amendPatient", "Change the fields that are named", outcome::<Patient>(false))
                .if_match()
                .body(BodyDoc {
                    name: "AmendPatient",
                    command: patients::UpdatePatient::schema(),
                    set_by_server: commands::UPDATE_SET,
                    partial: true,
                }),
        ),
        Route::new(
            Get,
            "/v1/patients/{id}",
            READ_PATIENT,
            reads::anywhere,
            Doc::new(
                "findPatient",
                "One patient, wherever it is registered",
                Gives::Record(schema_of::<Patient>()),
            )
            .query("as_of", "moment", AS_OF_SAYS),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/patients/{id}/merge",
            WRITE_PATIENTS,
            &commands::MERGE,
            Doc::new(
                "mergePatients",
                "Merge a registration into another of the same person",
                outcome::<Patient>(false),
            )
            .if_match()
            .body(BodyDoc {
                name: "MergePatients",
                command: patients::MergePatients::schema(),
                set_by_server: commands::MERGE_SET,
                partial: false,
            }),
        ),
    ]
}
