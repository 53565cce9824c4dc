//! The agent at its two files and at its link, driven as the world drives it: SQL by a desk, frames
//! by an edge, and power cuts between any two steps.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "a test says what it expects and goes on, and its numbers are small"
)]

mod apply;
mod capture;
mod care;
mod crash;
mod desk;
mod edge;
mod epochs;
mod foreign;
mod generations;
mod generic;
mod hostile;
mod link;
mod mapped;
mod odd;
mod order;
mod pace;
mod practice;
mod third;
mod till;
mod times;
mod walkthrough;
