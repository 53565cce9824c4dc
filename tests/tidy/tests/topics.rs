//! Every topic has a writer and a reader.

use tests_tidy::obey;
use tests_tidy::topics::{ROLES, together, topics, traffic, violations};
use tests_tidy::tree::rust_files;

#[test]
fn every_topic_has_a_writer_and_a_reader() {
    let (bus, rest): (Vec<_>, Vec<_>) =
        rust_files().into_iter().partition(|file| file.path.starts_with("services/kit/bus/src/"));
    let topics = topics(&bus);
    assert!(!topics.is_empty(), "enum Topic is no longer in kit-bus: tell this law where it is");
    let is_test = |path: &str| path.ends_with("tests.rs") || path.contains("/tests/");
    let of_role = |role: &str| {
        let own = rest.iter().filter(|file| file.path.starts_with(role) && !is_test(&file.path));
        traffic(&own.cloned().collect::<Vec<_>>())
    };
    let traffic = together(ROLES.map(of_role));
    obey(
        "A topic is created with its first writer, and read by somebody.",
        violations(&topics, &traffic),
    );
}
