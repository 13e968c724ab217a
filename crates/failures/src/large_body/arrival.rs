use axum::extract::Request;

use super::{Answer, BodyError, Incoming, Parameters, Phases, Records, SMALL, Work};

/// Makes parameters of a whole body, and ends each phase of that.
pub(super) type Parse = Box<dyn FnOnce(&[u8], &mut Phases) -> Result<Parameters, BodyError> + Send>;

/// A body that has arrived at its route and has not been read.
pub struct Arrival {
    incoming: Incoming,
    work: Work,
    reading: &'static str,
    parse: Parse,
    records: Records,
}

/// A body that has been read, and what is left to do with it.
pub struct ReadBody {
    phases: Phases,
    parse: Parse,
    records: Records,
}

impl Arrival {
    /// The body of `request`, of at most `limit` bytes. Its reading is the phase `reading`.
    pub(super) fn new(
        request: Request,
        limit: usize,
        work: Work,
        reading: &'static str,
        parse: Parse,
        records: Records,
    ) -> Self {
        Self {
            incoming: Incoming::new(request, limit, &records.sizes),
            work,
            reading,
            parse,
            records,
        }
    }

    /// Whether the body is small and costs no more than its size tells.
    ///
    /// # Errors
    /// As [`Incoming::is_within`].
    ///
    /// # Cancel safety
    /// Safe: what was read is kept.
    pub async fn is_small(&mut self) -> Result<bool, BodyError> {
        Ok(!self.work.is_asked() && self.incoming.is_within(SMALL).await?)
    }

    /// Reads the body into `bytes` in place of what is there. The time that takes is its first phase.
    ///
    /// # Errors
    /// As [`Incoming::read_into`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the body; `bytes` holds a part of it.
    pub async fn read_into(self, bytes: &mut Vec<u8>) -> Result<ReadBody, BodyError> {
        let mut phases = self.records.timings.start();
        self.incoming.read_into(bytes).await?;
        phases.have_read(self.reading, bytes.len());
        Ok(ReadBody {
            phases,
            parse: self.parse,
            records: self.records,
        })
    }
}

impl ReadBody {
    /// Logs `bytes`, if that is asked for, on the calling thread.
    pub fn log(&self, bytes: &[u8]) {
        self.records.log.write(bytes);
    }

    /// Parses `bytes` on the calling thread. What is made of them is counted and dropped there too.
    ///
    /// # Errors
    /// [`BodyError::Invalid`].
    pub fn parse(mut self, bytes: &[u8]) -> Result<Answer, BodyError> {
        self.phases.restart();
        let parameters = (self.parse)(bytes, &mut self.phases)?;
        Ok(parameters.answer())
    }

    /// Parses `bytes` on the calling thread, and logs them on one that nobody waits for.
    ///
    /// # Errors
    /// [`BodyError::Invalid`].
    pub fn parse_and_log_beside(self, bytes: Vec<u8>) -> Result<Answer, BodyError> {
        let records = self.records.clone();
        let answer = self.parse(&bytes);
        records.log.write_beside(&records.log_threads, bytes);
        answer
    }
}
