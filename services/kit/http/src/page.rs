//! Pages of lists: a limit, and a cursor that only we can read.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::query::QueryText;

/// Items on a page when the caller names no limit.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;
/// Most items on a page; a caller that asks for more gets these and a cursor.
pub const PAGE_ITEMS_MAX: u32 = 200;

/// Which page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Most items to give.
    pub limit: u32,
    /// The sort key after which the page begins, as the read model wrote it.
    pub after: Option<String>,
}

impl PageQuery {
    /// Takes `limit` and `cursor`.
    pub fn take(query: &mut QueryText) -> Self {
        let limit = query.take::<Limit>("limit");
        let limit = limit.map_or(PAGE_ITEMS_DEFAULT, |asked| asked.0.min(PAGE_ITEMS_MAX));
        let after = query.take::<String>("cursor").and_then(|cursor| {
            let text = read_cursor(&cursor);
            if text.is_none() {
                query.refuse("cursor", "is no cursor that a list gave");
            }
            text
        });
        Self { limit, after }
    }
}

/// Most items that a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub u32);

/// A text that is no number of items.
#[derive(Debug, thiserror::Error)]
#[error("is a whole number from 1")]
pub struct LimitError;

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let asked = text.parse::<u64>().ok().filter(|limit| *limit > 0).ok_or(LimitError)?;
        Ok(Self(u32::try_from(asked).unwrap_or(u32::MAX)))
    }
}

/// Writes a sort key as a cursor.
#[must_use]
pub fn cursor_text(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn read_cursor(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Result<PageQuery, crate::Problem> {
        let mut query = QueryText::parse(text)?;
        let page = PageQuery::take(&mut query);
        query.finish().map(|()| page)
    }

    #[test]
    fn a_cursor_reads_back_and_a_limit_is_bounded() {
        let key = "müller\u{1}ana\u{1}7f";
        let page_after = page(&format!("cursor={}&limit=7", cursor_text(key))).unwrap();
        assert_eq!(page_after, PageQuery { limit: 7, after: Some(key.to_owned()) });
        assert_eq!(page("").unwrap(), PageQuery { limit: PAGE_ITEMS_DEFAULT, after: None });
        for large in ["limit=100000", "limit=99999999999"] {
            assert_eq!(page(large).unwrap().limit, PAGE_ITEMS_MAX);
        }
        for bad in ["limit=0", "limit=-1", "limit=x", "cursor=%00", "cursor=!!", "cursor=_w"] {
            assert_eq!(page(bad).unwrap_err().slug(), "invalid-parameter", "{bad}");
        }
    }
}
