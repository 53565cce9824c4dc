-- The call log that the clinic's telephone system keeps beside the practice's own tables.
CREATE TABLE IF NOT EXISTS phone_calls (
    call_id    TEXT PRIMARY KEY,
    patient_id TEXT,
    number     TEXT,
    direction  TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at   TEXT,
    duration_s INTEGER,
    outcome    TEXT
);
