//! Documents as they come: one in a file, or one in each line.

use std::io::{self, BufRead, BufReader, Read};

use super::document::{self, Unread};
use super::source::{Item, why};
use super::stage::Stage;
use super::{Within, rows};

/// The largest JSON document. Synthea's largest patients have 30 MB; a document is kept in memory
/// while it is looked through.
const DOCUMENT_BYTES_MAX: u64 = 128 << 20;
const TOO_LARGE: &str = "larger than a document can be";

/// A whole document, or why there is none.
pub(super) fn whole(bytes: &mut dyn Read) -> Result<Vec<u8>, &'static str> {
    let mut document = Vec::new();
    match bytes.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut document) {
        Ok(read) if read as u64 > DOCUMENT_BYTES_MAX => Err(TOO_LARGE),
        Ok(_) => Ok(document),
        Err(error) => Err(why(&error)),
    }
}

/// A document in each line, or the part of each that one stage takes. A line that cannot be read is
/// named and costs itself alone.
pub(super) fn lines(
    within: &mut Within<'_>,
    item: &Item<'_>,
    only: Option<Stage>,
    bytes: &mut dyn Read,
) -> Result<(), rows::Halt> {
    let broken = |error: io::Error| rows::Halt::Unreadable(why(&error).to_owned());
    // Every stage reads the same lines, and one of them names those that it cannot read.
    let names = only.is_none_or(|only| only == Stage::Patients);
    let mut reader = BufReader::new(bytes);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let mut rationed = (&mut reader).take(DOCUMENT_BYTES_MAX + 1);
        if rationed.read_until(b'\n', &mut line).map_err(broken)? == 0 {
            break;
        }
        let name = format!("{}, line {number}", item.name);
        let unread = if line.len() as u64 > DOCUMENT_BYTES_MAX {
            pass_line(&mut reader).map_err(broken)?;
            Unread::Broken(TOO_LARGE.to_owned())
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            match document::read(&line) {
                Ok(contents) => {
                    contents.take(&mut within.taker(item.scope, &name), only)?;
                    continue;
                }
                Err(unread) => unread,
            }
        };
        if names {
            within.report.unreadable(&name, unread.why());
        }
    }
    Ok(())
}

/// Reads past the rest of a line without keeping it.
fn pass_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (length, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(length);
        if ended {
            return Ok(());
        }
    }
}
