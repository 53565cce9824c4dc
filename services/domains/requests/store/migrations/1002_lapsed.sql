-- Why: a unit may say that a stretch of unit.requests never reached it before this reader has come
-- to the requests in that stretch; those that are read later are expired all the same.
create table lapsed (
    unit text collate "C" not null,
    log text collate "C" not null,
    from_position bigint not null,
    to_position bigint not null,
    epoch bigint not null,
    seq bigint not null,
    time timestamptz not null,
    primary key (unit, epoch, seq)
);
