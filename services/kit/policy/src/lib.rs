//! Who may do what: permissions as data, and the one decision about a resource.
//!
//! A domain declares its permissions as constants, each with its reach for every kind of caller.
//! Whoever serves a request asks twice: may this kind of caller do such a thing at all
//! ([`Permission::reach`]), and may it do it to this resource ([`authorize`], or [`confine`] for a
//! list). Handlers say what the resource is; nobody else compares a caller with one.
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

/// A verified caller and what it is about to do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub verified: Arc<Verified>,
    /// What it does.
    pub action: Permission,
}

/// What an action is about.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// The unit that has it.
    pub unit: &'a UnitId,
    /// The one patient whom it concerns, where that is known.
    pub patient: Option<Uuid>,
    /// Who made it, where that makes it the maker's own: as [`Verified::actor`] names callers.
    pub made_by: Option<&'a str>,
    /// Whether it can be shown without what says something about a person.
    pub has_envelope: bool,
}

impl<'a> Resource<'a> {
    /// Something of a unit that concerns nobody in particular.
    #[must_use]
    pub const fn of(unit: &'a UnitId) -> Self {
        Self { unit, patient: None, made_by: None, has_envelope: false }
    }

    /// It concerns this patient, where that is known.
    #[must_use]
    pub const fn about(self, patient: Option<Uuid>) -> Self {
        Self { patient, ..self }
    }

    /// This caller made it.
    #[must_use]
    pub const fn made_by(self, actor: Option<&'a str>) -> Self {
        Self { made_by: actor, ..self }
    }

    /// It can be shown without what says something about a person.
    #[must_use]
    pub const fn with_envelope(self) -> Self {
        Self { has_envelope: true, ..self }
    }
}

/// How much of a resource a caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All of it.
    Whole,
    /// All but what says something about a person.
    Envelope,
}

/// The caller may not, and must not learn whether there is such a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the resource is out of this caller's reach")]
pub struct Denied;

/// Whether `who` may do `action` to `resource`, and how much of it that shows. This is the one
/// place that decides about a resource.
///
/// # Errors
/// [`Denied`].
pub fn authorize(
    who: &Verified,
    action: &Permission,
    resource: &Resource<'_>,
) -> Result<Sight, Denied> {
    if !who.sees(resource.unit) {
        return Err(Denied);
    }
    match action.reach(who.kind) {
        Reach::Units => Ok(Sight::Whole),
        Reach::Own if is_own(who, resource) => Ok(Sight::Whole),
        Reach::Envelope if resource.has_envelope => Ok(Sight::Envelope),
        Reach::Nothing | Reach::Own | Reach::Envelope => Err(Denied),
    }
}

/// A record that concerns nobody known, and that nobody is said to have made, is nobody's own.
fn is_own(who: &Verified, resource: &Resource<'_>) -> bool {
    let made_it = resource.made_by.is_some_and(|actor| actor == who.actor());
    made_it || (resource.patient.is_some() && resource.patient == who.patient)
}

/// Those to whom a list is confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Their registration.
    pub patient: Uuid,
    /// Their name as makers of requests.
    pub actor: String,
}

/// To whose resources of a unit a list made by `action` is confined; to nobody's where there is
/// none. It gives what [`authorize`] would let through one by one.
///
/// # Errors
/// [`Denied`]: nothing is within reach.
pub fn confine(who: &Verified, action: &Permission) -> Result<Option<Own>, Denied> {
    match action.reach(who.kind) {
        Reach::Nothing => Err(Denied),
        Reach::Units | Reach::Envelope => Ok(None),
        Reach::Own => {
            let patient = who.patient.ok_or(Denied)?;
            Ok(Some(Own { patient, actor: who.actor() }))
        }
    }
}

impl Caller {
    /// Whether the caller may do what it is about to do to `resource`.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn authorize(&self, resource: &Resource<'_>) -> Result<Sight, Denied> {
        authorize(&self.verified, &self.action, resource)
    }

    /// To whose resources a list is confined.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn confine(&self) -> Result<Option<Own>, Denied> {
        confine(&self.verified, &self.action)
    }

    /// The units whose resources the caller may see; none where that is every one.
    #[must_use]
    pub fn units(&self) -> Option<&[UnitId]> {
        match self.verified.kind {
            Kind::Admin => None,
            Kind::Staff | Kind::Patient | Kind::Partner | Kind::Agent => Some(&self.verified.units),
        }
    }

    /// The id of this caller's request to `unit` under `key`.
    #[must_use]
    pub fn request_id(&self, unit: &UnitId, key: &str) -> RequestId {
        RequestId::derive(unit, &self.verified.issuer, &self.verified.subject, key)
    }
}

#[cfg(test)]
mod tests {
    use kit_event::Timestamp;

    use super::*;

    const READ: Permission = Permission {
        name: "things.read",
        staff: Reach::Units,
        patient: Reach::Own,
        partner: Reach::Nothing,
        admin: Reach::Envelope,
    };
    const ANA: Option<Uuid> = Some(Uuid::from_u128(1));
    const EVA: Option<Uuid> = Some(Uuid::from_u128(2));

    fn caller(kind: Kind, patient: Option<Uuid>) -> Verified {
        Verified {
            kind,
            issuer: "i".to_owned(),
            subject: "s".to_owned(),
            units: vec!["hcu-0001".parse().unwrap()],
            patient,
            token_id: "t".to_owned(),
            expires_at: Timestamp::from_unix_ms(0),
        }
    }

    #[test]
    fn own_is_what_concerns_a_known_patient_or_what_the_caller_made() {
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let may = |own, resource: Resource<'_>| {
            authorize(&caller(Kind::Patient, own), &READ, &resource).is_ok()
        };
        let of = Resource::of(&unit);
        assert!(may(ANA, of.about(ANA)));
        for (own, whose) in [(ANA, EVA), (ANA, None), (None, None), (None, EVA)] {
            assert!(!may(own, of.about(whose)), "{own:?} {whose:?}");
        }
        let actor = caller(Kind::Patient, ANA).actor();
        assert!(may(ANA, of.about(EVA).made_by(Some(&actor))));
        assert!(!may(ANA, of.about(EVA).made_by(Some("another"))));
    }

    #[test]
    fn a_foreign_unit_is_out_of_reach_and_an_agent_may_do_nothing() {
        let (unit, foreign) = ("hcu-0001".parse().unwrap(), "hcu-0002".parse().unwrap());
        for (kind, own) in [(Kind::Staff, Ok(Sight::Whole)), (Kind::Partner, Err(Denied))] {
            let who = caller(kind, None);
            assert_eq!(authorize(&who, &READ, &Resource::of(&unit).about(ANA)), own, "{kind}");
            let foreign = Resource::of(&foreign).about(ANA);
            assert_eq!(authorize(&who, &READ, &foreign), Err(Denied), "{kind}");
        }
        let agent = caller(Kind::Agent, ANA);
        for action in [READ, Permission::PUBLIC] {
            assert_eq!(authorize(&agent, &action, &Resource::of(&unit).about(ANA)), Err(Denied));
        }
    }

    #[test]
    fn an_envelope_is_seen_only_where_there_is_one() {
        let unit = "hcu-0001".parse().unwrap();
        let (admin, of) = (caller(Kind::Admin, None), Resource::of(&unit).about(ANA));
        assert_eq!(authorize(&admin, &READ, &of), Err(Denied));
        assert_eq!(authorize(&admin, &READ, &of.with_envelope()), Ok(Sight::Envelope));
    }

    #[test]
    fn a_list_is_confined_to_what_would_be_let_through_one_by_one() {
        let own = confine(&caller(Kind::Patient, ANA), &READ).unwrap().unwrap();
        assert_eq!(Some(own.patient), ANA);
        assert_eq!(confine(&caller(Kind::Staff, None), &READ), Ok(None));
        assert_eq!(confine(&caller(Kind::Patient, None), &READ), Err(Denied));
        assert_eq!(confine(&caller(Kind::Partner, None), &READ), Err(Denied));
    }
}
