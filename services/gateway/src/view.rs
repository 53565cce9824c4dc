//! Which facts of a unit a caller is shown, and a page of them.

use kit_event::{UnitId, UnitSeq};
use kit_policy::Caller;
use kit_request::ports::OfPatient;
use kit_rest::Rest;
use kit_rest::as_of::SCHEMA;
use kit_store::{Fresh, Freshness, StoreError};
use kit_timeline::{EventFilter, PatientFilter, TimelineRow, VisiblePage, VisibleTypes};
use uuid::Uuid;

use crate::Gateway;
use crate::event::Event;

/// The schema of the read model that tells which facts speak of a patient's requests.
pub const REQUESTS_SCHEMA: &str = "requests";
/// Whose events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Everything that the unit states.
    Unit,
    /// What tells a patient something.
    Patient {
        /// Which.
        patient_id: Uuid,
        /// The patient itself, where it is the one that asks: requests that it made are its own,
        /// whether they name it or not.
        actor: Option<String>,
    },
}

/// Which events of a unit.
#[derive(Debug, Clone)]
pub struct View {
    /// The unit.
    pub unit: UnitId,
    /// Whose.
    pub whose: Whose,
    /// Only these types; all that are visible where there is none.
    pub types: Option<Vec<String>>,
    /// The types that the caller may see.
    pub visible: VisibleTypes,
}

impl View {
    /// What `caller` may see of a unit, where it asks for these types. One that it may not see is
    /// asked for as one that nobody ever stated.
    #[must_use]
    pub fn of(rest: &Rest, caller: &Caller, unit: UnitId, whose: Whose, types: &[String]) -> Self {
        let patient = match &whose {
            Whose::Unit => None,
            Whose::Patient { patient_id, .. } => Some(*patient_id),
        };
        let visible = rest.declared.facts.visible(&caller.verified, &unit, patient);
        let seen = || types.iter().filter(|it| visible.shows(it)).cloned().collect();
        let types = (!types.is_empty()).then(seen);
        Self { unit, whose, types, visible }
    }
}

/// A page of events.
pub struct EventPage {
    /// In order.
    pub items: Vec<Event>,
    /// Up to here there is nothing else for the caller to see, and there may be more behind it.
    pub passed: Option<UnitSeq>,
    /// How far the answer reaches.
    pub freshness: Option<Freshness>,
    /// The timeline knows more, but not yet whether it speaks of this patient.
    pub behind: bool,
}

impl Gateway {
    /// The events of a view after a number, in order.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn events(
        &self,
        view: &View,
        after: UnitSeq,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        match &view.whose {
            Whose::Unit => self.of_unit(view, after, limit).await,
            Whose::Patient { patient_id, actor } => {
                self.of_patient(view, (*patient_id, actor.as_deref()), after, limit).await
            }
        }
    }

    async fn of_unit(
        &self,
        view: &View,
        after: UnitSeq,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let (pool, unit) = (&self.rest.pool, &view.unit);
        let (found, passed) = match &view.types {
            None if !view.visible.is_all() => {
                let visible = &view.visible;
                let found = kit_timeline::visible_events(pool, unit, after, visible, limit).await?;
                let VisiblePage { lines, passed } = found.value;
                (Fresh { freshness: found.freshness, value: lines }, passed)
            }
            Some(types) if types.is_empty() => {
                let freshness = kit_store::freshness(pool, unit, &[SCHEMA]).await?;
                (Fresh { freshness, value: Vec::new() }, None)
            }
            types => {
                let types = types.clone().unwrap_or_default();
                let filter = EventFilter { after, types, patient_id: None };
                (kit_timeline::events(pool, unit, &filter, limit).await?, None)
            }
        };
        let event = |row| Event::from(self.rest.declared.facts.shown(&view.visible, row));
        let items = found.value.into_iter().map(event).collect();
        Ok(EventPage { items, passed, freshness: found.freshness, behind: false })
    }

    async fn of_patient(
        &self,
        view: &View,
        (patient_id, actor): (Uuid, Option<&str>),
        after: UnitSeq,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let (pool, unit) = (&self.rest.pool, &view.unit);
        let log = self.requests().log.identity(0);
        let cluster = log.split('/').next().unwrap_or_default();
        // First what is said of requests, then the facts as far as that reaches: whatever was
        // committed in between is for the next page.
        let whose = OfPatient { patient: patient_id, actor, cluster };
        let mut words = self.requests().book.words_of_patient(unit, whose, after).await?;
        let (upto, also) = (words.upto, words.of.keys().copied().collect());
        let (visible, types) = (view.visible.clone(), view.types.clone().unwrap_or_default());
        let nothing = view.types.as_ref().is_some_and(Vec::is_empty);
        let visible = if nothing { VisibleTypes::new([], false) } else { visible };
        let filter = PatientFilter { patient_id, after, upto, types, also, visible };
        let found = kit_timeline::of_patient(pool, unit, &filter, limit).await?;
        let behind = found.freshness.is_some_and(|at| at.seq > upto);
        let freshness = found.freshness.map(|at| Freshness { seq: at.seq.min(upto), ..at });
        let event = |row: TimelineRow| {
            let request_ids = match row.patient_id {
                None => words.of.remove(&row.seq).unwrap_or_default(),
                Some(_) => Vec::new(),
            };
            Event { request_ids, ..Event::from(self.rest.declared.facts.shown(&view.visible, row)) }
        };
        let items = found.value.into_iter().map(event).collect();
        Ok(EventPage { items, passed: None, freshness, behind })
    }
}
