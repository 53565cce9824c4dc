-- A second practice schema, different from the reference in all that a mapping must bridge: German
-- names, keys that count, a composite key, wall times of Europe/Berlin without a zone, dates as
-- people there write them, words for states, money as decimals, flags as words.
--
-- What its columns mean is said here because no code of ours does: `arteria-agent` reads such a
-- database by a mapping file alone. Foreign keys are declared and, as SQLite does by default, not
-- enforced. Running this file twice changes nothing.

-- geschlecht: M, W, D. geb_datum, verstorben_am: dd.mm.yyyy. geloescht: ja, nein. A record found to
-- be the same person's as another is kept and points to that one. mahnstufe is the practice's own:
-- no other program writes it.
CREATE TABLE IF NOT EXISTS patient (
    pat_nr               INTEGER PRIMARY KEY AUTOINCREMENT,
    akte                 TEXT,
    nachname             TEXT NOT NULL,
    vorname              TEXT,
    geb_datum            TEXT,
    geschlecht           TEXT,
    telefon              TEXT,
    mail                 TEXT,
    strasse              TEXT,
    plz                  TEXT,
    ort                  TEXT,
    land                 TEXT,
    verstorben_am        TEXT,
    geloescht            TEXT NOT NULL DEFAULT 'nein',
    zusammengefuehrt_mit INTEGER REFERENCES patient (pat_nr),
    mahnstufe            INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS patient_nach_name ON patient (nachname);

-- ausgeschieden: ja, nein.
CREATE TABLE IF NOT EXISTS arzt (
    arzt_nr       INTEGER PRIMARY KEY AUTOINCREMENT,
    nachname      TEXT NOT NULL,
    vorname       TEXT,
    fachgebiet    TEXT,
    ausgeschieden TEXT NOT NULL DEFAULT 'nein'
);

-- wochentag: Mo, Di, Mi, Do, Fr, Sa, So. von, bis: HH:MM. The key has three columns and no rowid.
CREATE TABLE IF NOT EXISTS sprechzeit (
    arzt_nr   INTEGER NOT NULL REFERENCES arzt (arzt_nr),
    wochentag TEXT NOT NULL,
    von       TEXT NOT NULL,
    bis       TEXT NOT NULL,
    takt_min  INTEGER NOT NULL DEFAULT 15,
    PRIMARY KEY (arzt_nr, wochentag, von)
) WITHOUT ROWID;

-- beginn, ende: yyyy-mm-dd HH:MM, wall time of Europe/Berlin. zustand: geplant (booked),
-- erschienen (arrived), erledigt (fulfilled), storniert (cancelled), nicht erschienen (noshow).
-- art: Praxis (in-person), Telefon (phone), Video (video).
CREATE TABLE IF NOT EXISTS termin (
    termin_nr INTEGER PRIMARY KEY AUTOINCREMENT,
    pat_nr    INTEGER NOT NULL REFERENCES patient (pat_nr),
    arzt_nr   INTEGER NOT NULL REFERENCES arzt (arzt_nr),
    beginn    TEXT NOT NULL,
    ende      TEXT NOT NULL,
    zustand   TEXT NOT NULL DEFAULT 'geplant',
    art       TEXT NOT NULL DEFAULT 'Praxis',
    anlass    TEXT
);
CREATE INDEX IF NOT EXISTS termin_nach_arzt ON termin (arzt_nr, beginn);
CREATE INDEX IF NOT EXISTS termin_nach_patient ON termin (pat_nr);

-- betrag: euros as text with a decimal point ("45.50"). gestellt_am: wall time as above.
-- zustand: offen and bezahlt (both issued), storniert (voided).
CREATE TABLE IF NOT EXISTS rechnung (
    rechnung_nr INTEGER PRIMARY KEY AUTOINCREMENT,
    pat_nr      INTEGER NOT NULL REFERENCES patient (pat_nr),
    termin_nr   INTEGER REFERENCES termin (termin_nr),
    gestellt_am TEXT NOT NULL,
    betrag      TEXT NOT NULL,
    zustand     TEXT NOT NULL DEFAULT 'offen'
);
CREATE INDEX IF NOT EXISTS rechnung_nach_patient ON rechnung (pat_nr);

-- betrag: euros as a REAL; a refund is negative. zahlart: bar, karte, ueberweisung.
CREATE TABLE IF NOT EXISTS zahlung (
    zahlung_nr  INTEGER PRIMARY KEY AUTOINCREMENT,
    rechnung_nr INTEGER NOT NULL REFERENCES rechnung (rechnung_nr),
    bezahlt_am  TEXT NOT NULL,
    betrag      REAL NOT NULL,
    zahlart     TEXT,
    beleg       TEXT
);
CREATE INDEX IF NOT EXISTS zahlung_nach_rechnung ON zahlung (rechnung_nr);

-- The telephone system writes here. richtung: ein, aus. ergebnis: angenommen, verpasst, mailbox.
-- begonnen_am: yyyy-mm-dd HH:MM:SS, wall time. notiz is free text and leaves the practice nowhere.
CREATE TABLE IF NOT EXISTS anruf (
    anruf_nr    INTEGER PRIMARY KEY AUTOINCREMENT,
    pat_nr      INTEGER REFERENCES patient (pat_nr),
    nummer      TEXT,
    richtung    TEXT NOT NULL,
    begonnen_am TEXT NOT NULL,
    dauer_s     INTEGER NOT NULL DEFAULT 0,
    ergebnis    TEXT NOT NULL,
    notiz       TEXT
);
