//! Every number that both ends of the link must agree on. WELCOME tells those that may differ.

/// A frame's largest size, in bytes of JSON text.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// The largest first frame: before a token is verified nobody gets more.
pub const HELLO_BYTES_MAX: usize = 8 * 1024;
/// HELLO must arrive within this time after the upgrade.
pub const HELLO_WITHIN_MS: u64 = 5_000;
/// Messages in flight in each direction before an ack must come back.
pub const CREDITS: u32 = 16;
/// Silence after which either end speaks; jittered by a fifth either way.
pub const HEARTBEAT_MS: u64 = 20_000;
/// After a ping, silence of this length means the link is dead.
pub const HEARTBEAT_GRACE_MS: u64 = 8_000;
/// The longest that a live query may take.
pub const QUERY_MS_MAX: u64 = 30_000;
/// A token in HELLO lives at most this long.
pub const TOKEN_SECONDS_MAX: u64 = 300;
/// Frames in a row that an agent may send before WELCOME: HELLO alone.
pub const FRAMES_BEFORE_WELCOME_MAX: u32 = 1;
