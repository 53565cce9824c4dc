//! What the faces declare, as plain data in the form in which it is asked for.

use std::collections::BTreeMap;

use kit_http::ProblemKind;
use kit_policy::Permission;

use crate::chart::Part;
use crate::facts::FactAccess;

/// What all faces together declare.
pub struct Declared {
    /// Every kind of problem that has a page.
    pub problems: Vec<ProblemKind>,
    /// Which facts a caller may see.
    pub facts: FactAccess,
    /// By its type, what a caller must be allowed for to ask for a command.
    pub commands: BTreeMap<&'static str, Permission>,
    /// The parts of the first page of a chart.
    pub chart: Vec<Part>,
}
