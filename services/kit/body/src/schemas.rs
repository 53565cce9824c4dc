//! The promises on disk: `proto-schemas/<domain>/<name>/v<version>.avsc`, and for the public form
//! of a fact `proto-schemas/public/<domain>/<name>/v<version>.avsc`.
//!
//! A file, once written, is released: it never changes, and a changed struct is a new version
//! beside it. Every version of a type must read every other (`FULL_TRANSITIVE`), and no field may
//! change its type, not even where Avro would promote it: a fact lies on the log for ever, and the
//! newest reader meets the oldest writer as surely as the other way round.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use kit_event::SchemaSource;

use crate::derive::{self, DeriveError};
use crate::name::{self, NameError};
use crate::schema::{self, BodySchema, SchemaError};
use crate::shape::{Record, Shape};

/// One version of one type's schema, as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Promise {
    /// `<domain>.<name>`, or `public.<domain>.<name>`.
    pub type_name: String,
    /// From 1.
    pub version: u32,
    /// The file's text.
    pub text: String,
}

/// Why promises could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SchemasError {
    /// No Avro schema follows from the struct.
    #[error("deriving the schema of {type_name}")]
    Derive {
        /// Of which type.
        type_name: String,
        /// Why.
        #[source]
        source: DeriveError,
    },
    /// The type's name is no name.
    #[error("naming a schema file")]
    Name(#[from] NameError),
    /// Two sources of one type.
    #[error("{type_name} has two sources")]
    Twice {
        /// Which type.
        type_name: String,
    },
    /// The file system.
    #[error("reading {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file system.
    #[error("writing {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file whose place says neither type nor version.
    #[error("{} is not at [public/]<domain>/<name>/v<version>.avsc", path.display())]
    Misplaced {
        /// Which file.
        path: PathBuf,
    },
    /// The struct changed and the version did not.
    #[error(
        "{} is released and its struct has changed since: raise the version of {type_name} above \
         {version} (or, if it has never left this machine, delete the file and write it again)",
        path.display()
    )]
    Released {
        /// Which type.
        type_name: String,
        /// Which version.
        version: u32,
        /// Which file.
        path: PathBuf,
    },
}

/// The promises that the structs make now, sorted by type.
///
/// # Errors
/// A struct that cannot be a body, or two of one type.
pub fn derive(sources: &[SchemaSource]) -> Result<Vec<Promise>, SchemasError> {
    let mut promises = Vec::with_capacity(sources.len());
    for source in sources {
        let type_name = source.type_name.to_owned();
        let text = derive::avsc(source).map_err(|error| SchemasError::Derive {
            type_name: type_name.clone(),
            source: error,
        })?;
        promises.push(Promise { type_name, version: source.version, text });
    }
    promises.sort();
    if let Some(pair) = promises.windows(2).find(|pair| pair[0].type_name == pair[1].type_name) {
        return Err(SchemasError::Twice { type_name: pair[0].type_name.clone() });
    }
    Ok(promises)
}

/// Writes the promises that have no file yet, and names the files written.
///
/// # Errors
/// A file that says otherwise; no file is written then.
pub fn write(dir: &Path, sources: &[SchemaSource]) -> Result<Vec<PathBuf>, SchemasError> {
    let mut missing = Vec::new();
    for promise in derive(sources)? {
        let path = path_of(dir, &promise)?;
        match fs::read_to_string(&path) {
            Ok(text) if text == promise.text => {}
            Ok(_) => {
                let Promise { type_name, version, .. } = promise;
                return Err(SchemasError::Released { type_name, version, path });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push((path, promise)),
            Err(source) => return Err(SchemasError::Read { path, source }),
        }
    }
    let mut written = Vec::with_capacity(missing.len());
    for (path, promise) in missing {
        let parent = path.parent().unwrap_or(dir);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, &promise.text))
            .map_err(|source| SchemasError::Write { path: path.clone(), source })?;
        written.push(path);
    }
    Ok(written)
}

/// Every promise on disk, sorted by type and version.
///
/// # Errors
/// A file that cannot be read, or that stands where no promise stands.
pub fn read(dir: &Path) -> Result<Vec<Promise>, SchemasError> {
    let mut promises = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let failed = |source| SchemasError::Read { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "avsc") {
                promises.push(read_one(dir, &path)?);
            }
        }
    }
    promises.sort();
    Ok(promises)
}

/// What is wrong between structs and files, in plain words; empty when nothing is.
///
/// # Errors
/// Promises that cannot be derived or read at all.
pub fn check(dir: &Path, sources: &[SchemaSource]) -> Result<Vec<String>, SchemasError> {
    let wanted = derive(sources)?;
    let mut held: BTreeMap<String, Vec<Promise>> = BTreeMap::new();
    for promise in read(dir)? {
        held.entry(promise.type_name.clone()).or_default().push(promise);
    }
    let mut complaints = Vec::new();
    for promise in &wanted {
        let versions = held.remove(&promise.type_name).unwrap_or_default();
        complaints.extend(drift(promise, &versions));
        complaints.extend(incompatible(&versions));
    }
    for (type_name, versions) in held {
        complaints.push(format!("{type_name}: schema files without a struct"));
        complaints.extend(incompatible(&versions));
    }
    Ok(complaints)
}

fn drift(wanted: &Promise, held: &[Promise]) -> Vec<String> {
    let Promise { type_name, version, text } = wanted;
    let mut complaints = Vec::new();
    match held.iter().find(|promise| promise.version == *version) {
        None => complaints.push(format!("{type_name}: v{version}.avsc is missing (make schemas)")),
        Some(promise) if promise.text != *text => complaints.push(format!(
            "{type_name}: v{version}.avsc is released and its struct has changed since: raise the \
             version"
        )),
        Some(_) => {}
    }
    for later in held.iter().filter(|promise| promise.version > *version) {
        complaints.push(format!("{type_name}: v{}.avsc is newer than its struct", later.version));
    }
    complaints
}

/// What keeps the versions of one type from reading each other.
#[must_use]
pub fn incompatible(versions: &[Promise]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (index, promise) in versions.iter().enumerate() {
        if promise.version as usize != index + 1 {
            complaints.push(format!("{}: v{} is missing", promise.type_name, index + 1));
            return complaints;
        }
    }
    for (index, later) in versions.iter().enumerate() {
        complaints.extend(against(&versions[..index], later));
    }
    complaints
}

/// What keeps a version from going with the earlier ones.
#[must_use]
pub fn against(earlier: &[Promise], later: &Promise) -> Vec<String> {
    let complaint = |one: &Promise| {
        let reason = compare(one, later).err()?;
        let (type_name, one, two) = (&later.type_name, one.version, later.version);
        Some(format!("{type_name}: v{two} and v{one}: {reason}"))
    };
    earlier.iter().filter_map(complaint).collect()
}

/// Why two versions do not read each other.
#[derive(Debug, thiserror::Error)]
pub enum Incompatible {
    /// One of them does not load.
    #[error("a version does not load: {0}")]
    Load(SchemaError),
    /// Avro's own rules, in either direction.
    #[error("Avro cannot read one with the other: {0}")]
    Avro(String),
    /// A field changed its type, or lacks the default that the other side needs.
    #[error("{0}")]
    Field(String),
    /// Nothing but words changed.
    #[error("both have one fingerprint; a new version must change a field")]
    Same,
}

fn compare(earlier: &Promise, later: &Promise) -> Result<(), Incompatible> {
    let one = schema::parse(&earlier.text).map_err(Incompatible::Load)?;
    let two = schema::parse(&later.text).map_err(Incompatible::Load)?;
    let (left, right) = (BodySchema::load(&one), BodySchema::load(&two));
    let left = left.map_err(Incompatible::Load)?;
    let right = right.map_err(Incompatible::Load)?;
    // Our own rule first: it is the narrower one, and names the field.
    Comparison::default()
        .records(left.record(), right.record(), "$")
        .map_err(Incompatible::Field)?;
    match SchemaCompatibility::mutual_read(&one, &two) {
        Ok(Compatibility::Full) => {}
        Ok(Compatibility::Partial) => return Err(Incompatible::Avro("only in part".to_owned())),
        Err(error) => return Err(Incompatible::Avro(error.to_string())),
    }
    if left.fingerprint() == right.fingerprint() { Err(Incompatible::Same) } else { Ok(()) }
}

/// A comparison under way. Each pair of records is looked at once: names let a short text hold a
/// record a billion times over.
#[derive(Default)]
struct Comparison {
    seen: HashSet<String>,
}

impl Comparison {
    fn records(&mut self, one: &Record, two: &Record, path: &str) -> Result<(), String> {
        if one.name != two.name {
            return Err(format!("{path}: the record has another name"));
        }
        if !self.seen.insert(one.name.clone()) {
            return Ok(());
        }
        for (left, right) in [(one, two), (two, one)] {
            for field in &left.fields {
                let path = format!("{path}.{}", field.name);
                match right.fields.iter().find(|other| other.name == field.name) {
                    Some(other) => self.same_shape(&field.shape, &other.shape, &path)?,
                    None if field.has_default => {}
                    None => return Err(format!("{path}: is only on one side and has no default")),
                }
            }
        }
        Ok(())
    }

    fn same_shape(&mut self, one: &Shape, two: &Shape, path: &str) -> Result<(), String> {
        match (one, two) {
            (Shape::Record(one), Shape::Record(two)) => self.records(one, two, path),
            (Shape::Array(one), Shape::Array(two)) => {
                self.same_shape(one, two, &format!("{path}[]"))
            }
            (Shape::Nullable { value: one, .. }, Shape::Nullable { value: two, .. }) => {
                self.same_shape(one, two, path)
            }
            // Records are compared above, so this looks at names without fields only.
            (one, two) if one == two => Ok(()),
            _ => Err(format!("{path}: changed its type")),
        }
    }
}

fn path_of(dir: &Path, promise: &Promise) -> Result<PathBuf, NameError> {
    let (domain, name) = name::split_promise(&promise.type_name)?;
    Ok(dir.join(domain.replace('.', "/")).join(name).join(format!("v{}.avsc", promise.version)))
}

fn read_one(dir: &Path, path: &Path) -> Result<Promise, SchemasError> {
    let misplaced = || SchemasError::Misplaced { path: path.to_owned() };
    let place = path.strip_prefix(dir).map_err(|_| misplaced())?;
    let pieces: Vec<_> = place.iter().filter_map(|piece| piece.to_str()).collect();
    let (promise, file) = match pieces[..] {
        [domain, name, file] => (format!("{domain}.{name}"), file),
        [name::PUBLIC, domain, name, file] => (name::public(&format!("{domain}.{name}")), file),
        _ => return Err(misplaced()),
    };
    let version = file.strip_prefix('v').and_then(|file| file.strip_suffix(".avsc"));
    let version = version.and_then(|version| version.parse().ok()).ok_or_else(misplaced)?;
    let text = fs::read_to_string(path)
        .map_err(|source| SchemasError::Read { path: path.to_owned(), source })?;
    let promise = Promise { type_name: promise, version, text };
    // Its own place again: `v01.avsc` is another name for v1 and is not taken.
    if path_of(dir, &promise)? == path { Ok(promise) } else { Err(misplaced()) }
}
