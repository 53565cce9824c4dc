//! `arteria schemas register` and `list`: an operator's own event types, without a deployment.
//!
//! A file is read with suspicion, checked against what bodies may be, and against every earlier
//! version of its type; only then the registry hears of it. All files are checked before the first
//! is registered, so that a mistake in the last leaves nothing half done.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use kit_body::schema::SCHEMA_BYTES_MAX;
use kit_body::{Candidate, Listed, Offered, Schemas, name};
use kit_config::Settings;

/// Domains whose types come with a release, beside those that have facts; no clinic's mapping may
/// name them either.
const RESERVED: [&str; 5] = ["control", "cloud", "arteria", "audit", name::PUBLIC];

#[derive(clap::Args)]
pub struct Register {
    /// Avro schemas; the record arteria.voip.CallEnded is the type `voip.call_ended`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The version that the one file is believed to be; the next one where nothing is said.
    #[arg(long)]
    version: Option<u32>,
}

/// Registers files; repeating it changes nothing.
pub async fn register(args: &Register, settings: &Settings, carried: &[&str]) -> Result<()> {
    ensure!(
        args.version.is_none() || args.files.len() == 1,
        "--version goes with one file; several files become the next version of their type"
    );
    let candidates = args.files.iter().map(|path| read(path, carried));
    let candidates = candidates.collect::<Result<Vec<_>>>()?;
    let registry = Schemas::new(&settings.registry_url)?;
    for (path, candidate) in args.files.iter().zip(&candidates) {
        let offered = registry.offer(candidate, args.version).await;
        let offered = offered.with_context(|| path.display().to_string())?;
        println!("{}", said(candidate, offered));
    }
    Ok(())
}

/// Registers one schema and gives a word on it.
pub async fn offer(text: &str, settings: &Settings) -> Result<String> {
    let candidate = Candidate::read(text)?;
    let offered = Schemas::new(&settings.registry_url)?.offer(&candidate, None).await?;
    Ok(said(&candidate, offered))
}

fn said(candidate: &Candidate, offered: Offered) -> String {
    let (what, version) = match offered {
        Offered::Registered { version } => ("registered", version),
        Offered::AlreadyThere { version } => ("as it is  ", version),
    };
    let public = match candidate.public.as_slice() {
        [] => "none of them public".to_owned(),
        public => format!("public: {}", public.join(", ")),
    };
    let (type_name, record) = (&candidate.type_name, candidate.schema.name());
    format!("{what} {type_name} v{version} ({record}), {} fields, {public}", candidate.fields())
}

/// Reads and checks one file; `carried` are the domains of this binary.
fn read(path: &Path, carried: &[&str]) -> Result<Candidate> {
    let candidate = text(path).and_then(|text| Ok(Candidate::read(&text)?));
    // Whoever wrote the file chose the names that an error quotes, and it goes to a terminal.
    let candidate = candidate.map_err(|error| anyhow::Error::msg(plain(&format!("{error:#}"))));
    let candidate = candidate.with_context(|| path.display().to_string())?;
    let domain = candidate.type_name.split('.').next().unwrap_or_default();
    if carried.contains(&domain) || RESERVED.contains(&domain) {
        let type_name = &candidate.type_name;
        bail!(
            "{}: types of {domain} come with a release of Arteria; give {type_name} a domain of \
             its own",
            path.display()
        );
    }
    Ok(candidate)
}

/// A text without what moves a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// A file's text, never more of it than a schema may have.
fn text(path: &Path) -> Result<String> {
    let file = std::fs::File::open(path).context("opening the file")?;
    ensure!(file.metadata().context("looking at the file")?.is_file(), "it is no file");
    let mut bytes = Vec::new();
    let most = SCHEMA_BYTES_MAX as u64 + 1;
    file.take(most).read_to_end(&mut bytes).context("reading the file")?;
    ensure!(bytes.len() <= SCHEMA_BYTES_MAX, "it is larger than {SCHEMA_BYTES_MAX} bytes");
    String::from_utf8(bytes).ok().context("it is not UTF-8 text")
}

/// Prints what the registry holds.
pub async fn list(settings: &Settings, carried: &[&str]) -> Result<()> {
    let catalog = Schemas::new(&settings.registry_url)?.catalog().await?;
    let width = catalog.iter().map(|one| title(one).len()).max().unwrap_or_default();
    for one in &catalog {
        let versions: Vec<String> = one
            .versions
            .iter()
            .map(|(version, id, fingerprint)| format!("v{version} (id {id}, {fingerprint:.16})"))
            .collect();
        println!("{:width$}  {:8}  {}", title(one), whose(one, carried), versions.join(", "));
    }
    println!("{} types", catalog.len());
    Ok(())
}

fn title(one: &Listed) -> &str {
    one.type_name.as_deref().unwrap_or(&one.subject)
}

/// Whose word a subject is: the release's, an operator's, or nobody's that we know.
fn whose(one: &Listed, carried: &[&str]) -> &'static str {
    let Some(type_name) = &one.type_name else { return "foreign" };
    let domain = type_name.split('.').next().unwrap_or_default();
    let is_ours = carried.contains(&domain) || RESERVED.contains(&domain);
    if is_ours { "release" } else { "operator" }
}

#[cfg(test)]
mod tests {
    use kit_body::schemas::{self, Promise};

    use super::*;

    const GOOD: &str = r#"{"type": "record", "name": "CallEnded", "namespace": "arteria.voip",
        "fields": [{"name": "call_id", "type": "string", "arteria.public": true}]}"#;

    fn refused(name: &str, bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, &["patients"]).expect_err("it must be refused");
        let said = format!("{error:#}");
        assert!(said.starts_with(&path.display().to_string()), "{said}");
        said
    }

    #[test]
    fn a_good_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("call.avsc");
        std::fs::write(&path, GOOD).unwrap();
        let candidate = read(&path, &["patients"]).unwrap();
        let said = said(&candidate, Offered::Registered { version: 2 });
        assert_eq!(
            said,
            "registered voip.call_ended v2 (arteria.voip.CallEnded), 1 fields, public: call_id"
        );
    }

    #[test]
    fn wrong_empty_huge_and_hostile_files_are_refused_with_their_name() {
        assert!(refused("empty.avsc", b"").contains("the file is empty"));
        assert!(refused("binary.avsc", &[0xff, 0xfe, 0]).contains("not UTF-8"));
        assert!(refused("huge.avsc", &vec![b' '; 3 * SCHEMA_BYTES_MAX]).contains("larger than"));
        assert!(refused("cut.avsc", &GOOD.as_bytes()[..90]).contains("parsing an Avro schema"));
        let of_ours = GOOD.replace("arteria.voip", "arteria.patients");
        assert!(refused("ours.avsc", of_ours.as_bytes()).contains("come with a release"));
        for reserved in ["control", "cloud", "arteria", "audit"] {
            let reserved = GOOD.replace("arteria.voip", &format!("arteria.{reserved}"));
            assert!(refused("own.avsc", reserved.as_bytes()).contains("come with a release"));
        }
        let moving = GOOD.replace("CallEnded", "Call\\u001b[2JEnded");
        assert!(refused("moving.avsc", moving.as_bytes()).contains("Call?[2JEnded"));
        let map = GOOD.replace(r#""string""#, r#"{"type":"map","values":"int"}"#);
        assert!(refused("map.avsc", map.as_bytes()).contains("$.call_id: Map has no place"));
    }

    #[test]
    fn the_example_registers_and_keeps_telephone_numbers_in_the_house() {
        let texts = [
            include_str!("../../../examples/voip/call_ended.v1.avsc"),
            include_str!("../../../examples/voip/call_ended.v2.avsc"),
        ];
        let promise = |version: u32| {
            let candidate = Candidate::read(texts[version as usize - 1]).unwrap();
            assert_eq!(candidate.type_name, "voip.call_ended");
            assert!(!candidate.public.contains(&"number".to_owned()));
            assert_eq!(candidate.public.len(), candidate.fields() - 1);
            Promise { type_name: candidate.type_name, version, text: candidate.text }
        };
        assert!(schemas::incompatible(&[promise(1), promise(2)]).is_empty());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for (path, said) in [("/dev/null", "no file"), ("/", "no file"), ("/no/such", "opening")] {
            let error = read(Path::new(path), &[]).expect_err("it must be refused");
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
}
