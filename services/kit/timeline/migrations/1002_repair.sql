-- Why: the timeline's reader speaks for all readers about holes and forks. How often a fact was
-- asked for must outlive the process, or each restart would ask three times more.

-- The first missing fact of a unit, and how often a resend was asked for.
create table repair (
    unit text collate "C" primary key,
    epoch bigint not null,
    seq bigint not null,
    asked integer not null,
    asked_at timestamptz not null
);

-- A number under which two facts came. The unit is told once for each epoch.
create table fork (
    unit text collate "C" not null,
    epoch bigint not null,
    seq bigint not null,
    kept_id uuid not null,
    other_id uuid not null,
    told boolean not null default false,
    primary key (unit, epoch)
);
