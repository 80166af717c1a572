//! Faults under load, rows 1 to 23 of the matrix in docs/FAULTS.md: every run ends as if nothing had failed.

mod alarms;
mod broker;
mod loaders;
mod network;
mod nodes;
mod probes;
mod publishing;
mod queue;
mod redis;
mod slow_queue;
mod strangers;
mod too_large;
mod upgrade;
