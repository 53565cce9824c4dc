//! Who may do what: permissions as data, and the one decision about a resource.
//!
//! A domain declares its permissions as constants, each with its reach for every kind of caller.
//! Whoever serves a request asks twice: may this kind of caller do such a thing at all
//! ([`Permission::reach`]), and may it do it to this resource ([`authorize`]).
//!
//! The crate must never know a route, a domain, or how a rejection is told.

use std::sync::Arc;

use kit_event::{RequestId, UnitId};
use kit_token::{Kind, Verified};
use uuid::Uuid;

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// Not at all: the address does not exist for this caller.
    Nothing,
    /// Everything in the caller's units.
    Units,
    /// What concerns the caller's own registration, in its one unit.
    Own,
    /// Everything in every unit but what says something about a person.
    Envelope,
}

/// What a route does, and who may do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permission {
    /// Its name, as the OpenAPI document carries it: `appointments.book`.
    pub name: &'static str,
    /// For the staff of a unit.
    pub staff: Reach,
    /// For a patient.
    pub patient: Reach,
    /// For a partner.
    pub partner: Reach,
    /// For who runs the network.
    pub admin: Reach,
}

impl Permission {
    /// Pages without data, for everybody, with or without a token.
    pub const PUBLIC: Self = Self {
        name: "public",
        staff: Reach::Units,
        patient: Reach::Units,
        partner: Reach::Units,
        admin: Reach::Units,
    };

    /// How far it reaches for a kind of caller. Agents have no business at REST at all.
    #[must_use]
    pub const fn reach(&self, kind: Kind) -> Reach {
        match kind {
            Kind::Staff => self.staff,
            Kind::Patient => self.patient,
            Kind::Partner => self.partner,
            Kind::Admin => self.admin,
            Kind::Agent => Reach::Nothing,
        }
    }
}

/// A verified caller with the reach that a permission gives it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub verified: Arc<Verified>,
    /// How far it may go.
    pub reach: Reach,
}

/// What an action is about.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// The unit that has it.
    pub unit: &'a UnitId,
    /// The one patient whom it concerns, where that is known.
    pub patient: Option<Uuid>,
}

/// The caller may not, and must not learn whether there is such a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the resource is out of this caller's reach")]
pub struct Denied;

/// Whether `who` may do `action` to `resource`.
///
/// # Errors
/// [`Denied`].
pub fn authorize(
    who: &Verified,
    action: &Permission,
    resource: &Resource<'_>,
) -> Result<(), Denied> {
    let within =
        who.sees(resource.unit) && within(action.reach(who.kind), who.patient, resource.patient);
    if within { Ok(()) } else { Err(Denied) }
}

/// A record that concerns nobody known is nobody's own.
fn within(reach: Reach, own: Option<Uuid>, patient: Option<Uuid>) -> bool {
    match reach {
        Reach::Nothing | Reach::Envelope => false,
        Reach::Units => true,
        Reach::Own => patient.is_some() && patient == own,
    }
}

impl Caller {
    /// Whether a record that concerns `patient`, in a unit that the caller sees, is within reach.
    #[must_use]
    pub fn sees_patient(&self, patient: Option<Uuid>) -> bool {
        within(self.reach, self.verified.patient, patient)
    }

    /// The id of this caller's request to `unit` under `key`.
    #[must_use]
    pub fn request_id(&self, unit: &UnitId, key: &str) -> RequestId {
        RequestId::derive(unit, &self.verified.issuer, &self.verified.subject, key)
    }

    /// The registration that the caller is confined to, where it is.
    #[must_use]
    pub fn own_patient(&self) -> Option<Uuid> {
        match self.verified.kind {
            Kind::Patient => self.verified.patient,
            Kind::Staff | Kind::Partner | Kind::Admin | Kind::Agent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Permission = Permission {
        name: "things.read",
        staff: Reach::Units,
        patient: Reach::Own,
        partner: Reach::Nothing,
        admin: Reach::Envelope,
    };

    #[test]
    fn an_agent_may_do_nothing_and_own_means_a_known_patient() {
        assert_eq!(READ.reach(Kind::Agent), Reach::Nothing);
        assert_eq!(Permission::PUBLIC.reach(Kind::Agent), Reach::Nothing);
        let (own, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        assert!(within(READ.reach(Kind::Patient), own, own));
        for (mine, whose) in [(own, other), (own, None), (None, None), (None, other)] {
            assert!(!within(READ.reach(Kind::Patient), mine, whose), "{mine:?} {whose:?}");
        }
        assert!(within(READ.reach(Kind::Staff), None, None));
        for kind in [Kind::Partner, Kind::Admin, Kind::Agent] {
            assert!(!within(READ.reach(kind), own, own), "{kind}");
        }
    }
}
