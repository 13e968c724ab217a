//! The relay as an app and its clients see it. One program for all: it is built once.

mod faults;
mod guard;
mod http2;
mod names;
mod slicing;
mod sockets;
mod support;
mod tls;
