//! Least rights: the lines of docs/SECURITY.md are enough for each program, and everything in them is needed.

mod on_rabbitmq;
mod on_redis;
