//! The routes of charts, each with its permission beside its handler.

use kit_rest::Route;
use kit_rest::as_of::SAYS as AS_OF_SAYS;
use kit_rest::route::Method::{Get, Patch, Post};
use kit_rest::route::{BodyDoc, Doc, Gives, outcome, schema_of};
use records::{Allergy, Condition, Encounter, Immunization, Observation, Procedure};
use records_store::Charted;
use utoipa::{PartialSchema, ToSchema};

use crate::permissions::{CONDUCT_ENCOUNTERS, READ_CHARTS, WRITE_CHARTS};
use crate::summary::ChartSummary;
use crate::{commands, reads};

/// All of them.
pub fn all() -> Vec<Route> {
    [lists(), singles(), recorded(), amended(), encounters(), vec![summary()]]
        .into_iter()
        .flatten()
        .collect()
}

fn list<R: Charted + ToSchema>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Route {
    let doc = Doc::new(id, summary, Gives::Page(schema_of::<R>()))
        .query("code", "search", "With this code, as code or system|code; components count too.")
        .query("category", "search", "Of this category, letter by letter.")
        .query("from", "string", "At this instant or later; a date is its first instant in UTC.")
        .query("to", "string", "Before this instant; a date is its first instant in UTC.")
        .query(
            "status",
            "search",
            "Of this FHIR status; of conditions and allergies the clinical.",
        );
    Route::new(Get, path, READ_CHARTS, reads::list::<R>, doc)
}

fn lists() -> Vec<Route> {
    vec![
        list::<Encounter>(
            "/v1/units/{unit}/patients/{id}/encounters",
            "listEncounters",
            "Encounters of a patient, the newest first",
        ),
        list::<Condition>(
            "/v1/units/{unit}/patients/{id}/conditions",
            "listConditions",
            "Conditions of a patient, the newest first",
        ),
        list::<Allergy>(
            "/v1/units/{unit}/patients/{id}/allergies",
            "listAllergies",
            "Allergies of a patient, the newest first",
        ),
        list::<Observation>(
            "/v1/units/{unit}/patients/{id}/observations",
            "listObservations",
            "Observations of a patient, the newest first",
        ),
        list::<Procedure>(
            "/v1/units/{unit}/patients/{id}/procedures",
            "listProcedures",
            "Procedures of a patient, the newest first",
        ),
        list::<Immunization>(
            "/v1/units/{unit}/patients/{id}/immunizations",
            "listImmunizations",
            "Immunizations of a patient, the newest first",
        ),
    ]
}

fn single<R: Charted + ToSchema>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Route {
    let doc =
        Doc::new(id, summary, Gives::Record(schema_of::<R>())).query("as_of", "moment", AS_OF_SAYS);
    Route::new(Get, path, READ_CHARTS, reads::one::<R>, doc)
}

fn singles() -> Vec<Route> {
    vec![
        single::<Encounter>("/v1/units/{unit}/encounters/{id}", "getEncounter", "One encounter"),
        single::<Condition>("/v1/units/{unit}/conditions/{id}", "getCondition", "One condition"),
        single::<Allergy>("/v1/units/{unit}/allergies/{id}", "getAllergy", "One allergy"),
        single::<Observation>(
            "/v1/units/{unit}/observations/{id}",
            "getObservation",
            "One observation with its components",
        ),
        single::<Procedure>("/v1/units/{unit}/procedures/{id}", "getProcedure", "One procedure"),
        single::<Immunization>(
            "/v1/units/{unit}/immunizations/{id}",
            "getImmunization",
            "One immunization",
        ),
    ]
}

/// One line for each resource that is recorded and amended.
macro_rules! written {
    ($($resource:ident: $record:ident as $record_name:literal by $record_id:literal
       at $list:literal,
       $update:ident as $update_name:literal by $update_id:literal at $one:literal,
       $record_def:ident $record_set:ident $update_def:ident $update_set:ident;)+) => {
        fn recorded() -> Vec<Route> {
            vec![$(Route::command(
                Post,
                concat!("/v1/units/{unit}/patients/{id}/", $list),
                WRITE_CHARTS,
                &commands::$record_def,
                Doc::new(
                    $record_id,
                    concat!("Enter into a patient's chart: ", $list),
                    outcome::<$resource>(true),
                )
                .body(BodyDoc {
                    name: $record_name,
                    command: records::$record::schema(),
                    set_by_server: commands::$record_set,
                    partial: false,
                }),
            )),+]
        }

        fn amended() -> Vec<Route> {
            vec![$(Route::command(
                Patch,
                concat!("/v1/units/{unit}/", $list, "/{id}"),
                WRITE_CHARTS,
                &commands::$update_def,
                Doc::new($update_id, $one, outcome::<$resource>(false)).if_match().body(
                    BodyDoc {
                        name: $update_name,
                        command: records::$update::schema(),
                        set_by_server: commands::$update_set,
                        partial: true,
                    },
                ),
            )),+]
        }
    };
}
written! {
    Observation: RecordObservation as "RecordObservation" by "recordObservation" at "observations",
        UpdateObservation as "AmendObservation" by "amendObservation"
        at "Change the named fields of an observation, or take it back as entered in error",
        RECORD_OBSERVATION RECORD_OBSERVATION_SET UPDATE_OBSERVATION UPDATE_OBSERVATION_SET;
    Condition: RecordCondition as "RecordCondition" by "recordCondition" at "conditions",
        UpdateCondition as "AmendCondition" by "amendCondition"
        at "Change the named fields of a condition, or take it back as entered in error",
        RECORD_CONDITION RECORD_CONDITION_SET UPDATE_CONDITION UPDATE_CONDITION_SET;
    Allergy: RecordAllergy as "RecordAllergy" by "recordAllergy" at "allergies",
        UpdateAllergy as "AmendAllergy" by "amendAllergy"
        at "Change the named fields of an allergy, or take it back as entered in error",
        RECORD_ALLERGY RECORD_ALLERGY_SET UPDATE_ALLERGY UPDATE_ALLERGY_SET;
    Immunization: RecordImmunization as "RecordImmunization" by "recordImmunization"
        at "immunizations",
        UpdateImmunization as "AmendImmunization" by "amendImmunization"
        at "Change the named fields of an immunization, or take it back as entered in error",
        RECORD_IMMUNIZATION RECORD_IMMUNIZATION_SET UPDATE_IMMUNIZATION UPDATE_IMMUNIZATION_SET;
}

fn encounters() -> Vec<Route> {
    vec![
        Route::command(
            Post,
            "/v1/units/{unit}/encounters",
            CONDUCT_ENCOUNTERS,
            &commands::START_ENCOUNTER,
            Doc::new("startEncounter", "An encounter begins", outcome::<Encounter>(true)).body(
                BodyDoc {
                    name: "StartEncounter",
                    command: records::StartEncounter::schema(),
                    set_by_server: commands::START_SET,
                    partial: false,
                },
            ),
        ),
        Route::command(
            Post,
            "/v1/units/{unit}/encounters/{id}/finish",
            CONDUCT_ENCOUNTERS,
            &commands::FINISH_ENCOUNTER,
            Doc::new("finishEncounter", "An encounter is over", outcome::<Encounter>(false))
                .if_match()
                .body(BodyDoc {
                    name: "FinishEncounter",
                    command: records::FinishEncounter::schema(),
                    set_by_server: commands::FINISH_SET,
                    partial: true,
                }),
        ),
    ]
}

fn summary() -> Route {
    Route::new(
        Get,
        "/v1/units/{unit}/patients/{id}/summary",
        READ_CHARTS,
        reads::summary,
        Doc::new(
            "getSummary",
            "What a chart's first page shows, in one answer",
            Gives::State(schema_of::<ChartSummary>()),
        ),
    )
}
