-- Why: the tracked life of a request comes from two logs: that it was accepted from unit.requests,
-- how it ended from the unit's facts, in whatever order these are read. Either may make the row; the
-- other fills in what it knows, and only a fact ends it.
create table request (
    request_id text collate "C" primary key,
    unit text collate "C" not null,
    -- The fact that ended it; 0-0 while it is open.
    epoch bigint not null default 0,
    seq bigint not null default 0,
    -- accepted, or the unit's word.
    state text collate "C" not null,
    type text collate "C",
    command_hash text collate "C",
    -- When it was accepted, in milliseconds since 1970: the order of lists.
    accepted_ms bigint not null,
    accepted_at timestamptz,
    expires_at timestamptz,
    delivery text collate "C",
    actor text collate "C",
    patient_id uuid,
    -- Its place in unit.requests; none while it is known by its fact alone.
    log text collate "C",
    position bigint,
    cancel_asked boolean not null default false,
    -- The unit's word as it stated it.
    outcome jsonb
) with (fillfactor = 80);

-- What is open is counted for each new request, in the index alone.
create index request_open on request (unit, expires_at) where state = 'accepted';
create index request_by_time on request (unit, accepted_ms, request_id);
create index request_by_state on request (unit, state, accepted_ms, request_id);
create index request_of_patient on request (unit, patient_id) where patient_id is not null;
create index request_of_actor on request (unit, actor);
