//! Real servers for tests: those of the running test network, or a stack of the test's own.
//!
//! `make test` runs one network and tells its addresses in `ARTERIA_TEST_KAFKA`,
//! `ARTERIA_TEST_REGISTRY` and `ARTERIA_TEST_POSTGRES`. A test that is run alone, from an editor,
//! finds none of them and starts the servers itself, once for its process; they die with it. Only
//! tests may depend on this crate, and it must never know a role or a domain.

use kit_stack::{Addresses, Stack, StackConfig};
use tokio::sync::OnceCell;

/// Kept for the life of the test process: the supervisor's thread ends the servers when it goes.
static SERVERS: OnceCell<Servers> = OnceCell::const_new();

struct Servers {
    addresses: Addresses,
    _own: Option<(Stack, tempfile::TempDir)>,
}

/// The addresses of real servers; starts them where no network runs.
pub async fn servers() -> &'static Addresses {
    &SERVERS.get_or_init(find_or_start).await.addresses
}

async fn find_or_start() -> Servers {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let given = (
        variable("ARTERIA_TEST_KAFKA"),
        variable("ARTERIA_TEST_REGISTRY"),
        variable("ARTERIA_TEST_POSTGRES"),
    );
    if let (Some(kafka), Some(registry), Some(postgres)) = given {
        return Servers { addresses: Addresses { kafka, registry, postgres }, _own: None };
    }
    let dir = tempfile::tempdir().expect("a folder for the servers");
    let config = StackConfig::on_free_ports(dir.path()).expect("free ports");
    let stack = Stack::up(&config).await.expect("starting the servers");
    Servers { addresses: stack.addresses.clone(), _own: Some((stack, dir)) }
}
