-- Why: every fact of every unit, of whatever type, in the order of the unit's numbers: what
-- `/events` shows, and what tells a repeat from a fork. A type that no domain knows lives here only.
create table fact (
    unit text collate "C" not null,
    epoch bigint not null,
    seq bigint not null,
    id uuid not null,
    type text collate "C" not null,
    version integer not null,
    time timestamptz not null,
    subject text,
    patient_id uuid,
    causation_id text,
    partition integer not null,
    log_offset bigint not null,
    body jsonb not null,
    primary key (unit, epoch, seq)
);

-- A page of one type or of one patient reads as many entries as it shows, however rare these are.
create index fact_by_type on fact (unit, type, epoch, seq);
create index fact_by_patient on fact (unit, patient_id, epoch, seq) where patient_id is not null;
