-- Why: who sees patients in a unit, and when. A unit has some dozens of these, so the order of a
-- list needs no index beyond the unit's.
create table practitioner (
    unit text collate "C" not null,
    practitioner_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    sort_name text collate "C" not null,
    specialty text collate "C",
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, practitioner_id)
) with (fillfactor = 85);

create table working_hours (
    unit text collate "C" not null,
    working_hours_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    practitioner_id uuid,
    weekday bigint,
    starts text collate "C",
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, working_hours_id)
) with (fillfactor = 85);

create index working_hours_of_practitioner on working_hours (unit, practitioner_id);
