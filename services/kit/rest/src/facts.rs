//! Which facts a caller may see among events, and how they are shown to it.
//!
//! A fact goes by the permission to read the resource that it states: what a caller may not read
//! there, it does not meet here either. The domains declare which that is ([`Face::reads`],
//! [`Face::reads_apart`]); a type of no domain that has a face has a permission of its own.

use kit_event::UnitId;
use kit_policy::{Permission, Reach, Resource, authorize};
use kit_request::tracked::REQUEST_FACTS;
use kit_timeline::{TimelineRow, VisibleTypes};
use kit_token::Verified;
use serde_json::json;
use uuid::Uuid;

use crate::Face;

/// See facts of types that no domain declares: nobody here knows what such a fact says of whom.
pub const READ_GENERIC: Permission = Permission {
    name: "events.generic",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// The permissions by which facts are seen.
pub struct FactAccess {
    faces: Vec<&'static dyn Face>,
    /// By how types begin.
    rules: Vec<(String, Permission)>,
}

impl FactAccess {
    /// As these domains declare it.
    pub fn of(faces: impl IntoIterator<Item = &'static dyn Face>) -> Self {
        let faces: Vec<_> = faces.into_iter().collect();
        let mut rules = Vec::new();
        for face in &faces {
            rules.push((format!("{}.", face.name()), face.reads()));
            let apart = face.reads_apart().iter();
            rules.extend(apart.map(|(prefix, permission)| ((*prefix).to_owned(), *permission)));
        }
        Self { faces, rules }
    }

    /// Every permission that some fact asks for.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        self.rules.iter().map(|(_, permission)| *permission).chain([READ_GENERIC])
    }

    /// The types of which `who` may see facts: those of a unit, or of one patient there.
    #[must_use]
    pub fn visible(&self, who: &Verified, unit: &UnitId, patient: Option<Uuid>) -> VisibleTypes {
        let resource = Resource { unit, patient };
        let may = |permission: &Permission| authorize(who, permission, &resource).is_ok();
        let rules = self.rules.iter().map(|(prefix, it)| (prefix.clone(), may(it)));
        VisibleTypes::new(rules, may(&READ_GENERIC))
    }

    /// A fact as it is shown to who may see these types.
    #[must_use]
    pub fn shown(&self, visible: &VisibleTypes, mut fact: TimelineRow) -> TimelineRow {
        if !visible.shows(REQUEST_FACTS) {
            // Whoever sees no requests learns of none by what it led to.
            fact.causation_id = None;
        }
        let domain = fact.type_name.split('.').next().unwrap_or_default();
        if !visible.shows_fact(&fact.type_name, &fact.body) {
            withhold(&mut fact);
        } else if let Some(face) = self.faces.iter().find(|face| face.name() == domain) {
            fact.body = face.shown(std::mem::take(&mut fact.body));
        }
        fact
    }
}

/// Of a placeholder whose type the caller may not see nothing is left but that its number is taken.
fn withhold(fact: &mut TimelineRow) {
    fact.subject = None;
    fact.patient_id = None;
    fact.causation_id = None;
    fact.body = json!({"unit_id": fact.body.get("unit_id")});
}
