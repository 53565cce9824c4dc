//! `up`, `down`, `reset`: the local network in the background.
//!
//! `up` starts this program once more as a supervisor with a session of its own, waits until that
//! one says that it is ready, and leaves. `down` asks the supervisor to end, which it does in order
//! and within its deadline; whatever it could not end cleanly is gone with it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kit_config::Settings;
use kit_lifecycle::Lifecycle;
use kit_stack::{StackConfig, running_supervisor};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::network::{Network, beside_us};

/// The first start fetches jars and fills clinics; later ones take seconds.
const UP_WITHIN: Duration = Duration::from_mins(10);
/// The supervisor ends everything within ten seconds; what is left after that is a fault.
const DOWN_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Brings the network up and returns when it is ready.
pub async fn up(settings: Settings) -> Result<()> {
    let stack = StackConfig::from_env()?;
    if running_supervisor(&stack.home).is_none() {
        start_supervisor(&stack.home)?;
    }
    let ready = ready_file(&stack.home);
    let since = Instant::now();
    while !ready.exists() {
        if running_supervisor(&stack.home).is_none() && since.elapsed() > Duration::from_secs(3) {
            bail!("the network did not start:\n{}", tail(&log_file(&stack.home)));
        }
        if since.elapsed() > UP_WITHIN {
            bail!("not ready after {} s; see {}", UP_WITHIN.as_secs(), stack.home.display());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    println!("gateway  http://{}", settings.gateway_addr);
    println!("edge     ws://{}", settings.edge_addr);
    println!("state    {}", stack.home.display());
    println!("`make down` stops it; `make reset` also deletes its data.");
    Ok(())
}

/// Stops the network, if it runs.
pub async fn down(_settings: Settings) -> Result<()> {
    stop(&StackConfig::from_env()?.home).await
}

/// Stops the network and deletes what it kept.
pub async fn reset(_settings: Settings) -> Result<()> {
    let home = StackConfig::from_env()?.home;
    stop(&home).await?;
    for part in ["run", "logs", "units", "keys", "kafka", "registry", "postgres"] {
        let path = home.join(part);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("deleting {}", path.display()))?;
        }
    }
    println!("nothing is left in {}", home.display());
    Ok(())
}

/// Runs the network until a signal comes.
pub async fn supervise(settings: Settings) -> Result<()> {
    let life = Lifecycle::start()?;
    let stack = StackConfig::from_env()?;
    let ready = ready_file(&stack.home);
    let _ = fs::remove_file(&ready);
    let soft = life.soft();
    let starting = Network::start(settings, stack, &|line| tracing::info!("{line}"));
    let network = tokio::select! {
        network = starting => network?,
        // Dropping the half-started network ends what it had started.
        () = soft.cancelled() => return Ok(()),
    };
    fs::write(&ready, b"ready\n").context("saying that the network is ready")?;
    tracing::info!("the network is ready");
    soft.cancelled().await;
    let _ = fs::remove_file(&ready);
    let killed = network.supervisor.shutdown().await;
    if !killed.is_empty() {
        tracing::warn!(processes = killed.join(", "), "killed after their deadline");
    }
    Ok(())
}

fn start_supervisor(home: &Path) -> Result<()> {
    let log_path = log_file(home);
    fs::create_dir_all(home.join("logs")).context("making the folder of logs")?;
    let _ = fs::remove_file(ready_file(home));
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .with_context(|| format!("opening {}", log_path.display()))?;
    let mut command = Command::new(beside_us("arteria")?);
    command
        .arg("supervise")
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("sharing the log")?)
        .stderr(log);
    let detach = || nix::unistd::setsid().map(|_| ()).map_err(std::io::Error::from);
    #[expect(unsafe_code, reason = "only a hook between fork and exec can leave the session")]
    // SAFETY: setsid is a plain system call; the hook takes no memory and no lock.
    unsafe {
        command.pre_exec(detach);
    }
    command.spawn().context("starting the supervisor")?;
    Ok(())
}

async fn stop(home: &Path) -> Result<()> {
    let Some(pid) = running_supervisor(home) else {
        println!("no network runs in {}", home.display());
        return Ok(());
    };
    let since = Instant::now();
    let pid = Pid::from_raw(i32::try_from(pid).context("reading the supervisor's pid")?);
    kill(pid, Signal::SIGTERM).context("asking the supervisor to end")?;
    while running_supervisor(home).is_some() {
        if since.elapsed() > DOWN_WITHIN {
            kill(pid, Signal::SIGKILL).context("killing the supervisor")?;
            bail!("the supervisor did not end within {} s and was killed", DOWN_WITHIN.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    println!("stopped in {:.1} s", since.elapsed().as_secs_f64());
    Ok(())
}

/// Refuses to start a second network in a home that one already runs in.
pub fn say_down_first(home: &Path) -> Result<()> {
    match running_supervisor(home) {
        Some(pid) => bail!(
            "a network already runs in {} (process {pid}); `make down` stops it",
            home.display()
        ),
        None => Ok(()),
    }
}

fn ready_file(home: &Path) -> PathBuf {
    home.join("run").join("ready")
}

fn log_file(home: &Path) -> PathBuf {
    home.join("logs").join("supervisor.log")
}

fn tail(path: &Path) -> String {
    /// Enough to hold the error and what led to it.
    const LINES: usize = 20;
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
