/// A load that is under way.
pub(super) trait Driven: Send + std::fmt::Debug {
    /// Ends it and waits until everything is reported.
    fn end(&mut self);
}
