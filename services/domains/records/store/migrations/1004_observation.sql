-- Why: observations by key, and of a patient from the newest on, so that a page of a chart is one range
-- of one index. Codes, categories and statuses are no part of it: a chart is read by patient, and
-- they are read from the state of that patient's rows.
create table observation (
    unit text collate "C" not null,
    observation_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    patient_id uuid,
    -- When it was true: milliseconds since 1970; the least bigint where that is not known, so that
    -- such a row comes last.
    at_ms bigint not null,
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, observation_id)
) with (fillfactor = 85);

create index observation_of_patient on observation (unit, patient_id, at_ms, observation_id)
    where patient_id is not null;
