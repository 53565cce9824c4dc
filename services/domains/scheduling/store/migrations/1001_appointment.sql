-- Why: the diary by unit, by practitioner and by patient, each in the order of time, so that a page
-- of any of them is one range of one index. Status is no part of an index: it changes most often,
-- and a row whose indexed columns stay is rewritten in place.
create table appointment (
    unit text collate "C" not null,
    appointment_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    patient_id uuid,
    practitioner_id uuid,
    -- Milliseconds since 1970; the greatest bigint where the beginning is no instant, so that such a
    -- row comes last.
    starts_ms bigint not null,
    status text collate "C",
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, appointment_id)
) with (fillfactor = 85);

create index appointment_by_start on appointment (unit, starts_ms, appointment_id);
create index appointment_of_practitioner
    on appointment (unit, practitioner_id, starts_ms, appointment_id)
    where practitioner_id is not null;
create index appointment_of_patient on appointment (unit, patient_id, starts_ms, appointment_id)
    where patient_id is not null;
