//! Tokens: the one verifier of the house, the development issuer, and the agent's own key.
//!
//! Every kind of caller has its own issuer, its own audience and its own key set, so that a key
//! that leaks, or a verifier that errs, concerns one kind only. A verifier takes EdDSA and nothing
//! else, a key that it already holds and never one that a token points to, and claims that are all
//! there and all of their proper type: a library's defaults let a token without `aud`, with `aud`
//! as a number, or with `nbf` a year ahead pass, so the rules stand here, each with a test.
//!
//! The crate must never know a route, a permission or a record: it says *who* calls, which units
//! the caller belongs to and, for a patient, which registration; what that allows is decided
//! beside the routes. It never reads a clock; `now` is an argument. Nothing in it prints a token
//! or a key.
//!
//! | module | what it holds |
//! |---|---|
//! | [`kind`] | the kinds of caller: issuer, audience, longest life |
//! | [`claims`] | what a token must say, and the [`Verified`] caller that it becomes |
//! | [`keys`] | key sets: files read again on change, URLs fetched again rarely |
//! | [`verifier`] | [`Verifier`]: from a token's text to a [`Verified`] caller |
//! | [`issuer`] | [`Issuer`], for development; refuses production |
//! | [`agent_key`] | [`AgentKey`]: a clinic's own key, its token for HELLO, its enrolment |
//! | [`key_file`] | private keys on disk, readable by their owner only |

pub mod agent_key;
pub mod claims;
pub mod issuer;
pub mod key_file;
pub mod keys;
pub mod kind;
pub mod verifier;

pub use agent_key::{AgentKey, AgentKeyError, add_agent_key};
pub use claims::{InvalidToken, Verified};
pub use issuer::{Issuer, IssuerError};
pub use keys::{KeySource, KeysError};
pub use kind::Kind;
pub use verifier::{Trusted, Verifier};
