-- Why: invoices by key, and of a unit, a patient or an appointment from the newest on, so that a
-- page of any of them is one range of one index. Total and status are no part of one: they are
-- read from the state, for the few rows that are shown.
create table invoice (
    unit text collate "C" not null,
    invoice_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    patient_id uuid,
    appointment_id uuid,
    -- Milliseconds since 1970; the least bigint where the moment of issue is no instant, so that
    -- such a row comes last.
    issued_ms bigint not null,
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, invoice_id)
) with (fillfactor = 85);

create index invoice_by_issue on invoice (unit, issued_ms, invoice_id);
create index invoice_of_patient on invoice (unit, patient_id, issued_ms, invoice_id)
    where patient_id is not null;
create index invoice_of_appointment on invoice (unit, appointment_id, issued_ms, invoice_id)
    where appointment_id is not null;
