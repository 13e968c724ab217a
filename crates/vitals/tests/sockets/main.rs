//! The watch over a real runtime, asked over real sockets.

mod blocked_loop;
mod full_pool;
mod support;
mod uncounted;
