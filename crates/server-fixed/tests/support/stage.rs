//! Where in a stream its client leaves, and what the upstream does meanwhile.

/// Where in a stream its client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    BeforeHead,
    BeforeFirstToken,
    MidStream,
    AfterLastContent,
}

pub const STAGES: [Stage; 4] = [
    Stage::BeforeHead,
    Stage::BeforeFirstToken,
    Stage::MidStream,
    Stage::AfterLastContent,
];

/// What the upstream does once its client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on soon, for minutes; after the last content it ends.
    Streams,
    /// It says nothing any more.
    Silent,
}

pub const FLOWS: [Flow; 2] = [Flow::Streams, Flow::Silent];

/// How many content events a client has seen in mid-stream, and at the end of a short stream.
pub const CONTENT: usize = 3;

impl Stage {
    /// The headers that make the mock behave so.
    pub fn shape(self, flow: Flow) -> Vec<(&'static str, &'static str)> {
        let fault = |fault| ("x-mock-fault", fault);
        let first_after = |time| ("x-mock-ttft", time);
        let (quick, short) = (first_after("10ms"), ("x-mock-chunks", "3"));
        let mut shape = match (self, flow) {
            (Self::BeforeHead, Flow::Streams) => vec![fault("slow-headers=400ms"), quick],
            (Self::BeforeHead, Flow::Silent) => vec![fault("slow-headers=1h")],
            (Self::BeforeFirstToken, Flow::Streams) => vec![first_after("400ms")],
            (Self::BeforeFirstToken, Flow::Silent) => vec![first_after("1h")],
            (Self::MidStream, Flow::Streams) => vec![quick],
            (Self::MidStream, Flow::Silent) => vec![quick, fault("stall@3")],
            (Self::AfterLastContent, Flow::Streams) => vec![quick, short],
            (Self::AfterLastContent, Flow::Silent) => vec![quick, short, fault("stall@3")],
        };
        if !shape.contains(&short) {
            shape.push(("x-mock-chunks", "10000"));
        }
        shape.push(("x-mock-interval", "50ms"));
        shape
    }
}
