-- Why: a position means something on one log only. A role that is told a wrong Postgres, or a wrong
-- Kafka, would go on from positions of another network and mix its people with this one's; the
-- cluster that the rows came from is therefore written beside them before the first of them.
create table log (
    cluster text not null,
    only_one boolean primary key default true check (only_one)
);
