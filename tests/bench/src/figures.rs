//! Latencies of one series.

use std::time::Duration;

/// A series of latencies.
#[derive(Default)]
pub struct Figures(Vec<Duration>);

impl Extend<Duration> for Figures {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, latencies: I) {
        self.0.extend(latencies);
    }
}

impl Figures {
    pub fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes in another series.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The latency below which `share` of the series lies, in milliseconds (nearest rank).
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        let at = rank.clamp(1, sorted.len().max(1)) - 1;
        sorted.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1_000.0)
    }

    pub fn row(&self, name: &str) -> String {
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|share| self.quantile_ms(share));
        format!("{name:<34} {p50:>8.2} {p90:>8.2} {p99:>8.2} {p999:>8.2}")
    }
}

/// One number for each round.
#[derive(Default)]
pub struct Spread(Vec<f64>);

impl Spread {
    pub fn push(&mut self, number: f64) {
        self.0.push(number);
    }

    /// Minimum, median (the lower of two) and maximum.
    pub fn ends(&self) -> [f64; 3] {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        [at(0), at(last / 2), at(last)]
    }

    /// The largest over the smallest.
    pub fn width(&self) -> f64 {
        let [least, _, most] = self.ends();
        most / least
    }
}
