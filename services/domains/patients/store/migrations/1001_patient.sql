-- Why: registrations by key and in the order of names, for one unit at a time: every read of
-- patients names its unit, so every index begins with it, and a page costs the same whether the
-- network knows a thousand patients or five million.
create table patient (
    unit text collate "C" not null,
    patient_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    -- Family, then given name, without case and accents: the order of lists.
    sort_name text collate "C" not null,
    -- Every word of both, parted by spaces: what stands in patient_word for this row.
    words text collate "C" not null,
    birth_date date,
    mrn text collate "C",
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, patient_id)
) with (fillfactor = 85);

create index patient_by_name on patient (unit, sort_name, patient_id)
    where not removed and not withdrawn;
create index patient_by_birth_date on patient (unit, birth_date, sort_name, patient_id)
    where birth_date is not null;
create index patient_by_mrn on patient (unit, mrn) where mrn is not null;
