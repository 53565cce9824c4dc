//! Dependencies run host -> domain -> kit, and some crates link nothing of a kind at all.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::Violation;
use crate::tree::root;

/// The rooms of the house, told by the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// `services/kit/<noun>`.
    Kit,
    /// `services/domains/<noun>`: pure.
    Domain(String),
    /// `services/domains/<noun>/store`.
    Store(String),
    /// `services/domains/<noun>/rest`: the domain's face at REST.
    Rest(String),
    /// `services/domains/all*`: a list of domains, named by its folder.
    List(String),
    /// `services/<noun>`.
    Host(String),
    /// `tests/<noun>`.
    Test,
}

impl Room {
    /// The room of a crate's folder, where it lies in one.
    #[must_use]
    pub fn of(folder: &str) -> Option<Self> {
        match folder.split('/').collect::<Vec<_>>()[..] {
            ["services", "kit", _] => Some(Self::Kit),
            ["services", "domains", list] if list.starts_with("all") => {
                Some(Self::List(list.to_owned()))
            }
            ["services", "domains", noun] => Some(Self::Domain(noun.to_owned())),
            ["services", "domains", noun, "store"] => Some(Self::Store(noun.to_owned())),
            ["services", "domains", noun, "rest"] => Some(Self::Rest(noun.to_owned())),
            ["services", noun] => Some(Self::Host(noun.to_owned())),
            ["tests", _] => Some(Self::Test),
            _ => None,
        }
    }
}

/// A crate of the workspace and what it links.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its room.
    pub room: Room,
    /// What its product code names as dependencies.
    pub direct: BTreeSet<String>,
    /// What its tests name besides.
    pub in_tests: BTreeSet<String>,
    /// All that its product code links, near and far.
    pub linked: BTreeSet<String>,
}

/// The one host that may link hosts: it is the binary that holds them as roles.
const BINARY: &str = "arteria";
/// What a domain may link of the kit.
const KIT_OF_DOMAINS: &[&str] = &["kit-event"];
/// What a store may link besides its domain.
const KIT_OF_STORES: &[&str] = &["kit-event", "kit-store"];
/// The domain that the kit may know, and who of the kit: a request's life is the network's own
/// business, and these speak of it to every unit.
const SPOKEN_BY_KIT: (&str, &[&str]) = ("requests", &["kit-request", "kit-rest"]);
/// The list of pure domains.
const PURE_LIST: &str = "all";
/// What a list may link besides the domains: the trait that it lists, and the timeline, which is a
/// read model of no domain.
const KIT_OF_LISTS: &[&str] =
    &["kit-event", "kit-request", "kit-rest", "kit-store", "kit-timeline"];
/// Domains that every host may name: a request's life and a unit's presence are the network's own
/// business. Of the others a host names at most one, or takes the list.
const OF_THE_NETWORK: &[&str] = &["requests", "units"];
/// What the agent may link of the kit.
const KIT_OF_AGENT: &[&str] = &["kit-clock", "kit-event", "kit-link", "kit-telemetry", "kit-token"];
/// What the practice may link of ours: words, and no reader.
const OURS_OF_PRACTICE: &[&str] = &["kit-clock", "kit-event"];
/// What a pure crate never links, near or far.
const INPUT_OUTPUT: &[&str] =
    &["axum", "hyper", "rdkafka", "reqwest", "rusqlite", "sqlx", "sqlx-core", "tokio"];
/// What stands between an agent and a clinic of 1 GB of memory.
const NOT_AT_CLINICS: &[&str] = &["apache-avro", "rdkafka", "sqlx", "sqlx-core"];

/// Every arrow that points the wrong way.
#[must_use]
pub fn violations(members: &[Member]) -> Vec<Violation> {
    let rooms: BTreeMap<_, _> = members.iter().map(|m| (m.name.as_str(), &m.room)).collect();
    let mut found = Vec::new();
    for member in members {
        let mut wrong = |what: String| found.push(Violation::new(&member.name, what));
        for (dependency, in_tests) in named(member) {
            if let Some(room) = rooms.get(dependency)
                && let Some(why) = forbidden(member, dependency, room, in_tests)
            {
                wrong(format!("may not depend on {dependency}: {why}"));
            }
        }
        for (crates, why) in never_linked(member) {
            for linked in crates.iter().filter(|name| member.linked.contains(**name)) {
                wrong(format!("links {linked}: {why}; see `cargo tree -i {linked}`"));
            }
        }
        if let Some(nouns) = lists_domains(member, &rooms) {
            wrong(format!("names the domains {nouns}: take services/domains/all*, the only lists"));
        }
        let may_speak_kafka = member.name == "kit-bus" || member.room == Room::Test;
        if member.direct.contains("rdkafka") && !may_speak_kafka {
            wrong("only kit-bus depends on rdkafka: use its Bus and Reader".into());
        }
    }
    found
}

fn named(member: &Member) -> impl Iterator<Item = (&str, bool)> {
    let direct = member.direct.iter().map(|name| (name.as_str(), false));
    direct.chain(member.in_tests.iter().map(|name| (name.as_str(), true)))
}

/// The domains that a host names one by one, where they are several.
fn lists_domains(of: &Member, rooms: &BTreeMap<&str, &Room>) -> Option<String> {
    let Room::Host(_) = &of.room else { return None };
    let nouns = of.direct.iter().filter_map(|name| match rooms.get(name.as_str()) {
        Some(Room::Domain(noun) | Room::Store(noun)) => Some(noun.as_str()),
        _ => None,
    });
    let nouns: BTreeSet<_> = nouns.filter(|noun| !OF_THE_NETWORK.contains(noun)).collect();
    (nouns.len() > 1).then(|| nouns.into_iter().collect::<Vec<_>>().join(" and "))
}

/// Why a crate may not depend on another of ours. Tests of a crate may use any of the kit, and
/// those of a host what they like.
fn forbidden(of: &Member, on: &str, room: &Room, in_tests: bool) -> Option<&'static str> {
    let own = |list: &[&str], why| (!list.contains(&on)).then_some(why);
    let kit_in_tests = in_tests && *room == Room::Kit;
    match (&of.room, room) {
        (_, Room::Test) => Some("tests are nobody's library"),
        (Room::Test, _) => None,
        (Room::Kit, Room::Kit) => None,
        (Room::Kit, Room::Domain(noun))
            if noun == SPOKEN_BY_KIT.0 && SPOKEN_BY_KIT.1.contains(&of.name.as_str()) =>
        {
            None
        }
        (Room::Kit, _) => Some("the kit knows no domain, store or host"),
        (Room::Domain(_) | Room::Store(_), Room::Kit) if kit_in_tests => None,
        (Room::Domain(_), _) => own(KIT_OF_DOMAINS, "a domain is pure and knows only kit-event"),
        (Room::Store(noun), Room::Domain(other)) if noun == other => None,
        (Room::Store(_), _) => own(KIT_OF_STORES, "a store knows its domain, kit-store, kit-event"),
        (Room::Rest(noun), Room::Domain(other) | Room::Store(other)) if noun == other => None,
        (Room::Rest(_), Room::Domain(other)) if other == SPOKEN_BY_KIT.0 => None,
        (Room::Rest(_), Room::Kit) => None,
        (Room::Rest(_), _) => Some("a face knows its own domain and store, and the kit"),
        (Room::List(_), Room::Domain(_) | Room::Store(_) | Room::Rest(_)) => None,
        (Room::List(_), _) => own(KIT_OF_LISTS, "a list names domains, and nothing beside"),
        (Room::Host(_), _) if in_tests => None,
        (Room::Host(host), _) if host == "practice" => {
            own(OURS_OF_PRACTICE, "the oracle shares no reader with what it judges")
        }
        (Room::Host(host), Room::Kit) if host == "agent" => {
            own(KIT_OF_AGENT, "an agent runs in clinics and links little")
        }
        (Room::Host(host), Room::Store(_) | Room::Rest(_)) if host == "agent" => {
            Some("an agent links only pure domain crates")
        }
        (Room::Host(host), Room::List(list)) if host == "agent" && list != PURE_LIST => {
            Some("an agent links only the list of pure domain crates")
        }
        (Room::Host(host), Room::Host(_)) if host != BINARY => {
            Some("hosts meet on the log and the link, not in code")
        }
        (Room::Host(_), _) => None,
    }
}

fn never_linked(member: &Member) -> Vec<(&'static [&'static str], &'static str)> {
    match &member.room {
        Room::Domain(_) => vec![(INPUT_OUTPUT, "a domain does no input or output")],
        Room::List(list) if list == PURE_LIST => {
            vec![(INPUT_OUTPUT, "the agent takes this list, and links little")]
        }
        Room::Host(host) if host == "agent" => vec![
            (NOT_AT_CLINICS, "no Kafka, Postgres or Avro at clinics"),
            (&["practice"], "the agent shares no reader with its oracle"),
        ],
        Room::Host(host) if host == "practice" => {
            vec![(&["agent", "rdkafka", "sqlx"], "the oracle knows only the clinic database")]
        }
        Room::Kit | Room::Store(_) | Room::Rest(_) | Room::List(_) | Room::Host(_) | Room::Test => {
            vec![]
        }
    }
}

/// The crates of this workspace, as cargo sees them on this platform.
///
/// # Panics
/// `cargo metadata` fails; its message says why.
#[must_use]
pub fn members() -> Vec<Member> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--offline".to_owned(), "--filter-platform".to_owned(), platform()])
        .exec()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    let packages = metadata.workspace_packages();
    packages.iter().filter_map(|package| member(&metadata, package)).collect()
}

fn member(metadata: &Metadata, package: &cargo_metadata::Package) -> Option<Member> {
    let folder = package.manifest_path.parent()?.strip_prefix(&metadata.workspace_root).ok()?;
    let of_kind = |tests: bool| {
        let fits = |kind| (kind == DependencyKind::Development) == tests;
        let all = package.dependencies.iter().filter(|dependency| fits(dependency.kind));
        all.map(|dependency| dependency.name.clone()).collect::<BTreeSet<_>>()
    };
    Some(Member {
        name: package.name.to_string(),
        room: Room::of(folder.as_str())?,
        direct: of_kind(false),
        in_tests: of_kind(true),
        linked: linked(metadata, &package.id),
    })
}

/// Names of all packages that product code of `from` reaches.
fn linked(metadata: &Metadata, from: &cargo_metadata::PackageId) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("cargo metadata was asked for the graph");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(node) = open.pop().and_then(|id| nodes.get(id)) {
        for dependency in &node.deps {
            let product = |kind: &cargo_metadata::DepKindInfo| kind.kind == DependencyKind::Normal;
            if dependency.dep_kinds.iter().any(product) && seen.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    seen.remove(from);
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

/// The platform that the compiler builds for; others may need crates that are not here.
fn platform() -> String {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(compiler).arg("-vV").output().expect("rustc runs").stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("`rustc -vV` names its host").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(folder: &str, direct: &[&str], linked: &[&str]) -> Member {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let parts: Vec<_> = folder.split('/').collect();
        let name = match parts[..] {
            ["services", "kit", noun] => format!("kit-{noun}"),
            ["services", "domains", "all"] => "all-domains".to_owned(),
            ["services", "domains", "all-store"] => "all-stores".to_owned(),
            ["services", "domains", noun, room] => format!("{noun}-{room}"),
            _ => parts.last().unwrap().to_string(),
        };
        Member {
            name,
            room: Room::of(folder).unwrap(),
            direct: set(direct),
            in_tests: BTreeSet::new(),
            linked: set(linked),
        }
    }

    fn house() -> Vec<Member> {
        vec![
            member("services/kit/event", &["serde"], &["serde"]),
            member("services/kit/store", &["kit-event", "sqlx"], &["sqlx"]),
            member("services/kit/bus", &["rdkafka"], &["rdkafka"]),
            member("services/kit/rest", &["kit-event"], &["axum"]),
            member("services/domains/patients", &["kit-event"], &["kit-event"]),
            member("services/domains/patients/store", &["patients", "kit-store"], &["sqlx"]),
            member("services/domains/requests", &["kit-event"], &["kit-event"]),
            member("services/kit/request", &["requests", "kit-event"], &["tokio"]),
            member(
                "services/domains/patients/rest",
                &["patients", "patients-store", "requests", "kit-rest"],
                &["axum"],
            ),
            member("services/domains/billing", &["kit-event"], &["kit-event"]),
            member("services/domains/all", &["patients", "billing"], &["kit-event"]),
            member("services/domains/all-store", &["patients-store"], &["sqlx"]),
            member("services/edge", &["kit-bus"], &["rdkafka"]),
            member("services/agent", &["patients", "kit-event"], &["rusqlite"]),
            member("services/practice", &["kit-event"], &["rusqlite"]),
            member("services/arteria", &["edge", "practice"], &["rdkafka"]),
        ]
    }

    #[test]
    fn the_house_as_it_is_meant_breaks_no_law() {
        assert_eq!(violations(&house()), []);
    }

    #[test]
    fn each_wrong_arrow_is_found() {
        for (folder, direct, linked) in [
            ("services/kit/planted", "patients", ""),
            ("services/kit/planted", "edge", ""),
            ("services/domains/planted", "kit-store", ""),
            ("services/domains/planted", "patients", ""),
            ("services/domains/planted", "kit-event", "tokio"),
            ("services/domains/planted/store", "patients", ""),
            ("services/domains/planted/store", "kit-bus", ""),
            ("services/domains/planted/store", "kit-rest", ""),
            ("services/domains/planted/rest", "patients", ""),
            ("services/domains/planted/rest", "patients-store", ""),
            ("services/domains/planted/rest", "edge", ""),
            ("services/kit/planted", "requests", ""),
            ("services/agent", "patients-rest", ""),
            ("services/planted", "edge", ""),
            ("services/planted", "rdkafka", ""),
            ("services/agent", "patients-store", ""),
            ("services/agent", "all-stores", ""),
            ("services/domains/all", "kit-bus", ""),
            ("services/domains/all", "kit-event", "tokio"),
            ("services/domains/all-store", "edge", ""),
            ("services/domains/patients", "all-domains", ""),
            ("services/agent", "kit-event", "apache-avro"),
            ("services/agent", "practice", ""),
            ("services/practice", "patients", ""),
            ("services/practice", "agent", ""),
        ] {
            let mut house = house();
            house.push(member(folder, &[direct], &[linked]));
            assert_eq!(violations(&house).len(), 1, "{folder} -> {direct} {linked}");
        }
    }

    #[test]
    fn a_host_names_one_domain_or_takes_the_list() {
        for (named, lists) in [
            (vec!["patients", "billing"], true),
            (vec!["patients-store", "billing"], true),
            (vec!["patients", "patients-store"], false),
            (vec!["all-domains"], false),
        ] {
            let mut house = house();
            house.push(member("services/planted", &named, &[]));
            assert_eq!(violations(&house).len(), usize::from(lists), "{named:?}");
        }
    }
}
