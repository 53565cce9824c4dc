-- Why: two publishers at once would tell every event twice. Whoever starts writes its name here, and
-- every checkpoint is conditional on that name: the one that was there before finds out at its next
-- checkpoint, which changes nothing, and ends.
create table claim (
    only_one boolean primary key default true check (only_one),
    holder uuid not null
);
