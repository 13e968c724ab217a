use std::time::Instant;

use hyper::StatusCode;

use super::client::{Client, never};
use super::tasks::{HangUpTasks, lock};
use crate::load::{Chunk, SseReader, read_chunk};
use crate::measure::is_local_io;
use verdict::load::hang_ups::{HangUpEnding, HangUpStage, Leave};

/// One request, up to where its client leaves.
pub(super) struct Exchange<'a> {
    tasks: &'a HangUpTasks,
    stage: HangUpStage,
    client: Option<Client>,
    seen: Seen,
    chunks: u32,
    is_done: bool,
    has_error: bool,
}

/// What its client has seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// The request's id.
    pub id: String,
    /// How far it got; `None` if nothing was served.
    pub reached: Option<HangUpStage>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// When it was sent.
    pub sent: Option<Instant>,
    /// When the head of the answer was there.
    pub head: Option<Instant>,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(tasks: &'a HangUpTasks, stage: HangUpStage, id: String) -> Self {
        Self {
            tasks,
            stage,
            client: None,
            seen: Seen {
                id,
                reached: None,
                status: None,
                sent: None,
                head: None,
            },
            chunks: 0,
            is_done: false,
            has_error: false,
        }
    }

    /// As [`run`](Self::run), cut short by the end of the load.
    pub(super) async fn run_until_ended(&mut self) -> HangUpEnding {
        let mut ended = self.tasks.ended.clone();
        tokio::select! {
            ending = self.exchange() => ending,
            _ = ended.wait_for(|ended| *ended) => HangUpEnding::Cut,
        }
    }

    /// Goes as far as it is to, and leaves.
    pub(super) async fn run(mut self) {
        self.run_until_ended().await;
        self.leave(Leave::Fin);
    }

    /// The client leaves, if it is there.
    pub(super) fn leave(self, leave: Leave) -> Seen {
        let socket = self.client.and_then(|client| client.leave(leave));
        lock(&self.tasks.vanished).extend(socket);
        self.seen
    }

    /// Sends the request and goes as far as it is to; the client is still there afterwards.
    async fn exchange(&mut self) -> HangUpEnding {
        match self.open().await {
            Ok(()) if self.stage == HangUpStage::BeforeHeaders => return HangUpEnding::HungUp,
            Ok(()) => {}
            Err(ending) => return ending,
        }
        match self.stage {
            HangUpStage::BeforeFirstToken => HangUpEnding::HungUp,
            HangUpStage::Complete => self.read_until(|_| false).await,
            _ => {
                let enough = self.tasks.spec.tokens;
                self.read_until(|chunks| chunks >= enough).await
            }
        }
    }

    /// Connects, sends, and waits for the head, or where the client is to leave before that, until an
    /// upstream has the request.
    async fn open(&mut self) -> Result<(), HangUpEnding> {
        let tasks = self.tasks;
        let leave = tasks.spec.leave;
        let client =
            Client::connect(tasks.server, leave)
                .await
                .map_err(|error| match is_local_io(&error) {
                    true => HangUpEnding::NotSent,
                    false => HangUpEnding::Failed,
                })?;
        let client = self.client.insert(client);
        let request = self.tasks.request(self.stage, &self.seen.id);
        let sent = Instant::now();
        self.seen.sent = Some(sent);
        let id = &self.seen.id;
        let is_early = self.stage == HangUpStage::BeforeHeaders;
        let reaches_upstream = async {
            match is_early {
                true => tasks.witness.sees(id).await,
                false => never().await,
            }
        };
        let head = tokio::select! {
            head = client.send(request) => head,
            () = reaches_upstream => {
                self.seen.reached = Some(HangUpStage::BeforeHeaders);
                return Ok(());
            }
            () = tokio::time::sleep_until((sent + tasks.spec.patience).into()) => {
                return Err(HangUpEnding::Hanging);
            }
        };
        let status = head.map_err(|_| HangUpEnding::Failed)?;
        self.seen.head = Some(Instant::now());
        self.seen.status = Some(status.as_u16());
        if status != StatusCode::OK {
            return Err(HangUpEnding::Refused);
        }
        self.seen.reached = Some(HangUpStage::BeforeFirstToken);
        match is_early {
            true => Err(HangUpEnding::Missed),
            false => Ok(()),
        }
    }

    /// Reads until there are chunks enough and the stream is not over, or to its end.
    async fn read_until(&mut self, is_enough: impl Fn(u32) -> bool) -> HangUpEnding {
        let mut reader = SseReader::default();
        loop {
            let piece = match &mut self.client {
                Some(client) => client.piece().await,
                None => None,
            };
            let Some(Ok(bytes)) = piece else {
                let is_whole = piece.is_none() && self.is_done && !self.has_error;
                return match (is_whole, self.stage) {
                    (false, _) => HangUpEnding::Broken,
                    (true, HangUpStage::Complete) => HangUpEnding::Completed,
                    (true, _) => HangUpEnding::Missed,
                };
            };
            reader.feed(&bytes, |data| match read_chunk(data) {
                Chunk::Content { .. } => self.chunks += 1,
                Chunk::Done => self.is_done = true,
                Chunk::Error => self.has_error = true,
                Chunk::Other | Chunk::Ping => {}
            });
            self.seen.reached = self.progress();
            if is_enough(self.chunks) && !self.is_done && !self.has_error {
                return HangUpEnding::HungUp;
            }
        }
    }

    /// How far the stream has got.
    fn progress(&self) -> Option<HangUpStage> {
        let is_short = matches!(
            self.stage,
            HangUpStage::AfterLastContent | HangUpStage::Complete
        );
        Some(match self.chunks {
            _ if self.is_done => HangUpStage::Complete,
            0 => HangUpStage::BeforeFirstToken,
            chunks if is_short && chunks >= self.tasks.spec.tokens => HangUpStage::AfterLastContent,
            _ => HangUpStage::MidStream,
        })
    }
}
