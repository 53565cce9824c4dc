-- Why: a domain may stand in several copies, of which readers see one: while it is rebuilt, and while
-- the copy before is kept. Whoever writes must know that the tables that it finds under the domain's
-- name are still those that it began with.
create table copy (
    id uuid not null default gen_random_uuid(),
    made_at timestamptz not null default now(),
    only_one boolean primary key default true check (only_one)
);

insert into copy default values;
