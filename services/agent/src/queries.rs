//! Live queries: a thread of their own, on connections that only read, beside the commands.
//!
//! A query changes nothing, waits for nobody and is dropped after its deadline. When another
//! program holds the clinic database it is answered `unit-busy`: who asked waits at a screen.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use kit_event::Rejection;
use kit_link::{Answer, FromAgent, Query};
use rusqlite::Connection;
use tokio::sync::mpsc;
use tracing::{error, info};

use crate::clinic::{self, Clinic, FileIdentity};
use crate::domains;
use crate::error::{Act, WorkerError};
use crate::mapping::{Mapping, Table};
use crate::records::ClinicRecords;
use crate::setup::{Setup, files};
use crate::spool::Spool;
use crate::traced;
use crate::triggers::{self, Installed};

/// Queries that may wait. Each takes some milliseconds; more would only grow stale.
const WAITING_MAX: usize = 32;

/// The way to the query thread.
#[derive(Clone)]
pub struct Queries(SyncSender<(Query, mpsc::Sender<FromAgent>)>);

impl Queries {
    /// Starts the thread; it ends when the last `Queries` is dropped.
    ///
    /// The system gives no thread.
    pub fn start(setup: Arc<Setup>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, asked) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("queries".to_owned())
            .spawn(move || serve(&setup, &asked))?;
        Ok((Self(sender), thread))
    }

    /// Asks; the answer goes into `out`.
    pub fn ask(&self, query: Query, out: mpsc::Sender<FromAgent>) {
        if let Err(back) = self.0.try_send((query, out)) {
            let (query, out) = match back {
                std::sync::mpsc::TrySendError::Full(back)
                | std::sync::mpsc::TrySendError::Disconnected(back) => back,
            };
            send(&out, &query, Err(busy("more queries wait than the unit can answer in time")));
        }
    }
}

/// Both files, open for reading.
struct Reader {
    clinic: Connection,
    /// Which files were opened: a restore puts others in their place.
    files: [Option<FileIdentity>; 2],
    spool: Connection,
    mapping: Arc<Mapping>,
    tables: Vec<Table>,
    absent: BTreeSet<String>,
}

fn serve(setup: &Setup, asked: &Receiver<(Query, mpsc::Sender<FromAgent>)>) {
    let mut reader = None;
    while let Ok((mut query, out)) = asked.recv() {
        if query.expires_at <= setup.clock.now() {
            info!(target: "message", query = %query.id, "a query came too late");
            continue;
        }
        let _step = traced::answering(&mut query);
        let answered = catch_unwind(AssertUnwindSafe(|| answer(setup, &mut reader, &query)))
            .unwrap_or_else(
                // One question must not silence all others. What it read with is thrown away.
                |_| {
                    error!(target: "error", query = %query.id, "a query failed by itself");
                    Err(Rejection::agent_failed("the query failed in the agent itself"))
                },
            );
        if query.expires_at > setup.clock.now() {
            send(&out, &query, answered);
        }
    }
}

fn answer(setup: &Setup, reader: &mut Option<Reader>, query: &Query) -> kit_event::Answer {
    let Some(domain) = domains::of_query(&query.type_name) else {
        return Err(Rejection::unknown_type(&query.type_name));
    };
    // A mapping that has changed since, or a file that was replaced, reads the tables anew.
    let known = reader.take().filter(|opened| {
        Arc::ptr_eq(&opened.mapping, &setup.mapping()) && opened.files == files_of(setup)
    });
    let opened = match known {
        Some(opened) => Ok(opened),
        None => open(setup),
    };
    let read = opened.and_then(|opened| {
        let answered = opened.answer(setup, domain, query)?;
        Ok((opened, answered))
    });
    match read {
        Ok((opened, answered)) => {
            // A rejection may be a file that was replaced or a table that changed: look again.
            if answered.is_ok() {
                *reader = Some(opened);
            }
            answered
        }
        Err(cause) if cause.is_busy() => Err(busy("another program holds the clinic database")),
        Err(cause) => {
            error!(target: "error", %cause, "a query found no clinic database");
            Err(busy("the clinic database does not answer"))
        }
    }
}

fn files_of(setup: &Setup) -> [Option<FileIdentity>; 2] {
    [files::CLINIC, files::SPOOL].map(|file| clinic::identity(&setup.path(file)))
}

fn open(setup: &Setup) -> Result<Reader, WorkerError> {
    // Looked at before they are opened: one replaced in between is then opened again.
    let files = files_of(setup);
    let clinic = Clinic::open_reader(&setup.path(files::CLINIC))?;
    let mapping = setup.mapping();
    let Installed { tables, absent, .. } = triggers::survey(&clinic, &mapping)?;
    let spool = Spool::open_reader(&setup.path(files::SPOOL))?;
    Ok(Reader { clinic, files, spool, mapping, tables, absent })
}

impl Reader {
    fn answer(
        &self,
        setup: &Setup,
        domain: &dyn kit_event::Domain,
        query: &Query,
    ) -> Result<kit_event::Answer, WorkerError> {
        self.clinic.execute_batch("BEGIN").clinic("beginning to read")?;
        // A read that fails later shows as a rejection; one that another program holds up shows
        // here.
        let held = self.clinic.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()));
        let records = ClinicRecords {
            clinic: &self.clinic,
            spool: &self.spool,
            setup,
            mapping: &self.mapping,
            tables: &self.tables,
            absent: &self.absent,
            fresh: RefCell::new(Vec::new()),
            missed: RefCell::new(None),
        };
        let answered = held
            .clinic("beginning to read")
            .map(|()| domain.answer(&query.type_name, &query.body, &records, setup.clock.now()));
        self.clinic.execute_batch("COMMIT").clinic("ending to read")?;
        answered
    }
}

fn busy(detail: &str) -> Rejection {
    Rejection {
        slug: "unit-busy",
        title: "The unit cannot answer just now",
        detail: detail.to_owned(),
    }
}

fn send(out: &mpsc::Sender<FromAgent>, query: &Query, answered: kit_event::Answer) {
    let mut answer = Answer {
        id: query.id.clone(),
        reply_partition: query.reply_partition,
        traceparent: query.traceparent.clone(),
        body: None,
        reason: None,
        detail: None,
    };
    match answered {
        Ok(body) => answer.body = Some(body),
        Err(rejection) => {
            answer.reason = Some(rejection.slug.to_owned());
            answer.detail = Some(rejection.detail);
        }
    }
    // A link that takes no more has other troubles; who asked will ask again.
    let _ = out.try_send(FromAgent::Answer(answer));
}
