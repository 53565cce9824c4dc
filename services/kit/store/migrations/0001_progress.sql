-- Why: a reader's progress must stand beside the rows that it wrote, so that both move in one
-- transaction and a crash can neither lose nor double a fact. Every domain's schema has these three
-- tables; the domain's own tables come after them.

-- The next offset to read of each partition. It is only ever moved from the value last written, so
-- that a second reader of the same domain finds out at its first commit.
create table offsets (
    topic text not null,
    partition integer not null,
    next_offset bigint not null,
    primary key (topic, partition)
) with (fillfactor = 50);

-- The last fact applied for each unit, over all facts of the unit, and the greatest number seen: a
-- hole is open where the latter is greater. `time` is the fact's, and is what a read calls "as of".
create table applied (
    unit text collate "C" primary key,
    epoch bigint not null,
    seq bigint not null,
    id uuid,
    time timestamptz not null,
    seen_epoch bigint not null,
    seen_seq bigint not null
) with (fillfactor = 50);

-- Facts that came ahead of a hole, as they came: still sealed, still encoded.
create table held (
    unit text collate "C" not null,
    epoch bigint not null,
    seq bigint not null,
    id uuid not null,
    partition integer not null,
    log_offset bigint not null,
    timestamp_ms bigint not null,
    headers text not null,
    payload bytea not null,
    primary key (unit, epoch, seq)
);
