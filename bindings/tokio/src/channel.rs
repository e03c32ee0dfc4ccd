//! A data channel with back-pressure in both directions.

use bytes::Bytes;
use frazil::peer::{self, ChannelConfig, ChannelId, MessageKind, Reliability};
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::{Notify, Semaphore, watch};

use crate::error::{SendError, TrySendError};
use crate::shared::{Keeper, Shared, is_worth_telling};

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Whether a browser takes it as a string or as bytes.
    pub kind: MessageKind,
    /// Its bytes; of a text, UTF-8.
    pub data: Bytes,
}

impl Message {
    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: MessageKind::Text, data: text.into().into() }
    }

    /// A binary message.
    #[must_use]
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self { kind: MessageKind::Binary, data: data.into() }
    }

    /// The text of a text message; None if it is binary, or is not UTF-8 as it ought to be.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if self.kind == MessageKind::Text { std::str::from_utf8(&self.data).ok() } else { None }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::binary(data)
    }
}

impl From<&'static [u8]> for Message {
    fn from(data: &'static [u8]) -> Self {
        Self::binary(data)
    }
}

/// A data channel. Clones are the same channel.
///
/// It keeps its peer open. When its last clone is dropped it is closed, as by [`Channel::close`]; messages
/// that were not acknowledged by then may be lost, so wait for [`Channel::flush`] first where that matters.
///
/// Messages that nobody receives wait, up to the peer's receive limit; above that the peer holds back the
/// data that the other side sends, on all its channels. So every channel must be received from, or dropped.
/// Each message goes to one of the clones that receive. It is a [`Stream`] of its messages too.
#[derive(Clone)]
pub struct Channel {
    handle: Arc<Handle>,
}

impl Channel {
    pub(crate) fn new(line: Arc<Line>, keeper: Arc<Keeper>) -> Self {
        Self { handle: Arc::new(Handle { line, keeper }) }
    }

    /// Its number, which no other channel of the peer ever has.
    #[must_use]
    pub fn id(&self) -> ChannelId {
        self.handle.line.id
    }

    /// Its label, chosen by whoever opened it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.handle.line.terms.label
    }

    /// Its subprotocol; empty if none was named.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.handle.line.terms.protocol
    }

    /// Whether messages arrive in the order they were sent.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.handle.line.terms.ordered
    }

    /// Whether, and for how long, lost messages are sent again.
    #[must_use]
    pub fn reliability(&self) -> Reliability {
        self.handle.line.terms.reliability
    }

    /// Waits until messages can be sent.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the channel closes instead.
    pub async fn opened(&self) -> Result<(), SendError> {
        let mut phase = self.handle.line.phase.subscribe();
        match phase.wait_for(|phase| *phase != Phase::Opening).await.as_deref() {
            Ok(Phase::Open) => Ok(()),
            _ => Err(SendError::Closed),
        }
    }

    /// Sends a message, as soon as the channel is open and no more than the peer's send limit waits to be
    /// acknowledged with it; a longer one is sent alone. Calls that wait at the same time are served in turn.
    /// A call that is dropped while it waits has not sent its message.
    ///
    /// # Errors
    /// When the channel is closed, or does not carry such a message.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let line = &self.handle.line;
        let _turn = line.turn.acquire().await.map_err(|_| SendError::Closed)?;
        loop {
            let mut eased = pin!(line.eased.notified());
            eased.as_mut().enable();
            match self.offer(&message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full) => eased.await,
                Err(TrySendError::Opening) => self.opened().await?,
                Err(TrySendError::Never(error)) => return Err(error),
            }
        }
    }

    /// Sends a message if that can be done at once.
    ///
    /// # Errors
    /// When the channel is not open, too much waits already, or it does not carry such a message.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.offer(&message.into())
    }

    /// Sends now or says why not; if too much waits, `line.eased` is notified when the message would fit.
    fn offer(&self, message: &Message) -> Result<(), TrySendError> {
        let Handle { line, keeper } = &*self.handle;
        match *line.phase.borrow() {
            Phase::Opening => return Err(TrySendError::Opening),
            Phase::Open => {}
            Phase::Closed => return Err(TrySendError::Never(SendError::Closed)),
        }
        let sent = keeper.shared.call(|state, now| {
            let sent = state.core.send(line.id, message.kind, &message.data, now);
            if let Err(peer::SendError::BufferFull { .. }) = sent {
                state.tell_all_read(now);
            }
            sent
        });
        match sent {
            Some(Ok(())) => {
                line.used.store(true, Ordering::Release);
                Ok(())
            }
            Some(Err(peer::SendError::BufferFull { .. })) => Err(TrySendError::Full),
            // It was open, so that it closes now.
            None | Some(Err(peer::SendError::Closed(_) | peer::SendError::NotOpen(_))) => {
                Err(TrySendError::Never(SendError::Closed))
            }
            Some(Err(error)) => Err(TrySendError::Never(SendError::Refused(error))),
        }
    }

    /// Waits until the other side has acknowledged all that was sent on this channel.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the channel closes while something is not acknowledged.
    pub async fn flush(&self) -> Result<(), SendError> {
        let Handle { line, keeper } = &*self.handle;
        if !line.used.load(Ordering::Acquire) {
            // What the core still counts is the announcement of the channel, of whose end it does not tell.
            return Ok(());
        }
        loop {
            let mut eased = pin!(line.eased.notified());
            eased.as_mut().enable();
            // A channel that is gone has nothing buffered, whatever became of it.
            let buffered = keeper.shared.call(|state, now| {
                state.tell_all_read(now);
                state.lines.contains_key(&line.id).then(|| state.core.buffered_amount(line.id))
            });
            match buffered.flatten() {
                Some(0) => return Ok(()),
                // The core tells when all is acknowledged.
                Some(_) => eased.await,
                None => return Err(SendError::Closed),
            }
        }
    }

    /// How many bytes were sent and not yet acknowledged.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        let Handle { line, keeper } = &*self.handle;
        keeper.shared.lock().core.buffered_amount(line.id)
    }

    /// The next message; None when the channel is closed and all its messages were received. Losing the race
    /// of a `select!` loses no message.
    pub async fn recv(&self) -> Option<Message> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next message, if one waits.
    #[must_use]
    pub fn try_recv(&self) -> Option<Message> {
        let Handle { line, keeper } = &*self.handle;
        line.take(&keeper.shared, |_| {})
    }

    /// As [`Channel::recv`], for code that polls.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let Handle { line, keeper } = &*self.handle;
        let mut ended = false;
        let message = line.take(&keeper.shared, |inbox| {
            ended = inbox.ended;
            if !ended && !inbox.readers.iter().any(|reader| reader.will_wake(cx.waker())) {
                inbox.readers.push(cx.waker().clone());
            }
        });
        match message {
            None if !ended => Poll::Pending,
            message => Poll::Ready(message),
        }
    }

    /// Closes the channel, and waits until the other side has done the same.
    pub async fn close(&self) {
        let Handle { line, keeper } = &*self.handle;
        if *line.phase.borrow() != Phase::Closed {
            keeper.shared.call(|state, now| state.core.close_channel(line.id, now));
            self.closed().await;
        }
    }

    /// Waits until the channel is closed, by whichever side.
    pub async fn closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.handle.line.phase.subscribe().wait_for(|phase| *phase == Phase::Closed).await;
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.handle.line.phase.borrow() == Phase::Closed
    }
}

impl Stream for Channel {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_recv(cx)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("id", &self.id()).field("label", &self.label()).finish_non_exhaustive()
    }
}

/// What the clones of a channel hold. The last one closes it.
struct Handle {
    line: Arc<Line>,
    keeper: Arc<Keeper>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let shared = &self.keeper.shared;
        shared.call(|state, now| {
            if state.lines.remove(&self.line.id).is_some() {
                state.core.close_channel(self.line.id, now);
            }
        });
        self.line.end();
        self.line.empty();
    }
}

/// A channel as the driver sees it.
#[derive(Debug)]
pub(crate) struct Line {
    id: ChannelId,
    terms: ChannelConfig,
    phase: watch::Sender<Phase>,
    inbox: Mutex<Inbox>,
    /// Whether a message was ever sent.
    used: AtomicBool,
    /// Whose turn it is to send.
    turn: Semaphore,
    /// A message that did not fit would, or nothing waits to be acknowledged, or the channel ended.
    eased: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Opening,
    Open,
    Closed,
}

#[derive(Default, Debug)]
struct Inbox {
    messages: VecDeque<Message>,
    /// What the messages count.
    waiting: usize,
    /// What those count that were taken out and that the core was not told of.
    taken: usize,
    /// The bytes of those.
    read: usize,
    readers: Vec<Waker>,
    ended: bool,
}

impl Line {
    pub(crate) fn new(id: ChannelId, terms: ChannelConfig, open: bool) -> Self {
        Self {
            id,
            terms,
            phase: watch::Sender::new(if open { Phase::Open } else { Phase::Opening }),
            inbox: Mutex::default(),
            used: AtomicBool::new(false),
            turn: Semaphore::new(1),
            eased: Notify::new(),
        }
    }

    pub(crate) fn id(&self) -> ChannelId {
        self.id
    }

    pub(crate) fn open(&self) {
        self.phase.send_if_modified(|phase| {
            let opens = *phase == Phase::Opening;
            if opens {
                *phase = Phase::Open;
            }
            opens
        });
    }

    /// The channel is closed; what was received stays to be read.
    pub(crate) fn end(&self) {
        self.phase.send_replace(Phase::Closed);
        self.lock().ended = true;
        self.wake_readers();
        self.ease();
    }

    /// Less waits to be acknowledged.
    pub(crate) fn ease(&self) {
        self.eased.notify_waiters();
    }

    /// Puts a message where it can be received, and gives what [`Self::take_read`] does. [`Self::wake_readers`] must
    /// follow.
    pub(crate) fn deliver(&self, message: Message) -> usize {
        let mut inbox = self.lock();
        inbox.waiting += weight(&message);
        inbox.messages.push_back(message);
        inbox.take_read()
    }

    /// How many bytes were read that the core was not told of. Now it is to be.
    pub(crate) fn take_read(&self) -> usize {
        self.lock().take_read()
    }

    /// Wakes all that wait for a message.
    pub(crate) fn wake_readers(&self) {
        let readers = mem::take(&mut self.lock().readers);
        for reader in readers {
            reader.wake();
        }
    }

    /// The next message, or else what `otherwise` does with the inbox.
    fn take(&self, shared: &Shared, otherwise: impl FnOnce(&mut Inbox)) -> Option<Message> {
        let mut inbox = self.lock();
        let Some(message) = inbox.messages.pop_front() else {
            otherwise(&mut inbox);
            return None;
        };
        inbox.waiting -= weight(&message);
        inbox.taken += weight(&message);
        inbox.read += counted(&message);
        let tells = is_worth_telling(inbox.waiting + inbox.taken, inbox.waiting, shared.receive_limit);
        drop(inbox);
        if tells {
            shared.call(|state, now| state.tell_read(self, now));
        }
        Some(message)
    }

    /// Throws all messages away. The core has no such channel any more, and waits for none of them to be read.
    fn empty(&self) {
        self.lock().messages.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn take_read(&mut self) -> usize {
        self.taken = 0;
        mem::take(&mut self.read)
    }
}

/// The bytes that a message has for the core.
fn counted(message: &Message) -> usize {
    message.data.len().max(1)
}

/// What it counts while it waits.
fn weight(message: &Message) -> usize {
    counted(message) + peer::Peer::MESSAGE_OVERHEAD
}
