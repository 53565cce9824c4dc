-- Why: payments by key, and those of an invoice in the order of time, beside what a sum needs: the
-- balance is added up when it is read, because a stored one would have to follow every correction
-- of an invoice and of each of its payments.
create table payment (
    unit text collate "C" not null,
    payment_id uuid not null,
    epoch bigint not null,
    seq bigint not null,
    invoice_id uuid,
    -- Milliseconds since 1970; the greatest bigint where the moment of payment is no instant.
    paid_ms bigint not null,
    -- Three capital letters, or null where the text is no code.
    currency text collate "C",
    -- Null where the amount does not read.
    amount_minor bigint,
    removed boolean not null,
    withdrawn boolean not null default false,
    stale_epoch bigint,
    stale_seq bigint,
    state jsonb not null,
    primary key (unit, payment_id)
) with (fillfactor = 85);

create index payment_of_invoice on payment (unit, invoice_id, paid_ms, payment_id)
    where invoice_id is not null;
