//! Who may do what. Nothing is allowed that does not stand here.

use kit_token::Kind;

/// What a route does; every route names one beside its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Pages without data: problems, the OpenAPI document.
    Public,
    /// See the list of a unit's patients.
    ListPatients,
    /// See one patient.
    ReadPatient,
    /// Register patients and change registrations.
    WritePatients,
    /// See practitioners.
    ReadPractitioners,
    /// See appointments.
    ReadAppointments,
    /// Book, move and cancel appointments.
    BookAppointments,
    /// Say that a patient came, was seen, or did not come.
    ConductVisits,
    /// Ask for free slots.
    AskSlots,
    /// See invoices, balances and payments.
    ReadInvoices,
    /// Say that an invoice was paid.
    Pay,
    /// Say that a payment was given back.
    Refund,
    /// See tracked requests.
    ReadRequests,
    /// Cancel requests.
    CancelRequests,
    /// See units, their presence and freshness.
    ReadUnits,
    /// See a unit's facts, of any type and about anybody.
    ReadEvents,
    /// See the facts that tell one patient something.
    ReadPatientEvents,
}

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 17] = [
        Self::Public,
        Self::ListPatients,
        Self::ReadPatient,
        Self::WritePatients,
        Self::ReadPractitioners,
        Self::ReadAppointments,
        Self::BookAppointments,
        Self::ConductVisits,
        Self::AskSlots,
        Self::ReadInvoices,
        Self::Pay,
        Self::Refund,
        Self::ReadRequests,
        Self::CancelRequests,
        Self::ReadUnits,
        Self::ReadEvents,
        Self::ReadPatientEvents,
    ];

    /// Its name, as the OpenAPI document carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::ListPatients => "patients.list",
            Self::ReadPatient => "patients.read",
            Self::WritePatients => "patients.write",
            Self::ReadPractitioners => "practitioners.read",
            Self::ReadAppointments => "appointments.read",
            Self::BookAppointments => "appointments.book",
            Self::ConductVisits => "appointments.conduct",
            Self::AskSlots => "slots.ask",
            Self::ReadInvoices => "invoices.read",
            Self::Pay => "payments.make",
            Self::Refund => "payments.refund",
            Self::ReadRequests => "requests.read",
            Self::CancelRequests => "requests.cancel",
            Self::ReadUnits => "units.read",
            Self::ReadEvents => "events.read",
            Self::ReadPatientEvents => "patients.events",
        }
    }

    /// How far it reaches for a kind of caller. Agents have no business here at all.
    pub const fn reach(self, kind: Kind) -> Reach {
        match kind {
            Kind::Staff => Reach::Units,
            Kind::Patient => self.reach_of_patients(),
            Kind::Partner => self.reach_of_partners(),
            Kind::Admin => self.reach_of_admins(),
            Kind::Agent => Reach::Nothing,
        }
    }

    /// A patient sees and moves what is its own, and sees what one must see to book. That money
    /// came is for those to say who took it: the unit's staff.
    const fn reach_of_patients(self) -> Reach {
        match self {
            Self::ReadPatient
            | Self::ReadAppointments
            | Self::BookAppointments
            | Self::ReadInvoices
            | Self::ReadRequests
            | Self::CancelRequests
            | Self::ReadPatientEvents => Reach::Own,
            Self::Public | Self::ReadPractitioners | Self::AskSlots | Self::ReadUnits => {
                Reach::Units
            }
            Self::ListPatients
            | Self::WritePatients
            | Self::ConductVisits
            | Self::Pay
            | Self::Refund
            | Self::ReadEvents => Reach::Nothing,
        }
    }

    /// A partner reads.
    const fn reach_of_partners(self) -> Reach {
        match self {
            Self::Public
            | Self::ListPatients
            | Self::ReadPatient
            | Self::ReadPractitioners
            | Self::ReadAppointments
            | Self::AskSlots
            | Self::ReadInvoices
            | Self::ReadUnits
            | Self::ReadEvents
            | Self::ReadPatientEvents => Reach::Units,
            Self::WritePatients
            | Self::BookAppointments
            | Self::ConductVisits
            | Self::Pay
            | Self::Refund
            | Self::ReadRequests
            | Self::CancelRequests => Reach::Nothing,
        }
    }

    /// Who runs the network sees that it runs, and nobody's records.
    const fn reach_of_admins(self) -> Reach {
        match self {
            Self::Public | Self::ReadUnits => Reach::Units,
            Self::ReadRequests => Reach::Envelope,
            Self::ListPatients
            | Self::ReadPatient
            | Self::WritePatients
            | Self::ReadPractitioners
            | Self::ReadAppointments
            | Self::BookAppointments
            | Self::ConductVisits
            | Self::AskSlots
            | Self::ReadInvoices
            | Self::Pay
            | Self::Refund
            | Self::CancelRequests
            | Self::ReadEvents
            | Self::ReadPatientEvents => Reach::Nothing,
        }
    }
}
