//! Where the files and crates are.

use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours, or only what was built.
const NOT_OURS: [&str; 2] = ["target", "node_modules"];

/// A text file of the tree.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// From the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/tidy lies two folders below the root").to_owned()
}

/// Every text file of the tree, in order; hidden folders other than `.ci` are local state.
#[must_use]
pub fn text_files() -> Vec<TextFile> {
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust source file of the tree, in order.
#[must_use]
pub fn rust_files() -> Vec<TextFile> {
    text_files()
        .into_iter()
        .filter(|file| Path::new(&file.path).extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// Every folder that holds a crate, from the root.
#[must_use]
pub fn crate_folders() -> Vec<String> {
    let manifests = text_files()
        .into_iter()
        .filter_map(|file| file.path.strip_suffix("/Cargo.toml").map(str::to_owned));
    manifests.collect()
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<TextFile>) {
    let entries = std::fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{} cannot be listed: {error}", dir.display()));
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let hidden = name.starts_with('.') && name != ".ci";
        if path.is_dir() {
            if !hidden && !NOT_OURS.contains(&name.as_str()) {
                walk(root, &path, found);
            }
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap_or(&path);
            found.push(TextFile { path: path.to_string_lossy().replace('\\', "/"), text });
        }
    }
}
