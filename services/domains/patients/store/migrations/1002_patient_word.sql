-- Why: a name is found by the beginning of any of its words ("silva" finds "Maria da Silva"), and
-- one index range must find it.
create table patient_word (
    unit text collate "C" not null,
    word text collate "C" not null,
    patient_id uuid not null,
    primary key (unit, word, patient_id)
);
