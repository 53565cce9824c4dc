//! The fields of a body on their way to a command.

use kit_event::FieldProblem;
use kit_http::Problem;
use kit_http::problem::INVALID_FIELDS;
use serde::Serialize;
use serde_json::{Map, Value};

/// Refuses fields that are the server's to set, in the words for fields that do not exist.
///
/// # Errors
/// `invalid-fields`.
pub fn refuse_set(fields: &Map<String, Value>, set: &[&str]) -> Result<(), Problem> {
    match fields.keys().find(|field| set.contains(&field.as_str())) {
        Some(field) => {
            Err(Problem::from(INVALID_FIELDS).field(field, "is no field of this request"))
        }
        None => Ok(()),
    }
}

/// Sets a field that is the server's to set.
pub fn set(fields: &mut Map<String, Value>, field: &str, value: &impl ToString) {
    fields.insert(field.to_owned(), Value::String(value.to_string()));
}

/// The rules that fields obey by themselves.
///
/// # Errors
/// `invalid-fields`, with every field that breaks its rule.
pub fn check(rules: Result<(), Vec<FieldProblem>>) -> Result<(), Problem> {
    let Err(broken) = rules else { return Ok(()) };
    let problem = Problem::from(INVALID_FIELDS);
    Err(broken.into_iter().fold(problem, |problem, it| problem.field(it.field, it.reason)))
}

/// A command as its struct writes it, so that the same command has the same hash however it was
/// spelt.
/// # Errors
/// Never: ids, times and text have a JSON form.
pub fn canonical(command: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(command).map_err(|_| kit_http::problem::INTERNAL.into())
}
