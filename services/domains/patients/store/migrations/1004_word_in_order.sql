-- Why: a name's beginning may match hundreds of words of one unit, of which a page shows twenty.
-- With the order of lists beside each word, the page is chosen within one index range, and only
-- its own rows are read of the wide table, which no cache holds for millions of people.
create table patient_word_in_order (
    unit text collate "C" not null,
    word text collate "C" not null,
    -- That of the patient's row, always.
    sort_name text collate "C" not null,
    patient_id uuid not null,
    primary key (unit, word, sort_name, patient_id)
) with (
    -- An index alone answers only for pages that a vacuum has seen, and a network that grows
    -- waits long for a fifth of its words to be new.
    autovacuum_vacuum_insert_scale_factor = 0.02
);
insert into patient_word_in_order
    select w.unit, w.word, p.sort_name, w.patient_id
    from patient_word w join patient p on p.unit = w.unit and p.patient_id = w.patient_id;
drop table patient_word;
alter table patient_word_in_order rename to patient_word;
alter index patient_word_in_order_pkey rename to patient_word_pkey;
