//! `arteria`: every role of the network in one binary, a subcommand each.
//!
//! A role deploys and scales by itself; this crate only starts it and sees it end. Beside the roles
//! stand the commands of an operator and a developer (topics, schemas, tokens, the local network,
//! the demo). Nothing here may know what a patient or an appointment is, but for the demo, which
//! plays an app and speaks the public contract only.

mod cli;
mod copies;
mod demo;
mod fleet;
mod import;
mod network;
mod parked;
mod rest;
mod roles;
mod schema_files;
mod schemas;
mod settle;
mod test_network;
mod token;
mod topics;
mod trace;
mod up;

use std::process::ExitCode;

use clap::Parser;
use kit_telemetry::{TraceSettings, Traces};

/// For Rust and for Kafka's client: what one thread takes and another gives back does not stay in
/// either's arena (decision 15).
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit status of a process that was told something unreadable (BSD's `EX_CONFIG`).
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    // One crypto provider for the process; two of them make TLS panic at first use.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("arteria: a TLS provider was already installed");
        return ExitCode::FAILURE;
    }
    let cli = cli::Cli::parse();
    let variable = |name: &str| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
    let (filter, format) = (variable("ARTERIA_LOG"), variable("ARTERIA_LOG_FORMAT"));
    let filter = filter.as_deref().or(cli.command.quiet_filter());
    if let Err(error) = kit_telemetry::init(filter, format.as_deref()) {
        eprintln!("arteria: {error}");
        return ExitCode::from(EXIT_CONFIG);
    }
    let traces = TraceSettings::read(variable).and_then(|wanted| match cli.command.service() {
        Some(service) => Traces::begin(service, env!("CARGO_PKG_VERSION"), &wanted).map(Some),
        None => Ok(None),
    });
    // Begun before any runtime, and ended after it: the last steps are sent then.
    let _traces = match traces {
        Ok(traces) => traces,
        Err(error) => {
            eprintln!("arteria: {error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let settings = match kit_config::Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("arteria: {error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match cli::run(cli.command, settings) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("arteria: {error:#}");
            ExitCode::FAILURE
        }
    }
}
