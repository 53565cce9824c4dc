-- Why: the registry of units, as they state themselves: one row for each unit that ever opened an
-- epoch. How far a unit has come stands in `applied`, which every fact moves.
create table unit (
    unit text collate "C" primary key,
    epoch bigint not null,
    seq bigint not null,
    time_zone text not null,
    agent_version text not null,
    -- The epoch before the present one, and why it is over.
    previous bigint,
    reason text,
    -- Whether every thing of the unit has been stated in the present epoch.
    seeded boolean not null,
    -- A newer fact about the unit could not be taken up.
    stale_epoch bigint,
    stale_seq bigint,
    -- The last fact's body.
    state jsonb not null
) with (fillfactor = 80);
