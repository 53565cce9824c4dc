//! The set of outbox rows that are published and may still stand in the outbox.
//!
//! Numbers come in order and without many gaps, so a few stretches tell a long set. It is a set and
//! no high watermark: nothing can fall below one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Numbers of outbox rows, as stretches from a first to a last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained(BTreeMap<i64, i64>);

/// The text is no list of stretches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no list of stretches")]
pub struct NotStretches;

impl Drained {
    /// Adds a number.
    pub fn insert(&mut self, id: i64) {
        if self.contains(id) {
            return;
        }
        let before = self.0.range(..id).next_back().filter(|(_, last)| **last + 1 == id);
        let first = before.map_or(id, |(first, _)| *first);
        let last = self.0.remove(&(id + 1)).unwrap_or(id);
        self.0.insert(first, last);
    }

    /// Removes a stretch.
    pub fn remove(&mut self, first: i64, last: i64) {
        let touched: Vec<(i64, i64)> = self
            .0
            .range(..=last)
            .filter(|(_, to)| **to >= first)
            .map(|(from, to)| (*from, *to))
            .collect();
        for (from, to) in touched {
            self.0.remove(&from);
            if from < first {
                self.0.insert(from, first - 1);
            }
            if to > last {
                self.0.insert(last + 1, to);
            }
        }
    }

    /// Whether the number is in the set.
    #[must_use]
    pub fn contains(&self, id: i64) -> bool {
        self.0.range(..=id).next_back().is_some_and(|(_, last)| *last >= id)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> i64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The greatest.
    #[must_use]
    pub fn last(&self) -> Option<i64> {
        self.0.last_key_value().map(|(_, last)| *last)
    }

    /// The lowest numbers, `limit` at most, as stretches.
    #[must_use]
    pub fn lowest(&self, limit: i64) -> Vec<(i64, i64)> {
        let mut left = limit;
        let mut taken = Vec::new();
        for (first, last) in &self.0 {
            if left == 0 {
                break;
            }
            let last = (*last).min(first + left - 1);
            left -= last - first + 1;
            taken.push((*first, last));
        }
        taken
    }

    /// The stretches up to `up_to` that are not in the set, in order.
    #[must_use]
    pub fn gaps(&self, up_to: i64) -> Vec<(i64, i64)> {
        let mut next = i64::MIN;
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        for (first, last) in &self.0 {
            if next < *first {
                gaps.push((next, *first - 1));
            }
            next = last.saturating_add(1);
        }
        gaps.push((next, i64::MAX));
        gaps.into_iter()
            .filter(|(first, _)| *first <= up_to)
            .map(|(first, last)| (first, last.min(up_to)))
            .collect()
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (first, last)) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{first}-{last}")?;
        }
        Ok(())
    }
}

impl FromStr for Drained {
    type Err = NotStretches;

    fn from_str(text: &str) -> Result<Self, NotStretches> {
        let stretch = |text: &str| {
            let (first, last) = text.split_once('-')?;
            let (first, last) = (first.parse::<i64>().ok()?, last.parse::<i64>().ok()?);
            (0 < first && first <= last).then_some((first, last))
        };
        let stretches = text.split(',').filter(|text| !text.is_empty());
        stretches.map(|text| stretch(text).ok_or(NotStretches)).collect::<Result<_, _>>().map(Self)
    }
}

impl FromIterator<i64> for Drained {
    fn from_iter<I: IntoIterator<Item = i64>>(ids: I) -> Self {
        let mut drained = Self::default();
        for id in ids {
            drained.insert(id);
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_that_it_says(
            added in prop::collection::vec(1_i64..40, 0..40),
            (from, wide) in (1_i64..40, 0_i64..10),
            limit in 0_i64..20,
        ) {
            let mut plain: BTreeSet<i64> = added.iter().copied().collect();
            let mut drained: Drained = added.into_iter().collect();
            drained.remove(from, from + wide);
            plain.retain(|id| !(from..=from + wide).contains(id));
            for id in 0..60 {
                prop_assert_eq!(drained.contains(id), plain.contains(&id));
                let gap = drained.gaps(50).iter().any(|(a, b)| (*a..=*b).contains(&id));
                prop_assert_eq!(gap, !plain.contains(&id) && id <= 50);
            }
            prop_assert_eq!(drained.len(), plain.len() as i64);
            prop_assert_eq!(drained.last(), plain.last().copied());
            let lowest = drained.lowest(limit).into_iter().flat_map(|(a, b)| a..=b);
            let lowest: Vec<i64> = lowest.collect();
            prop_assert_eq!(lowest, plain.iter().copied().take(limit as usize).collect::<Vec<_>>());
            prop_assert_eq!(drained.to_string().parse::<Drained>(), Ok(drained));
        }
    }
}
