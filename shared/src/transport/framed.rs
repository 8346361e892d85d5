//! Control messages on a QUIC stream.

use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};

use crate::wire::binary;
use crate::wire::control::{FrameError, PREAMBLE_BYTES, check_preamble, frame, frame_length, preamble};

/// Writes messages, each with its length in front.
pub struct FrameWriter<T> {
    stream: quinn::SendStream,
    message: PhantomData<fn(T)>,
}

/// Reads messages, each with its length in front.
pub struct FrameReader<T> {
    stream: quinn::RecvStream,
    message: PhantomData<fn() -> T>,
}

impl<T: Serialize> FrameWriter<T> {
    /// A writer on `stream`, which says at once which version we speak.
    ///
    /// # Errors
    /// If the stream broke.
    pub async fn open(mut stream: quinn::SendStream) -> Result<Self, FrameError> {
        stream.write_all(&preamble()).await.map_err(|error| FrameError::Stream(error.into()))?;
        Ok(Self { stream, message: PhantomData })
    }

    /// Writes one message; waits while the peer's window is full.
    ///
    /// # Errors
    /// If the message is too large or the stream broke.
    pub async fn send(&mut self, message: &T) -> Result<(), FrameError> {
        let bytes = frame(message)?;
        self.stream.write_all(&bytes).await.map_err(|error| FrameError::Stream(error.into()))
    }

    /// Says that nothing more will come, and completes when the peer has everything or is gone.
    ///
    /// A connection that is dropped before that takes the last message with it.
    pub async fn finish(mut self) {
        // Fails only on a stream that was finished or reset before, which is as good.
        let _ = self.stream.finish();
        let _ = self.stream.stopped().await;
    }
}

impl<T: DeserializeOwned> FrameReader<T> {
    /// A reader on `stream`, once the peer has said that it speaks our version.
    ///
    /// # Errors
    /// If it speaks another one, or the stream broke.
    pub async fn open(stream: quinn::RecvStream) -> Result<Self, FrameError> {
        let mut reader = Self { stream, message: PhantomData };
        let mut bytes = [0; PREAMBLE_BYTES];
        reader.fill(&mut bytes).await?;
        check_preamble(bytes)?;
        Ok(reader)
    }

    /// Reads one message. Not cancel-safe: a message that was half read is lost.
    ///
    /// # Errors
    /// If the stream ended, the announced length is beyond the limit, or the bytes are not a message.
    pub async fn receive(&mut self) -> Result<T, FrameError> {
        let mut prefix = [0; 4];
        self.fill(&mut prefix).await?;
        let mut body = vec![0; frame_length(prefix)?];
        self.fill(&mut body).await?;
        Ok(binary::decode(&body)?)
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), FrameError> {
        let read = self.stream.read_exact(buffer).await;
        read.map_err(|error| FrameError::Stream(std::io::Error::other(error)))
    }
}
