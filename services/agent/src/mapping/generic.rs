//! Tables of a generic type: facts that no domain of this agent names, as `voip.call_ended`.
//!
//! Such a fact's body is the mapped fields of its row. What it promises is a schema that an
//! operator registers; the agent only has to give the type its name.

use kit_event::type_name;

use crate::mapping::tree::{Mistakes, Part, shown};

/// The facts of a table whose type no domain names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The thing's word in subjects, as `call`.
    pub word: String,
    /// The type when a row is new.
    pub inserted: Option<String>,
    /// The type when it has other values, and when its state is stated anew.
    pub changed: Option<String>,
    /// The type when it is gone; where none is named, nothing is said then.
    pub removed: Option<String>,
    /// Version of their schemas.
    pub version: u32,
}

impl Facts {
    /// The type that states a row as it is.
    #[must_use]
    pub fn stated(&self) -> Option<&str> {
        self.changed.as_deref().or(self.inserted.as_deref())
    }
}

/// Reads `type` and `[table.facts]` of a table; the thing, with its domain, and its facts.
pub fn read(
    table: &Part<'_, '_>,
    owned_domains: &[&str],
    mistakes: &Mistakes,
) -> Option<(String, Facts)> {
    let typed = table.text("type");
    let named = table.part("facts");
    let before = mistakes.count();
    if let Some((name, at)) = &typed {
        check_type(name, *at, owned_domains, mistakes);
    }
    let Some(named) = named else {
        let (name, at) = typed?;
        if mistakes.count() > before {
            return None;
        }
        let Some((_, word)) = name.split_once('.') else {
            mistakes.at(at, "a type is <domain>.<thing>");
            return None;
        };
        let (changed, removed) = (format!("{name}_changed"), format!("{name}_removed"));
        for derived in [&changed, &removed] {
            check_type(derived, at, owned_domains, mistakes);
        }
        if mistakes.count() > before {
            return None;
        }
        let facts = Facts {
            word: word.to_owned(),
            inserted: Some(changed.clone()),
            changed: Some(changed),
            removed: Some(removed),
            version: 1,
        };
        return Some((name, facts));
    };
    let one = |key| {
        let (name, at) = named.text(key)?;
        check_type(&name, at, owned_domains, mistakes);
        Some((name, at))
    };
    let (inserted, changed, removed) = (one("inserted"), one("changed"), one("removed"));
    let version = version(&named, mistakes);
    named.finish("facts");
    let first = [&inserted, &changed, &removed].into_iter().flatten().next();
    let Some((first, _)) = first else {
        mistakes.at(named.at, "facts name at least one of inserted, changed and removed");
        return None;
    };
    let resource = match &typed {
        Some((name, _)) => name.clone(),
        None => first.rsplit_once('_').map_or(first.as_str(), |(before, _)| before).to_owned(),
    };
    let domain = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    for (name, at) in [&inserted, &changed, &removed].into_iter().flatten() {
        if domain(name) != domain(&resource) {
            mistakes.at(*at, format!("{} is of another domain than {resource}", shown(name)));
        }
    }
    if mistakes.count() > before {
        return None;
    }
    let word =
        resource.split_once('.').map_or_else(|| resource.clone(), |(_, word)| word.to_owned());
    let bare = |it: Option<(String, usize)>| it.map(|(name, _)| name);
    let (inserted, changed, removed) = (bare(inserted), bare(changed), bare(removed));
    let changed = changed.or_else(|| inserted.clone());
    Some((resource, Facts { word, inserted, changed, removed, version }))
}

fn version(named: &Part<'_, '_>, mistakes: &Mistakes) -> u32 {
    let Some(found) = named.take("version") else { return 1 };
    if let Some(version) =
        found.integer().and_then(|number| u32::try_from(number).ok()).filter(|&it| it > 0)
    {
        version
    } else {
        mistakes.at(found.at, "version is a whole number from 1");
        1
    }
}

fn check_type(name: &str, at: usize, owned_domains: &[&str], mistakes: &Mistakes) {
    let domain = name.split('.').next().unwrap_or_default();
    if name.contains('.') && owned_domains.contains(&domain) {
        let problem =
            format!("{domain} names its own facts; say thing = instead, or choose another name");
        mistakes.at(at, problem);
    } else if let Err(error) = type_name::split(name) {
        mistakes.at(at, error.to_string());
    }
}
