-- Why: units stand on different partitions, which a rebuild reads in no order between them: with the
-- first claim that is read, a unit that claimed somebody else's patient later could have the home.
-- The moment at which a claim was put on the log has an order. Homes that stand were claimed first.
alter table home add column claimed_ms bigint not null default -9223372036854775808;
