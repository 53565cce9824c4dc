//! The frames of `unit.v1`, the link between a clinic's agent and an edge.
//!
//! The protocol is specified in `proto-schemas/unit.v1.md`, and that document is the agreement; the
//! types here say the same in Rust, for both ends. The crate knows no socket and no state: what may
//! follow what is decided by the edge's session and the agent's link.
//!
//! | module | what it holds |
//! |---|---|
//! | [`handshake`] | the first frame each way |
//! | [`frames`] | every frame, upward ([`FromAgent`]) and downward ([`FromEdge`]) |
//! | [`close`] | close codes, in ranges that an agent obeys without knowing each code |
//! | [`limits`] | every number that both ends must agree on |

pub mod close;
pub mod frames;
pub mod handshake;
pub mod limits;

pub use close::{CloseCode, Obey};
pub use frames::{
    Ack, Answer, Applied, Cancel, ErrorFrame, FactFrame, FromAgent, FromEdge, NewEpoch, Ping, Pong,
    Query, Reemit, Reply, RequestFrame, Resend,
};
pub use handshake::{Cursor, Durable, Hello, LogIdentity, Resume, Welcome};

/// The WebSocket sub-protocol that both ends name at the upgrade.
pub const SUBPROTOCOL: &str = "unit.v1";
/// The path of the upgrade on an edge.
pub const PATH: &str = "/unit/v1";
/// The audience of the token in HELLO.
pub const AUDIENCE: &str = "unit.v1";
