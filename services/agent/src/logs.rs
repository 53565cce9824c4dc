//! Logs: one file a day for each category, as JSON lines, in the clinic's folder.
//!
//! `connect` tells of connections, `message` of requests and replies, `close` of ends, `error` of
//! what people should look at, also on standard error. None of them ever tells what stands in a
//! row.

use std::io;
use std::path::Path;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// The categories; each is the target of its events and the name of its files.
pub const CATEGORIES: [&str; 4] = ["connect", "message", "error", "close"];
/// Days of logs that are kept, for each category.
const FILES_MAX: usize = 30;

/// Keeps the writers alive; what they hold is flushed when it is dropped.
pub struct Logs(#[expect(dead_code, reason = "held for its drop")] Vec<WorkerGuard>);

/// Begins to log into the folder `dir`.
///
/// The folder cannot be written, or the process logs already.
pub fn init(dir: &Path) -> io::Result<Logs> {
    std::fs::create_dir_all(dir)?;
    let mut guards = Vec::new();
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    for category in CATEGORIES {
        let (writer, guard) = writer(dir, category)?;
        guards.push(guard);
        let layer = fmt::layer().json().flatten_event(true).with_writer(writer);
        layers.push(layer.with_filter(only(category)).boxed());
    }
    let errors = fmt::layer().with_writer(io::stderr).with_filter(only("error")).boxed();
    layers.push(errors);
    tracing::subscriber::set_global_default(Registry::default().with(layers))
        .map_err(io::Error::other)?;
    Ok(Logs(guards))
}

fn writer(dir: &Path, category: &str) -> io::Result<(NonBlocking, WorkerGuard)> {
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(category)
        .filename_suffix("jsonl")
        .max_log_files(FILES_MAX)
        .build(dir)
        .map_err(io::Error::other)?;
    Ok(tracing_appender::non_blocking(appender))
}

fn only(category: &'static str) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(move |event| event.target() == category && *event.level() <= LevelFilter::INFO)
}
