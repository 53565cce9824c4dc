-- Why: how much of what waits for a unit one caller made is counted with it, in the index alone.
drop index request_open;
create index request_open on request (unit, expires_at) include (actor) where state = 'accepted';
