//! tests-flow
