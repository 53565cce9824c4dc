//! The agent: the small program beside a clinic's database.
//!
//! It captures every change of the practice's rows, whoever made it, names it with the words of the
//! pure domain crates, numbers it, and sends it up one outbound connection; it carries out requests
//! as one more writer of the clinic database, and lets no command past what the desk wrote a moment
//! before. Two files hold its state: the clinic database, which is the practice's, and the spool.
//!
//! The crate must never know Kafka, Avro, Postgres or HTTP, nor a domain's nouns outside the
//! mapping file: it moves rows and facts, and asks the domains what they mean. Its logs name units,
//! tables, requests and numbers, never what stands in a row.
//!
//! | module | what it holds |
//! |---|---|
//! | [`mapping`], [`rows`], [`values`], [`identity`] | what columns mean, and public ids |
//! | [`clinic`], [`declared`] | the clinic database |
//! | [`triggers`], [`capture_switch`], [`outbox`], [`ledger`] | what is ours in it |
//! | [`spool`], [`naming`], [`facts`], [`last_published`] | the spool |
//! | [`truncate`], [`restore_markers`] | what is cut there; how one file notices the other |
//! | [`stores`] | both files together |
//! | [`drain`], [`lookups`], [`publish`], [`reemit`] | from rows to numbered facts |
//! | [`scan`], [`opening`], [`epoch`], [`restore`] | all rows: stated, compared |
//! | [`apply`], [`changes`], [`domains`] | from requests to rows |
//! | [`records`], [`filters`], [`instants`] | rows as a decision reads them |
//! | [`worker`], [`inbox`], [`inbox_handler`], [`command`], [`tries`] | the clinic thread |
//! | [`uplink`], [`maintenance`] | what it sends, and looks after |
//! | [`queries`] | the query thread |
//! | [`link`], [`handshake`], [`wire`], [`pause`] | the connection |
//! | [`config`], [`setup`], [`init`], [`run`], [`cli`], [`logs`], [`traced`] | the program |
//! | [`capture`], [`check`], [`status`], [`waiting`] | what people ask it beside its run |

#![cfg_attr(
    test,
    expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "numbers of a test are small"
    )
)]

pub mod apply;
pub mod capture;
pub mod capture_switch;
pub mod changes;
pub mod check;
pub mod cli;
pub mod clinic;
pub mod command;
pub mod config;
pub mod declared;
pub mod disk;
pub mod domains;
pub mod drain;
pub mod drained;
pub mod epoch;
pub mod error;
pub mod facts;
pub mod failpoints;
pub mod filters;
pub mod generations;
pub mod handshake;
pub mod identity;
pub mod inbox;
pub mod inbox_handler;
pub mod init;
pub mod instants;
pub mod keys;
pub mod known;
pub mod last_published;
pub mod ledger;
pub mod link;
pub mod logs;
pub mod lookups;
pub mod maintenance;
pub mod mapping;
pub mod naming;
pub mod opening;
pub mod outbox;
pub mod pause;
pub mod present;
pub mod publish;
pub mod queries;
pub mod records;
pub mod reemit;
pub mod restore;
pub mod restore_markers;
pub mod rows;
pub mod run;
pub mod scan;
pub mod setup;
pub mod spool;
pub mod status;
pub mod stores;
pub mod traced;
pub mod tries;
pub mod triggers;
pub mod truncate;
pub mod uplink;
pub mod values;
pub mod waiting;
pub mod watch;
pub mod wire;
pub mod worker;
