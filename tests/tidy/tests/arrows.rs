//! Dependencies run host -> domain -> kit.

use tests_tidy::arrows::{Room, members, violations};
use tests_tidy::obey;

#[test]
fn dependencies_run_from_host_to_domain_to_kit() {
    let members = members();
    let domains = members.iter().filter(|member| matches!(member.room, Room::Domain(_))).count();
    assert!(domains >= 4, "only {domains} domain crates found: the law looks in the wrong place");
    obey("Dependencies run host -> domain -> kit.", violations(&members));
}
