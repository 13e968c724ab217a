use std::io;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

/// What is decoded at once, in bytes.
const PIECE: usize = 8_192;

/// The body of an answer, decoded. The lab asks for no compression, but a proxy may compress all the same.
pub(crate) enum Body {
    /// As it was sent.
    Plain(Response),
    /// What is left after the decoding.
    Decoded(Box<dyn AsyncRead + Send + Unpin>),
}

impl Body {
    pub(crate) fn of(answer: Response) -> Self {
        let coding = answer.headers().get(CONTENT_ENCODING);
        let coding = coding.map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase());
        let coded =
            |answer: Response| StreamReader::new(answer.bytes_stream().map_err(io::Error::other));
        match coding.as_deref() {
            Some(b"gzip" | b"x-gzip") => {
                let mut decoder = GzipDecoder::new(coded(answer));
                decoder.multiple_members(true);
                Self::Decoded(Box::new(decoder))
            }
            Some(b"deflate") => Self::Decoded(Box::new(ZlibDecoder::new(coded(answer)))),
            Some(b"br") => Self::Decoded(Box::new(BrotliDecoder::new(coded(answer)))),
            Some(b"zstd") => Self::Decoded(Box::new(ZstdDecoder::new(coded(answer)))),
            _ => Self::Plain(answer),
        }
    }

    /// What comes next, as soon as it can be decoded; `None` at the end.
    ///
    /// # Errors
    /// If the connection breaks off, or what comes cannot be decoded.
    ///
    /// # Cancel safety
    /// Safe: nothing that was received is lost.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Plain(answer) => answer.chunk().await.map_err(io::Error::other),
            Self::Decoded(reader) => {
                let mut piece = BytesMut::with_capacity(PIECE);
                let length = reader.read_buf(&mut piece).await?;
                Ok((length > 0).then(|| piece.freeze()))
            }
        }
    }
}
