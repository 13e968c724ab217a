use std::sync::mpsc::{Receiver, Sender, channel};

use verdict::record::Event;

/// Where events go.
#[derive(Clone, Debug)]
pub struct Results(Sender<Event>);

impl Results {
    /// A way for events, and its end.
    #[must_use]
    pub fn new() -> (Self, Receiver<Event>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }

    /// Tells what happened. Without a collector there is nobody to report to.
    pub fn tell(&self, event: impl Into<Event>) {
        let _ = self.0.send(event.into());
    }
}
