//! The projector's own histogram of the same, as its admin port tells it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::place::Place;

const BUCKETS: &str = "arteria_clinic_to_visible_seconds_bucket{";
/// The domain that shows every fact, whatever its type.
const DOMAIN: &str = "domain=\"timeline\"";

/// Facts by the upper bound of their bucket, in microseconds so that bounds compare; cumulative.
pub struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    pub async fn read(place: &Place) -> Result<Self> {
        let url = format!("{}/metrics", place.projector_admin);
        let page = reqwest::get(url).await?.error_for_status()?.text().await?;
        let mut buckets = BTreeMap::new();
        for line in page.lines().filter(|line| line.starts_with(BUCKETS) && line.contains(DOMAIN)) {
            let (labels, count) = line.rsplit_once(' ').context("a bucket without a count")?;
            let (_, le) = labels.split_once("le=\"").context("a bucket without a bound")?;
            let (le, _) = le.split_once('"').context("a bound without an end")?;
            let bound_us = if le == "+Inf" { u64::MAX } else { (le.parse::<f64>()? * 1e6) as u64 };
            buckets.insert(bound_us, count.parse()?);
        }
        Ok(Self(buckets))
    }

    /// What was added since an earlier reading.
    pub fn since(&self, earlier: &Self) -> Self {
        let added = self.0.iter().map(|(bound, count)| {
            (*bound, count - earlier.0.get(bound).copied().unwrap_or_default())
        });
        Self(added.collect())
    }

    pub fn count(&self) -> u64 {
        self.0.values().max().copied().unwrap_or_default()
    }

    /// The bound below which `share` of the facts lie, in milliseconds.
    fn within_ms(&self, share: f64) -> f64 {
        let wanted = (share * self.count() as f64).ceil() as u64;
        let bound = self.0.iter().find(|(_, count)| **count >= wanted.max(1));
        bound.map_or(
            f64::NAN,
            |(us, _)| {
                if *us == u64::MAX { f64::INFINITY } else { *us as f64 / 1e3 }
            },
        )
    }

    pub fn row(&self, name: &str) -> String {
        let within = [0.5, 0.9, 0.99, 0.999].map(|share| format!("<={:.0}", self.within_ms(share)));
        let [p50, p90, p99, p999] = within;
        format!("{name:<34} {p50:>8} {p90:>8} {p99:>8} {p999:>8}")
    }
}
