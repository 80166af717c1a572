//! What tests and the benchmark share: private servers, a corner of the shared ones, the built programs, an independent
//! model of what they must do.

#![allow(dead_code, reason = "each user of this module needs a part of it")]

pub mod amqp;
pub mod archive_files;
pub mod archive_host;
pub mod browser;
pub mod canary;
pub mod certificates;
pub mod cluster_load;
pub mod corner;
pub mod dashboard;
pub mod dump;
pub mod event_log;
pub mod events;
pub mod github;
pub mod letters;
pub mod middleman;
pub mod oracle;
pub mod otlp;
pub mod primary;
pub mod process;
pub mod program;
pub mod proxy;
pub mod rabbit_cluster;
pub mod rabbitmq;
pub mod rabbitmq_rights;
pub mod raw_amqp;
pub mod redis_cluster;
pub mod redis_server;
pub mod run;
pub mod security;
pub mod sentinels;
pub mod sources;
pub mod status;
pub mod stranger;
pub mod terminal;
pub mod tls_front;
pub mod told;
pub mod wait;
