-- Why: immunizations by key, and of a patient from the newest on, so that a page of a chart is one range
-- of one index. Codes, categories and statuses are no part of it: a chart is read by patient, and
-- they are read from the state of that patient's rows.
create table immunization (
    unit text collate "C" not null,
    immunization_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    patient_id uuid,
    -- When it was given: milliseconds since 1970; the least bigint where that is not known, so that
    -- such a row comes last.
    at_ms bigint not null,
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, immunization_id)
) with (fillfactor = 85);

create index immunization_of_patient on immunization (unit, patient_id, at_ms, immunization_id)
    where patient_id is not null;
