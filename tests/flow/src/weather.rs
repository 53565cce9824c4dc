//! How often things go wrong. Chance has two sources: the plan (what people do) and the weather
//! (what happens to it on the way), so that a broken link never changes what is asked next.

use agent::failpoints::{Failpoints, Step};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Shares in a hundred.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Of connections, those that break after some frames.
    pub links_break: u32,
    /// Of connections, those told of an older last fact than the log has.
    pub scans_lag: u32,
    /// Of starts, those of an agent that is about to lose its power at some step.
    pub powers_fail: u32,
    /// Of frames with a position, those that are sent twice.
    pub frames_repeat: u32,
    /// Of facts on the log, those that a reader cannot read, and those that it reads twice.
    pub facts_lost: u32,
    /// As above.
    pub facts_repeat: u32,
    /// Of steps, those in which the unit is told to number anew, or loses its spool.
    pub epochs_turn: u32,
    /// Whether requests follow controls without a pause.
    pub controls_at_once: bool,
}

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Self = Self {
        links_break: 0,
        scans_lag: 0,
        powers_fail: 0,
        frames_repeat: 0,
        facts_lost: 0,
        facts_repeat: 0,
        epochs_turn: 0,
        controls_at_once: false,
    };

    /// Links break, power fails, records are lost and repeated.
    pub const STORM: Self = Self {
        links_break: 30,
        scans_lag: 25,
        powers_fail: 75,
        frames_repeat: 15,
        facts_lost: 6,
        facts_repeat: 10,
        ..Self::CALM
    };

    /// A storm in which the unit also begins to number anew.
    pub const UPHEAVAL: Self = Self { epochs_turn: 6, ..Self::STORM };
}

/// One in a hundred, `percent` times.
pub fn chance(rng: &mut StdRng, percent: u32) -> bool {
    rng.random_range(0..100) < percent
}

/// Passes that a step gets before the power goes: within what one connection does.
const PASSES_MAX: u32 = 4;

/// The power's mood for one run of the agent.
pub fn power(rng: &mut StdRng, weather: &Weather) -> Failpoints {
    if !chance(rng, weather.powers_fail) {
        return Failpoints::none();
    }
    let step = Step::ALL.choose(rng).copied().unwrap_or(Step::DrainRead);
    Failpoints::stop_at(step, rng.random_range(0..PASSES_MAX))
}
