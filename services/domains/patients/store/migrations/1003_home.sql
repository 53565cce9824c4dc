-- Why: whoever asks for a patient without a unit must find the one unit that registered the id. A
-- registration belongs to the unit that first stated it, for ever: a second claim is refused.
create table home (
    patient_id uuid primary key,
    unit text collate "C" not null
);
