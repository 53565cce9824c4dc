//! Which facts a caller may see among events, and how they are shown to it.
//!
//! A fact goes by the permission to read the resource that it states: what a caller may not read
//! there, it does not meet here either. The domains declare which that is ([`crate::Face`]); a type
//! of no domain that has a face has a permission of its own.

use kit_event::UnitId;
use kit_policy::{Permission, Reach, Resource, authorize};
use kit_request::tracked::REQUEST_FACTS;
use kit_timeline::{TimelineRow, VisibleTypes};
use kit_token::Verified;
use serde_json::{Value, json};
use uuid::Uuid;

/// See facts of types that no domain declares: nobody here knows what such a fact says of whom.
pub const READ_GENERIC: Permission = Permission {
    name: "events.generic",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// How a domain shows the state that a fact carries.
pub type Show = Box<dyn Fn(Value) -> Value + Send + Sync>;

/// The permissions by which facts are seen, and how they are shown.
pub struct FactAccess {
    /// By how types begin.
    rules: Vec<(String, Permission)>,
    /// By domain.
    shows: Vec<(&'static str, Show)>,
}

impl FactAccess {
    /// With these rules, by how types begin, and these ways to show a fact, by domain.
    pub fn new(
        rules: impl IntoIterator<Item = (String, Permission)>,
        shows: impl IntoIterator<Item = (&'static str, Show)>,
    ) -> Self {
        Self { rules: rules.into_iter().collect(), shows: shows.into_iter().collect() }
    }

    /// Every permission that some fact asks for.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        self.rules.iter().map(|(_, permission)| *permission).chain([READ_GENERIC])
    }

    /// The types of which `who` may see facts: those of a unit, or of one patient there.
    #[must_use]
    pub fn visible(&self, who: &Verified, unit: &UnitId, patient: Option<Uuid>) -> VisibleTypes {
        let resource = Resource::of(unit).about(patient);
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
        } else if let Some((_, show)) = self.shows.iter().find(|(name, _)| *name == domain) {
            fact.body = show(std::mem::take(&mut fact.body));
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
