//! What tests and the benchmark share: private servers, a corner of the shared ones, the built programs.

#![allow(dead_code, reason = "each user of this module needs a part of it")]

pub mod process;
pub mod rabbitmq;
pub mod redis_server;
