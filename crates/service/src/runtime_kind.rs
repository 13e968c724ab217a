use clap::ValueEnum;

/// How the event loop of a server is made of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeKind {
    /// One runtime, whose workers share its tasks and its one I/O driver.
    MultiThread,
    /// A runtime of its own on each thread, all accepting from one listener: what worker processes are
    /// elsewhere. A connection stays with the runtime that accepted it.
    SingleThreaded,
}
