//! Choosing from the domains that have a read model, and the timeline.

pub use all_stores::ALL;
use all_stores::names;
use kit_store::Projection;

/// No domain has that name.
#[derive(Debug, thiserror::Error)]
#[error("no domain is called {name}; there are {}", names().collect::<Vec<_>>().join(", "))]
pub struct UnknownDomain {
    /// The name that was given.
    pub name: String,
}

/// All domains, or the one of that name.
///
/// # Errors
/// There is none.
pub fn chosen(only: Option<&str>) -> Result<Vec<&'static dyn Projection>, UnknownDomain> {
    let chosen: Vec<_> =
        ALL.iter().copied().filter(|it| only.is_none_or(|name| name == it.schema())).collect();
    match only {
        Some(name) if chosen.is_empty() => Err(UnknownDomain { name: name.to_owned() }),
        Some(_) | None => Ok(chosen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_domain_is_chosen_by_its_name() {
        assert_eq!(chosen(None).unwrap().len(), ALL.len());
        assert_eq!(chosen(Some("units")).unwrap()[0].schema(), "units");
        let message = chosen(Some("moon")).err().unwrap().to_string();
        assert!(message.contains("moon") && message.contains("timeline"), "{message}");
    }

    #[test]
    fn one_domain_alone_speaks_for_all() {
        assert_eq!(ALL.iter().filter(|domain| domain.is_coordinator()).count(), 1);
    }
}
