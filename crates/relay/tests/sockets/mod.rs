//! The relay between real sockets, with an upstream that misbehaves to the byte.

mod budget;
mod endings;
mod fallback;
mod forward;
mod hang_up;
mod limits;
mod passing;
mod rollout;
mod support;
