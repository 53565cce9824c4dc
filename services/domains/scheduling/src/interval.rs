//! A stretch of time: its first instant belongs to it, its last does not.

use kit_event::Timestamp;

/// `[starts, ends)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// The first instant.
    pub starts: Timestamp,
    /// The first instant after it.
    pub ends: Timestamp,
}

impl Interval {
    /// `[starts, ends)`.
    #[must_use]
    pub const fn new(starts: Timestamp, ends: Timestamp) -> Self {
        Self { starts, ends }
    }

    /// Whether some instant belongs to both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.starts < other.ends && other.starts < self.ends
    }

    /// Whether every instant of `other` belongs to it.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        self.starts <= other.starts && other.ends <= self.ends
    }
}

/// Intervals in order, those that overlap or touch made one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intervals(Vec<Interval>);

impl Intervals {
    /// The one of them that could hold or overlap `other`: the first that ends after it begins.
    fn near(&self, other: &Interval) -> Option<&Interval> {
        self.0.get(self.0.partition_point(|it| it.ends <= other.starts))
    }

    /// Whether some instant of `other` belongs to one of them.
    #[must_use]
    pub fn overlap(&self, other: &Interval) -> bool {
        self.near(other).is_some_and(|near| near.overlaps(other))
    }

    /// Whether every instant of `other` belongs to one of them.
    #[must_use]
    pub fn hold(&self, other: &Interval) -> bool {
        self.near(other).is_some_and(|near| near.holds(other))
    }
}

impl FromIterator<Interval> for Intervals {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        let mut sorted: Vec<Interval> =
            intervals.into_iter().filter(|it| it.starts < it.ends).collect();
        sorted.sort_unstable();
        let mut joined: Vec<Interval> = Vec::with_capacity(sorted.len());
        for next in sorted {
            match joined.last_mut() {
                Some(last) if next.starts <= last.ends => last.ends = last.ends.max(next.ends),
                Some(_) | None => joined.push(next),
            }
        }
        Self(joined)
    }
}
