-- Why: procedures by key, and of a patient from the newest on, so that a page of a chart is one range
-- of one index. Codes, categories and statuses are no part of it: a chart is read by patient, and
-- they are read from the state of that patient's rows.
create table procedure (
    unit text collate "C" not null,
    procedure_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    patient_id uuid,
    -- When it was done: milliseconds since 1970; the least bigint where that is not known, so that
    -- such a row comes last.
    at_ms bigint not null,
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, procedure_id)
) with (fillfactor = 85);

create index procedure_of_patient on procedure (unit, patient_id, at_ms, procedure_id)
    where patient_id is not null;
