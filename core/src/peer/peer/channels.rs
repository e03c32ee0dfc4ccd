//! Data channels: how they begin, what goes over them, and how fast.

use super::Peer;
use crate::session::{ChannelConfig, ChannelError, ChannelId, MessageKind, SendError};
use crate::time::Instant;

impl Peer {
    /// W3C `createDataChannel`. The channel opens once the connection is there; a negotiation may be needed
    /// for that, and [`Event::NegotiationNeeded`](crate::peer::Event::NegotiationNeeded) says so.
    ///
    /// # Errors
    /// If the connection is over, or the configuration is not possible.
    pub fn create_data_channel(&mut self, config: ChannelConfig, now: Instant) -> Result<ChannelId, ChannelError> {
        let now = self.line.advance(now);
        let channel = self.session.create_data_channel(config, now)?;
        self.negotiation.want_data();
        self.consider_negotiation();
        Ok(channel)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the channel is not open, the message is too long for the other side, or as much is buffered as may
    /// be: then [`Event::BufferedAmountLow`](crate::peer::Event::BufferedAmountLow) comes when there is room.
    pub fn send(
        &mut self,
        channel: ChannelId,
        kind: MessageKind,
        message: &[u8],
        now: Instant,
    ) -> Result<(), SendError> {
        let now = self.line.advance(now);
        self.session.send(channel, kind, message, now)
    }

    /// W3C `bufferedAmount`: bytes that the other side has not acknowledged yet.
    pub fn buffered_amount(&mut self, channel: ChannelId) -> usize {
        self.session.buffered_amount(channel)
    }

    /// W3C `bufferedAmountLowThreshold`, in bytes. Zero at first.
    pub fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, bytes: usize) {
        self.session.set_buffered_amount_low_threshold(channel, bytes);
    }

    /// Closes a channel once what was sent is delivered. [`Event::ChannelClosed`](crate::peer::Event::ChannelClosed)
    /// follows on both sides.
    pub fn close_channel(&mut self, channel: ChannelId, now: Instant) {
        let now = self.line.advance(now);
        self.session.close_channel(channel, now);
        self.follow(now);
    }

    /// Says that the application has read so many bytes of the messages that have come on a channel, the oldest first: of
    /// many messages at once, or of one in parts. An empty message is one byte.
    ///
    /// This slows the other side down when the application reads slower than it sends, where
    /// [`Config::receive_buffer`](crate::peer::Config::receive_buffer) sets a limit. A message waits from when it is
    /// complete, which is before [`poll_event`](Self::poll_event) gives it, until it is released here. While more than the
    /// limit waits in some channel, what carries bulk data is held back, for all channels. Everything else goes on:
    /// consent, the sending of our own, channels that open and close, and messages so short that they cannot be told from
    /// acknowledgements. So drain events as ever, and keep the messages until the application reads them. When no more
    /// than half of the limit waits, this call takes in what was held, and the other side's data flows again: drain
    /// transmits and events after it.
    ///
    /// It need not be called for each message. It is soon enough whenever half of the limit was read since the last time,
    /// and when nothing is left to read.
    ///
    /// What may come in above the limit is about one receive window of SCTP (1 MiB) where messages are long, about 2 MiB
    /// where they are short, and then a megabyte in a day at most. From [`close_channel`](Self::close_channel) or
    /// [`Event::ChannelClosed`](crate::peer::Event::ChannelClosed) on, a channel holds nothing back. To release what it had
    /// does no harm, nor does releasing more than has come.
    pub fn release(&mut self, channel: ChannelId, bytes: usize, now: Instant) {
        let now = self.line.advance(now);
        self.session.release(channel, bytes);
        if bytes > 0 {
            self.intake.hurry(now);
        }
        self.follow(now);
    }

    /// Says how many events the driver keeps for an application that is slow to take them. The other side chooses how
    /// many channels it opens; so above [`EVENT_BACKLOG`](Self::EVENT_BACKLOG) its data is held back as by a channel that is
    /// full, until no more than half as many wait. A driver whose application takes each event as it comes need not call
    /// this.
    pub fn set_event_backlog(&mut self, waiting: usize, now: Instant) {
        let now = self.line.advance(now);
        self.intake.set_event_backlog(waiting);
        self.follow(now);
    }
}
