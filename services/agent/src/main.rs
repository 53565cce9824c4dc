//! `arteria-agent`: the program beside a clinic's database.
//!
//! Everything stands in the library, so that tests drive the same code; here only the provider of
//! TLS is chosen, the command line read, and an error turned into an exit status. It must never
//! know more.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // One provider for the process, before anything may ask for TLS.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("a TLS provider was installed already");
        return ExitCode::FAILURE;
    }
    match agent::cli::run(agent::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arteria-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
