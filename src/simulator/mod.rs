//! A stand-in for GitHub's Events API.
mod generator;
pub use generator::Generator;
