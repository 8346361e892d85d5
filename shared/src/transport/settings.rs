//! QUIC limits and timers, each with its reason.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn::{IdleTimeout, TransportConfig, VarInt};

use super::meter::MeteredFactory;

/// A silent peer is given up after this long. quinn's own 30 s would let every request of that time fail.
///
/// Measured from the last word to the first answer without the dead peer: 0.25 s more than this, where 1.2 s are wanted.
const IDLE: Duration = Duration::from_millis(900);

/// Four keep-alives fit into the idle time, so that three in a row may be lost or late.
const KEEP_ALIVE: Duration = Duration::from_millis(200);

/// What one connection may have in flight towards us. quinn's default is unlimited, which a peer can abuse.
const RECEIVE_WINDOW: u32 = 16 << 20;

/// What one stream may have in flight: two of the largest activations of ResNet-50 at batch 1 (3.2 MB).
const STREAM_WINDOW: u32 = 8 << 20;

/// Activations that may arrive on one connection at once.
const UNI_STREAMS: u32 = 32;

/// Control needs one stream; the rest is room for an upgrade.
const BIDI_STREAMS: u32 = 4;

/// Handshakes that may be under way at once, and datagrams of further ones that quinn keeps. Each costs a signature.
pub(super) const HANDSHAKES_MAX: usize = 64;

/// UDP socket buffers. With the usual 208 KiB packets are lost even on loopback; with 4 MiB none were.
pub(super) const SOCKET_BUFFER: usize = 4 << 20;

/// How the sender finds its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Congestion {
    /// RFC 9438. The field's default; it takes loss for congestion and is slow on lossy radio links.
    Cubic,
    /// Bottleneck bandwidth and round-trip time: keeps its rate under random loss.
    #[default]
    Bbr,
}

/// What a user may choose about the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// How the sender finds its rate.
    pub congestion: Congestion,
}

impl Settings {
    pub(super) fn transport(self) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        config
            .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
            .keep_alive_interval(Some(KEEP_ALIVE))
            .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
            .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
            .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS))
            .max_concurrent_bidi_streams(VarInt::from_u32(BIDI_STREAMS))
            .datagram_receive_buffer_size(None);
        let controller: Arc<dyn ControllerFactory + Send + Sync> = match self.congestion {
            Congestion::Cubic => Arc::new(CubicConfig::default()),
            Congestion::Bbr => Arc::new(BbrConfig::default()),
        };
        config.congestion_controller_factory(Arc::new(MeteredFactory(controller)));
        Arc::new(config)
    }
}

/// The name is no congestion controller of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown congestion controller {0:?}; known are bbr and cubic")]
pub struct UnknownCongestion(String);

impl std::str::FromStr for Congestion {
    type Err = UnknownCongestion;

    fn from_str(text: &str) -> Result<Self, UnknownCongestion> {
        match text {
            "bbr" => Ok(Self::Bbr),
            "cubic" => Ok(Self::Cubic),
            other => Err(UnknownCongestion(other.to_owned())),
        }
    }
}
