-- The reference practice schema: what a unit without practice software of its own uses as its
-- database, and what `practice` plays on. Ids are UUIDs in lower-case text, times RFC 3339 UTC text,
-- dates YYYY-MM-DD, money in minor units. Any program may write these tables with plain SQL.
--
-- Columns are as lenient as in real practice software: only what such software certainly fills is
-- NOT NULL, mrn is not unique (merged and mistyped records exist), and foreign keys are declared
-- but, as SQLite does by default, not enforced. Running this file twice changes nothing.

CREATE TABLE IF NOT EXISTS patients (
    patient_id   TEXT NOT NULL PRIMARY KEY,
    mrn          TEXT,
    family_name  TEXT NOT NULL,
    given_name   TEXT,
    birth_date   TEXT,
    sex          TEXT,
    phone        TEXT,
    email        TEXT,
    address_line TEXT,
    city         TEXT,
    postal_code  TEXT,
    country      TEXT,
    deceased_on  TEXT,
    active       INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS patients_by_mrn ON patients (mrn);
CREATE INDEX IF NOT EXISTS patients_by_family_name ON patients (family_name);

CREATE TABLE IF NOT EXISTS practitioners (
    practitioner_id TEXT NOT NULL PRIMARY KEY,
    family_name     TEXT NOT NULL,
    given_name      TEXT,
    specialty       TEXT,
    active          INTEGER NOT NULL DEFAULT 1
);

-- weekday: ISO 1 (Monday) to 7; starts and ends: HH:MM wall time in the unit's time zone.
CREATE TABLE IF NOT EXISTS working_hours (
    practitioner_id TEXT NOT NULL REFERENCES practitioners (practitioner_id),
    weekday         INTEGER NOT NULL,
    starts          TEXT NOT NULL,
    ends            TEXT NOT NULL,
    slot_min        INTEGER NOT NULL DEFAULT 15,
    PRIMARY KEY (practitioner_id, weekday, starts)
);

-- status: booked, arrived, fulfilled, cancelled, noshow.
CREATE TABLE IF NOT EXISTS appointments (
    appointment_id  TEXT NOT NULL PRIMARY KEY,
    patient_id      TEXT NOT NULL REFERENCES patients (patient_id),
    practitioner_id TEXT NOT NULL REFERENCES practitioners (practitioner_id),
    starts_at       TEXT NOT NULL,
    ends_at         TEXT NOT NULL,
    status          TEXT NOT NULL DEFAULT 'booked',
    modality        TEXT,
    reason          TEXT
);
CREATE INDEX IF NOT EXISTS appointments_by_practitioner_and_time
    ON appointments (practitioner_id, starts_at, ends_at);
CREATE INDEX IF NOT EXISTS appointments_by_patient ON appointments (patient_id);

CREATE TABLE IF NOT EXISTS invoices (
    invoice_id     TEXT NOT NULL PRIMARY KEY,
    patient_id     TEXT NOT NULL REFERENCES patients (patient_id),
    appointment_id TEXT REFERENCES appointments (appointment_id),
    issued_at      TEXT NOT NULL,
    currency       TEXT NOT NULL,
    total_minor    INTEGER NOT NULL,
    status         TEXT NOT NULL DEFAULT 'issued'
);
CREATE INDEX IF NOT EXISTS invoices_by_patient ON invoices (patient_id);

CREATE TABLE IF NOT EXISTS payments (
    payment_id   TEXT NOT NULL PRIMARY KEY,
    invoice_id   TEXT NOT NULL REFERENCES invoices (invoice_id),
    paid_at      TEXT NOT NULL,
    currency     TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    method       TEXT,
    reference    TEXT
);
CREATE INDEX IF NOT EXISTS payments_by_invoice ON payments (invoice_id);

-- Medical records. code_system is a URI, as http://loinc.org; statuses are FHIR R4's; numbers are
-- decimals in text. onset_on and abated_on may be YYYY, YYYY-MM or YYYY-MM-DD.
-- class: AMB, IMP, EMER, VR, HH.
CREATE TABLE IF NOT EXISTS encounters (
    encounter_id    TEXT NOT NULL PRIMARY KEY,
    patient_id      TEXT NOT NULL REFERENCES patients (patient_id),
    practitioner_id TEXT REFERENCES practitioners (practitioner_id),
    appointment_id  TEXT REFERENCES appointments (appointment_id),
    class           TEXT,
    status          TEXT,
    starts_at       TEXT,
    ends_at         TEXT,
    reason          TEXT
);
CREATE INDEX IF NOT EXISTS encounters_by_patient ON encounters (patient_id);

CREATE TABLE IF NOT EXISTS conditions (
    condition_id        TEXT NOT NULL PRIMARY KEY,
    patient_id          TEXT NOT NULL REFERENCES patients (patient_id),
    encounter_id        TEXT REFERENCES encounters (encounter_id),
    code_system         TEXT,
    code                TEXT,
    display             TEXT,
    clinical_status     TEXT,
    verification_status TEXT,
    onset_on            TEXT,
    abated_on           TEXT,
    recorded_at         TEXT
);
CREATE INDEX IF NOT EXISTS conditions_by_patient ON conditions (patient_id);

CREATE TABLE IF NOT EXISTS allergies (
    allergy_id          TEXT NOT NULL PRIMARY KEY,
    patient_id          TEXT NOT NULL REFERENCES patients (patient_id),
    code_system         TEXT,
    code                TEXT,
    display             TEXT,
    category            TEXT,
    criticality         TEXT,
    clinical_status     TEXT,
    verification_status TEXT,
    reaction            TEXT,
    recorded_at         TEXT
);
CREATE INDEX IF NOT EXISTS allergies_by_patient ON allergies (patient_id);

CREATE TABLE IF NOT EXISTS observations (
    observation_id TEXT NOT NULL PRIMARY KEY,
    patient_id     TEXT NOT NULL REFERENCES patients (patient_id),
    encounter_id   TEXT REFERENCES encounters (encounter_id),
    category       TEXT,
    code_system    TEXT,
    code           TEXT,
    display        TEXT,
    value_number   TEXT,
    value_unit     TEXT,
    value_text     TEXT,
    interpretation TEXT,
    status         TEXT,
    effective_at   TEXT
);
CREATE INDEX IF NOT EXISTS observations_by_patient ON observations (patient_id);

CREATE TABLE IF NOT EXISTS procedures (
    procedure_id TEXT NOT NULL PRIMARY KEY,
    patient_id   TEXT NOT NULL REFERENCES patients (patient_id),
    encounter_id TEXT REFERENCES encounters (encounter_id),
    code_system  TEXT,
    code         TEXT,
    display      TEXT,
    status       TEXT,
    performed_at TEXT
);
CREATE INDEX IF NOT EXISTS procedures_by_patient ON procedures (patient_id);

CREATE TABLE IF NOT EXISTS immunizations (
    immunization_id TEXT NOT NULL PRIMARY KEY,
    patient_id      TEXT NOT NULL REFERENCES patients (patient_id),
    encounter_id    TEXT REFERENCES encounters (encounter_id),
    code_system     TEXT,
    code            TEXT,
    display         TEXT,
    status          TEXT,
    occurred_at     TEXT,
    lot             TEXT
);
CREATE INDEX IF NOT EXISTS immunizations_by_patient ON immunizations (patient_id);
