//! Laws about the text of the sources.

use std::collections::BTreeSet;

use tests_tidy::tree::{TextFile, crate_folders, root, rust_files, text_files};
use tests_tidy::{Violation, ambient, circles, facts, lists, names, obey, size, words};

const RATCHET: &str = "tests/tidy/ratchet.txt";
const CIRCLES: &str = "tests/tidy/circles.txt";

fn of_domains() -> impl Iterator<Item = TextFile> {
    rust_files().into_iter().filter(|file| file.path.starts_with("services/domains/"))
}

#[test]
fn no_match_over_facts_has_a_wildcard_arm() {
    let found = of_domains().flat_map(|file| facts::wildcard_arms(&file.path, &file.text));
    obey(
        "A match over facts names them all, so that the compiler lists the places to change.",
        found.collect(),
    );
}

#[test]
fn every_domain_denies_wildcards_over_enums() {
    let roots = of_domains().filter(|file| {
        file.path.ends_with("/src/lib.rs")
            && !file.path.ends_with("/store/src/lib.rs")
            && !file.path.starts_with("services/domains/all")
    });
    let found = roots.flat_map(|file| facts::missing_denials(&file.path, &file.text));
    obey("Each domain denies wildcard arms over enums in its lib.rs.", found.collect());
}

#[test]
fn the_only_lists_of_domains_are_those_of_services_domains_all() {
    let nouns: BTreeSet<String> = all_domains::names().map(str::to_owned).collect();
    let found =
        rust_files().into_iter().flat_map(|file| lists::violations(&file.path, &file.text, &nouns));
    obey("A new domain is a line in services/domains/all*, and nowhere else.", found.collect());
}

/// `UPDATE_RATCHET=1` writes what shrank; `UPDATE_RATCHET=raise` also takes in what is new or grew.
#[test]
fn functions_and_files_are_short_and_listed_ones_never_grow() {
    let present = size::too_long(&rust_files());
    let path = root().join(RATCHET);
    let listed = size::read(&std::fs::read_to_string(&path).unwrap_or_default());
    let listed = match std::env::var("UPDATE_RATCHET").as_deref() {
        Ok(told) => {
            let updated = size::updated(&present, &listed, told == "raise");
            std::fs::write(&path, size::write(&updated)).expect("the ratchet can be written");
            updated
        }
        Err(_) => listed,
    };
    let law = "A function has at most 70 lines, a file 400; those in tests/tidy/ratchet.txt may only \
               shrink.";
    obey(law, size::beyond(&present, &listed));
}

/// `UPDATE_RATCHET=1` writes what shrank.
#[test]
fn modules_import_each_other_in_no_new_circle() {
    let found = circles::circles(&rust_files());
    let path = root().join(CIRCLES);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let mut listed = circles::read(&text);
    if std::env::var_os("UPDATE_RATCHET").is_some() {
        let sizes = circles::sizes(&found);
        listed.retain(|folder, _| sizes.contains_key(folder));
        for (folder, size) in &mut listed {
            *size = sizes[folder].min(*size);
        }
        let why = text.lines().filter(|line| line.starts_with('#')).map(str::to_owned);
        let lines = why.chain(listed.iter().map(|(folder, size)| format!("{folder} {size}")));
        let text: String = lines.map(|line| line + "\n").collect();
        std::fs::write(&path, text).expect("the list can be written");
    }
    let law = "Modules import each other in no circle; the circles of the crates in \
               tests/tidy/circles.txt may only shrink.";
    obey(law, circles::beyond(&found, &listed));
}

#[test]
fn lines_are_at_most_a_hundred_columns_wide() {
    let found = rust_files().into_iter().flat_map(|file| size::too_wide(&file.path, &file.text));
    obey("A line has at most 100 columns.", found.collect());
}

#[test]
fn nothing_comes_in_by_the_back_door() {
    let found =
        rust_files().into_iter().flat_map(|file| ambient::violations(&file.path, &file.text));
    obey(
        "Time and chance are arguments; no lint is silenced; nothing is unfinished.",
        found.collect(),
    );
}

#[test]
fn nothing_is_named_as_a_drawer() {
    let crates = crate_folders();
    let last = |folder: &String| folder.rsplit('/').next().unwrap_or_default().to_owned();
    let mut found: Vec<_> =
        crates.iter().filter_map(|folder| names::crate_named_as_drawer(&last(folder))).collect();
    for file in rust_files() {
        found.extend(names::modules_named_as_drawers(&file.path, &file.text));
    }
    obey("Crates and modules are named by what they hold.", found);
}

#[test]
fn every_crate_says_what_it_is_for() {
    let roots = rust_files()
        .into_iter()
        .filter(|file| file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs"));
    let found = roots.filter_map(|file| names::missing_essay(&file.path, &file.text));
    obey("The root of each crate begins with an essay.", found.collect());
}

#[test]
fn every_folder_of_the_house_has_a_map() {
    let mut folders = crate_folders();
    folders.extend(["proto-schemas", "services/domains", "services/kit"].map(str::to_owned));
    let unmapped = folders.iter().filter(|folder| !root().join(folder).join("README.md").is_file());
    let what = "write README.md: one sentence a file, in the order in which data meets them";
    let found = unmapped.map(|folder| Violation::new(folder, what));
    obey("Each folder of the house has its map.", found.collect());
}

#[test]
fn nothing_unfinished_and_nothing_of_a_workplace_is_shipped() {
    let found = text_files().into_iter().flat_map(|file| words::violations(&file.path, &file.text));
    obey("What we ship is finished and runs anywhere.", found.collect());
}
