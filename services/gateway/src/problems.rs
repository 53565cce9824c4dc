//! A page for every problem that anybody here can name.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{Html, IntoResponse, Response};
use http::header::{CACHE_CONTROL, HeaderValue};
use kit_http::problem::NOT_FOUND;
use kit_http::{Problem, ProblemKind};
use kit_rest::face::problem_kinds;

/// Every kind of problem, the units' rejections among them.
pub fn kinds() -> impl Iterator<Item = ProblemKind> {
    problem_kinds(&all_rest::ALL)
}

/// A day: pages change with releases only.
const PAGE_KEPT: &str = "public, max-age=86400";

/// `GET /problems/{name}`.
pub async fn page(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| NOT_FOUND)?;
    let kind = kinds().find(|kind| kind.slug == name).ok_or(NOT_FOUND)?;
    let ProblemKind { slug, status, title, meaning } = kind;
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{slug}</title>\n\
         <h1>{title}</h1>\n<p><code>{slug}</code>, status {status}</p>\n<p>{meaning}</p>\n</html>\n"
    );
    let mut response = Html(html).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(PAGE_KEPT));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_slug_means_one_resource() {
        let mut seen: HashMap<&str, (u16, &str)> = HashMap::new();
        for kind in kinds() {
            let said = seen.entry(kind.slug).or_insert((kind.status, kind.title));
            assert_eq!(*said, (kind.status, kind.title), "{}", kind.slug);
            assert!(!kind.title.contains(['<', '&']) && !kind.meaning.contains(['<', '&']));
        }
    }

    #[tokio::test]
    async fn every_problem_has_a_page_and_no_other_name_has() {
        for kind in kinds() {
            assert!(page(Ok(Path(kind.slug.to_owned()))).await.is_ok(), "{}", kind.slug);
        }
        assert!(page(Ok(Path("no-such-problem".to_owned()))).await.is_err());
    }
}
