//! The supervisor's promises, kept with small processes of the system.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kit_stack::{Phase, Probe, ProcessSpec, StackError, Supervisor, free_addr, running_supervisor};

/// Set for the copy of this test program that plays a supervisor and is killed.
const VICTIM_HOME: &str = "KIT_STACK_VICTIM_HOME";

fn sleeper(name: &str) -> ProcessSpec {
    ProcessSpec::new(name, "sleep").arg("600")
}

fn shell(name: &str, script: &str) -> ProcessSpec {
    ProcessSpec::new(name, "sh").args(["-c", script])
}

fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn wait_until(what: &str, mut seen: impl FnMut() -> bool) {
    let since = Instant::now();
    while !seen() {
        assert!(since.elapsed() < Duration::from_secs(10), "never seen: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_killed_process_returns_under_another_pid() {
    let home = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::open(home.path()).unwrap();
    supervisor.start_wave(vec![sleeper("web")]).await.unwrap();
    let before = supervisor.pid("web").unwrap();
    supervisor.kill9("web").await.unwrap();
    assert!(!lives(before));
    supervisor.wait_ready("web").await.unwrap();
    let after = supervisor.pid("web").unwrap();
    assert_ne!(before, after);
    assert_eq!(supervisor.deaths("web"), 1);
    let written = fs::read_to_string(home.path().join("run/web.pid")).unwrap();
    assert_eq!(written.trim(), after.to_string());
    assert!(supervisor.shutdown().await.is_empty());
    assert!(!lives(after));
    assert!(!home.path().join("run/web.pid").exists());
}

#[tokio::test]
async fn output_is_appended_to_the_log_and_told_by_its_end() {
    let home = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::open(home.path()).unwrap();
    let spec = shell("web", "echo to stdout; echo $GREETING >&2; exec sleep 600");
    supervisor.start(spec.env("GREETING", "to stderr")).await.unwrap();
    wait_until("both lines", || {
        let tail = supervisor.log_tail("web", 5);
        tail.contains("to stdout") && tail.contains("to stderr")
    });
}

#[tokio::test]
async fn one_that_cannot_live_is_reported_with_its_last_words() {
    let home = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::open(home.path()).unwrap();
    let never = Probe::Tcp(free_addr());
    let spec = shell("web", "echo the reason; exit 7").ready(never);
    supervisor.start(spec.ready_within(Duration::from_secs(2))).await.unwrap();
    let failed = supervisor.wait_ready("web").await.unwrap_err().to_string();
    assert!(failed.contains("web") && failed.contains("the reason"), "{failed}");
    assert!(supervisor.deaths("web") > 1, "it was not tried again");
    supervisor.stop("web").await.unwrap();
    assert_eq!(supervisor.phase("web"), Some(Phase::Stopped));
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_at_once() {
    let home = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::open(home.path()).unwrap();
    let failed = supervisor.start(ProcessSpec::new("web", "/no/such/program")).await;
    assert!(matches!(failed, Err(StackError::Spawn { .. })), "{failed:?}");
    assert!(matches!(supervisor.kill9("db").await, Err(StackError::Unknown { .. })));
}

#[tokio::test]
async fn a_stopped_process_stays_down_until_it_is_started_again() {
    let home = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::open(home.path()).unwrap();
    supervisor.start(sleeper("web")).await.unwrap();
    assert!(matches!(
        supervisor.start(sleeper("web")).await,
        Err(StackError::AlreadyRunning { .. })
    ));
    supervisor.stop("web").await.unwrap();
    supervisor.stop("web").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(supervisor.pid("web"), None);
    supervisor.start(sleeper("web")).await.unwrap();
    let first = supervisor.pid("web").unwrap();
    supervisor.restart("web").await.unwrap();
    assert_ne!(supervisor.pid("web"), Some(first));
}

#[tokio::test]
async fn one_that_will_not_end_is_killed_and_named() {
    let home = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::open(home.path()).unwrap();
    // The shell ignores the signal, and its child stays in its process group.
    let deaf = shell("deaf", "trap '' TERM; echo up; sleep 600 & wait; sleep 600");
    supervisor.start(deaf.grace(Duration::from_millis(300))).await.unwrap();
    wait_until("the trap", || supervisor.log_tail("deaf", 5).contains("up"));
    let pid = supervisor.pid("deaf").unwrap();
    let children = format!("/proc/{pid}/task/{pid}/children");
    wait_until("its child", || !fs::read_to_string(&children).unwrap_or_default().is_empty());
    let child: u32 = fs::read_to_string(&children).unwrap().trim().parse().unwrap();
    assert_eq!(supervisor.shutdown().await, ["deaf"]);
    assert!(!lives(pid));
    wait_until("the end of its child", || !lives(child));
}

#[tokio::test]
async fn later_waves_end_before_earlier_ones() {
    let home = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::open(home.path()).unwrap();
    let order = home.path().join("order");
    let spec = |name: &str| {
        let script = format!(
            "trap 'echo {name} >> {}; exit 0' TERM; echo up; while :; do sleep 0.05; done",
            order.display()
        );
        shell(name, &script)
    };
    supervisor.start_wave(vec![spec("server")]).await.unwrap();
    supervisor.start(spec("role")).await.unwrap();
    for name in ["server", "role"] {
        wait_until("the trap", || supervisor.log_tail(name, 5).contains("up"));
    }
    assert!(supervisor.shutdown().await.is_empty());
    assert_eq!(fs::read_to_string(order).unwrap(), "role\nserver\n");
}

#[test]
fn a_supervisor_outlives_the_runtime_in_which_it_was_opened() {
    let home = tempfile::tempdir().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let supervisor = runtime().block_on(async {
        let supervisor = Supervisor::open(home.path()).unwrap();
        supervisor.start(sleeper("web")).await.unwrap();
        supervisor
    });
    let pid = supervisor.pid("web").unwrap();
    assert!(lives(pid));
    runtime().block_on(async {
        supervisor.kill9("web").await.unwrap();
        supervisor.wait_ready("web").await.unwrap();
    });
    let pid = supervisor.pid("web").unwrap();
    drop(supervisor);
    assert!(!lives(pid), "a dropped supervisor leaves nothing");
    assert_eq!(running_supervisor(home.path()), None);
}

#[test]
fn a_supervisor_killed_with_9_leaves_no_process() {
    let home = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_victim", "--ignored"])
        .env(VICTIM_HOME, home.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid_file = home.path().join("run/web.pid");
    wait_until("its process", || read_pid(&pid_file).is_some());
    let pid = read_pid(&pid_file).unwrap();
    assert!(lives(pid));
    assert_eq!(running_supervisor(home.path()), Some(victim.id()));
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the end of its process", || !lives(pid));
    Supervisor::open(home.path()).unwrap();
    assert!(!pid_file.exists());
}

fn read_pid(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[tokio::test]
#[ignore = "it is run as a process of its own by the test above, and killed"]
async fn the_victim() {
    let Some(home) = std::env::var_os(VICTIM_HOME) else { return };
    let supervisor = Supervisor::open(Path::new(&home)).unwrap();
    supervisor.start(sleeper("web")).await.unwrap();
    std::future::pending::<()>().await;
}
