//! FHIR resources as rows of a practice: one function for each kind that has a place there.
//!
//! An encounter is a visit of the past, a claim an invoice for it, an explanation of benefits the
//! payer's payment. What a row cannot do without is looked for first, so that a refused record has
//! written nothing.

use rusqlite::ToSql;
use uuid::Uuid;

use super::amount::minor;
use super::books::{BY_INSURANCE, Books, Form, Refused};
use super::fhir::{
    Address, Benefit, Claim, Contact, Encounter, HumanName, Money, Patient, Practitioner,
    PractitionerRole, Reference,
};
use super::people::{Practitioners, Told, split};
use super::reference::{Aliases, Target, target, token};
use super::report::Report;
use super::text::{clean, cleaned, first_instant, instant};
use crate::Table;

pub(super) const NO_ID: Refused = Refused::Skip("its id is no UUID");
pub(super) const NO_NAME: Refused = Refused::Skip("it has no family name");
pub(super) const NO_PATIENT: Refused = Refused::Skip("its patient is not in the clinic");
pub(super) const NO_PRACTITIONER: Refused = Refused::Skip("its practitioner is not known");
pub(super) const NO_TIME: Refused = Refused::Skip("it has no start or no end");
pub(super) const NO_LENGTH: Refused = Refused::Skip("it does not end after it starts");
pub(super) const NO_DATE: Refused = Refused::Skip("it says no time");
pub(super) const NO_AMOUNT: Refused = Refused::Skip("its amount is none, or in no currency");
pub(super) const NO_INVOICE: Refused = Refused::Skip("its claim is not in the clinic");
pub(super) const NOTHING_PAID: Refused = Refused::Skip("it pays nothing");
pub(super) const PAID_OTHERWISE: Refused =
    Refused::Skip("its claim is paid by what Synthea's other form tells");
pub(super) const ROUNDED: &str = "its amount was rounded to a minor unit";
pub(super) const LOOSE: &str = "its appointment is not in the clinic";
pub(super) const UNBORN: &str = "no date of birth";

/// Where the rows of one document go.
pub(super) struct Taker<'t> {
    pub books: &'t Books<'t>,
    pub people: &'t mut Practitioners,
    pub report: &'t mut Report,
    /// Where its references look.
    pub scope: &'t str,
    /// As the report names it.
    pub place: &'t str,
    pub told: &'t mut Told,
    /// Something that a reference names was not there, and may come in another file.
    pub waits: &'t mut bool,
}

impl Taker<'_> {
    /// Remembers a specialty; roles have no row of their own.
    pub fn role(&mut self, role: &PractitionerRole) {
        let concepts = role.specialty.iter().chain(&role.code);
        let specialty = concepts.filter_map(|concept| concept.name()).find_map(clean);
        let Some(reference) = &role.practitioner else { return };
        let key = match target(reference, "Practitioner") {
            Some(Target::Id(id)) => id.to_string(),
            Some(Target::Identifier(token)) => token,
            None => return,
        };
        if let Some(specialty) = specialty {
            self.people.specialise(self.scope, key, specialty);
        }
    }

    /// A practitioner, whom later references find by id and by each identifier.
    pub fn practitioner(&mut self, of: &Practitioner, source: Uuid) -> Result<bool, Refused> {
        let id = self.books.id_of(Table::Practitioners, source);
        let tokens: Vec<String> = of.identifier.iter().filter_map(token).collect();
        for token in &tokens {
            self.people.remember(self.scope, token.clone(), id);
        }
        let (family, given) = called(&of.name).ok_or(NO_NAME)?;
        let keys: Vec<String> = tokens.into_iter().chain([source.to_string()]).collect();
        let specialty = self.people.specialty(self.scope, &keys);
        let row: [&dyn ToSql; 5] =
            [&id.to_string(), &family, &given, &specialty, &of.active.unwrap_or(true)];
        Ok(self.books.put(Table::Practitioners, &row)?)
    }

    /// A patient. One whose birth date is missing or only partly known is registered all the same,
    /// as a desk would.
    pub fn patient(&mut self, of: &Patient, source: Uuid) -> Result<bool, Refused> {
        let id = self.books.id_of(Table::Patients, source);
        let (family, given) = called(&of.name).ok_or(NO_NAME)?;
        let birth_date = cleaned(of.birth_date.as_deref());
        let address = of.address.first();
        let of_address = |field: fn(&Address) -> Option<&str>| cleaned(address.and_then(field));
        // The day where it was, or as much of it as is known.
        let died = of.deceased_date_time.as_deref();
        let deceased_on = died.and_then(|at| clean(at.split('T').next()?));
        let row: [&dyn ToSql; 14] = [
            &id.to_string(),
            &record_number(of).and_then(clean),
            &family,
            &given,
            &birth_date,
            &cleaned(of.gender.as_deref()),
            &contact(&of.telecom, "phone"),
            &contact(&of.telecom, "email"),
            &address.and_then(|address| clean(&line(address))),
            &of_address(|address| address.city.as_deref()),
            &of_address(|address| address.postal_code.as_deref()),
            &of_address(|address| address.country.as_deref()),
            &deceased_on,
            &of.active.unwrap_or(true),
        ];
        let new = self.books.put(Table::Patients, &row)?;
        if new && birth_date.is_none() {
            self.report.lessen(Table::Patients, UNBORN);
        }
        if new && deceased_on.is_none() && of.deceased_boolean == Some(true) {
            self.report.lessen(Table::Patients, "dead, and no date of death");
        }
        Ok(new)
    }

    /// An encounter, as an appointment with the first practitioner who is known.
    pub fn encounter(
        &mut self,
        of: &Encounter,
        source: Uuid,
        aliases: &Aliases,
    ) -> Result<bool, Refused> {
        let status = visit_status(of.status.as_deref().unwrap_or_default())?;
        let patient = self.patient_of(of.subject.as_ref(), aliases)?;
        self.told.insert((Table::Appointments, patient));
        let period = of.period.as_ref().ok_or(NO_TIME)?;
        let time = |text: &Option<String>| text.as_deref().and_then(instant).ok_or(NO_TIME);
        let (starts_at, ends_at) = (time(&period.start)?, time(&period.end)?);
        if ends_at <= starts_at {
            return Err(NO_LENGTH);
        }
        let mut practitioner = None;
        for individual in of.participant.iter().filter_map(|with| with.individual.as_ref()) {
            let (people, books) = (&*self.people, self.books);
            let (report, waits) = (&mut *self.report, &mut *self.waits);
            practitioner = people.find(books, self.scope, individual, aliases, report, waits)?;
            if practitioner.is_some() {
                break;
            }
        }
        let practitioner = practitioner.ok_or(NO_PRACTITIONER)?;
        let class = of.class.as_ref().and_then(|class| class.code.as_deref());
        let reason = of.r#type.iter().filter_map(|kind| kind.name()).find_map(clean);
        let row: [&dyn ToSql; 8] = [
            &self.books.id_of(Table::Appointments, source).to_string(),
            &patient.to_string(),
            &practitioner.to_string(),
            &starts_at.to_string(),
            &ends_at.to_string(),
            &status,
            &modality(class),
            &reason,
        ];
        Ok(self.books.put(Table::Appointments, &row)?)
    }

    /// A claim, as an invoice over its total.
    pub fn claim(&mut self, of: &Claim, source: Uuid, aliases: &Aliases) -> Result<bool, Refused> {
        let status = match of.status.as_deref() {
            Some("active") => "issued",
            Some("cancelled") => "voided",
            Some("draft") => return Err(Refused::Skip("it is a draft")),
            Some("entered-in-error") => return Err(Refused::Skip("it was entered in error")),
            Some(_) | None => return Err(Refused::Skip("its status is unknown")),
        };
        let patient = self.patient_of(of.patient.as_ref(), aliases)?;
        self.told.insert((Table::Invoices, patient));
        let period = of.billable_period.as_ref();
        let issued_at = first_instant(&[
            of.created.as_deref(),
            period.and_then(|period| period.end.as_deref()),
            period.and_then(|period| period.start.as_deref()),
        ]);
        let issued_at = issued_at.ok_or(NO_DATE)?;
        let (total, currency, rounded) = money(of.total.as_ref())?;
        let visits = of.item.iter().flat_map(|item| &item.encounter);
        let visit = visits.into_iter().find_map(|visit| target(visit, "Encounter"));
        let appointment = match &visit {
            Some(Target::Id(id)) => {
                let id = self.books.id_of(Table::Appointments, aliases.own(*id));
                self.books.known(Table::Appointments, id)?
            }
            Some(Target::Identifier(_)) | None => None,
        };
        let row: [&dyn ToSql; 7] = [
            &self.books.id_of(Table::Invoices, source).to_string(),
            &patient.to_string(),
            &appointment.map(|id| id.to_string()),
            &issued_at.to_string(),
            &currency,
            &total,
            &status,
        ];
        let new = self.books.put(Table::Invoices, &row)?;
        if new && rounded {
            self.report.lessen(Table::Invoices, ROUNDED);
        }
        if new && visit.is_some() && appointment.is_none() {
            *self.waits = true;
            self.report.lessen(Table::Invoices, LOOSE);
        }
        Ok(new)
    }

    /// An explanation of benefits, as what the payer paid for its claim.
    pub fn benefit(
        &mut self,
        of: &Benefit,
        source: Uuid,
        aliases: &Aliases,
    ) -> Result<bool, Refused> {
        if of.status.as_deref() != Some("active") {
            return Err(Refused::Skip("it is not active"));
        }
        let claim = of.claim.as_ref().and_then(|claim| target(claim, "Claim"));
        let Some(Target::Id(claim)) = claim else { return Err(NO_INVOICE) };
        let invoice = self.books.id_of(Table::Invoices, aliases.own(claim));
        let known = self.books.known(Table::Invoices, invoice)?;
        *self.waits |= known.is_none();
        let invoice = known.ok_or(NO_INVOICE)?;
        if let Some(patient) = self.books.patient_of(invoice)? {
            self.told.insert((Table::Payments, patient));
        }
        let id = self.books.id_of(Table::Payments, source);
        if self.books.holds(Table::Payments, &id)? {
            return Ok(false);
        }
        if self.books.paid_by(invoice, Form::Transactions)? {
            return Err(PAID_OTHERWISE);
        }
        let payment = of.payment.as_ref().ok_or(NOTHING_PAID)?;
        let (amount, currency, rounded) = money(payment.amount.as_ref())?;
        if amount == 0 {
            return Err(NOTHING_PAID);
        }
        let period = of.billable_period.as_ref();
        let paid_at = first_instant(&[
            payment.date.as_deref(),
            of.created.as_deref(),
            period.and_then(|period| period.start.as_deref()),
        ]);
        let row: [&dyn ToSql; 7] = [
            &id.to_string(),
            &invoice.to_string(),
            &paid_at.ok_or(NO_DATE)?.to_string(),
            &currency,
            &amount,
            &BY_INSURANCE,
            &source.to_string(),
        ];
        let new = self.books.put(Table::Payments, &row)?;
        if new && rounded {
            self.report.lessen(Table::Payments, ROUNDED);
        }
        Ok(new)
    }

    fn patient_of(
        &mut self,
        reference: Option<&Reference>,
        aliases: &Aliases,
    ) -> Result<Uuid, Refused> {
        let named = reference.and_then(|reference| target(reference, "Patient"));
        let Some(Target::Id(source)) = named else { return Err(NO_PATIENT) };
        let id = self.books.id_of(Table::Patients, aliases.own(source));
        let known = self.books.known(Table::Patients, id)?;
        *self.waits |= known.is_none();
        known.ok_or(NO_PATIENT)
    }
}

/// Family and given name: of the official name, else of the first that has a family name, else of
/// one that is in one piece.
fn called(names: &[HumanName]) -> Option<(String, Option<String>)> {
    let family = |name: &HumanName| cleaned(name.family.as_deref());
    let official = |name: &&HumanName| name.r#use.as_deref() == Some("official");
    let mut whole = names.iter().filter(|name| family(name).is_some());
    let first = whole.clone().next();
    if let Some(name) = whole.find(official).or(first) {
        return Some((family(name)?, name.given().as_deref().and_then(clean)));
    }
    let text = names.iter().find_map(|name| cleaned(name.text.as_deref()))?;
    let (given, family) = split(&text);
    Some((family.to_owned(), given.and_then(clean)))
}

/// The value of the identifier of type `MR`.
fn record_number(of: &Patient) -> Option<&str> {
    let is_record = |codings: &[super::fhir::Coding]| {
        codings.iter().any(|coding| coding.code.as_deref() == Some("MR"))
    };
    let of_type = |kind: &super::fhir::Concept| is_record(&kind.coding);
    let record = of.identifier.iter().find(|id| id.r#type.as_ref().is_some_and(of_type))?;
    record.value.as_deref()
}

fn contact(contacts: &[Contact], system: &str) -> Option<String> {
    let found = contacts.iter().find(|contact| contact.system.as_deref() == Some(system))?;
    cleaned(found.value.as_deref())
}

fn line(address: &Address) -> String {
    address.line.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Minor units, currency, and whether something finer was rounded away.
fn money(of: Option<&Money>) -> Result<(i64, &str, bool), Refused> {
    let money = of.ok_or(NO_AMOUNT)?;
    let currency = money.currency.as_deref().ok_or(NO_AMOUNT)?;
    let digits = money.value.as_ref().ok_or(NO_AMOUNT)?.get();
    let amount = minor(digits, currency).ok_or(NO_AMOUNT)?;
    Ok((amount.minor, currency, amount.rounded))
}

/// The diary's word for an encounter's status.
fn visit_status(status: &str) -> Result<&'static str, Refused> {
    match status {
        "planned" => Ok("booked"),
        "arrived" | "triaged" | "in-progress" | "onleave" => Ok("arrived"),
        "finished" => Ok("fulfilled"),
        "cancelled" => Ok("cancelled"),
        "entered-in-error" => Err(Refused::Skip("it was entered in error")),
        _ => Err(Refused::Skip("its status is unknown")),
    }
}

/// HL7's ActCode says where people met; where it says nothing of the kind, they met in person.
fn modality(class: Option<&str>) -> &'static str {
    match class {
        Some("VR") => "video",
        Some(_) | None => "in-person",
    }
}
