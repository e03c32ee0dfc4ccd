//! The table of a session's channels.

use str0m::channel::ChannelId as EngineId;

use super::channel::{ChannelConfig, ChannelError, ChannelId};
use super::inbox::Inbox;
use super::unread::{Level, Unread};

/// The most that label and protocol may take. `str0m` writes an announcement into 1500 bytes, 12 of which
/// are header, and panics beyond.
const MAX_NAME_LEN: usize = 1488;

/// Reserved by RFC 8832 section 6.
const RESERVED_STREAM: u16 = u16::MAX;

/// Where a channel stands between its creation and its end, at which it leaves the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Connecting,
    Open,
    /// Its end was asked for.
    Closing,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: ChannelId,
    pub(super) config: ChannelConfig,
    pub(super) state: State,
    /// `str0m`'s name for it, once `str0m` runs.
    pub(super) engine_id: Option<EngineId>,
    pub(super) low_threshold: usize,
    /// Whether anything was sent over it.
    pub(super) used: bool,
    /// The length of the message that was last refused since the buffer was full.
    pub(super) refused: Option<usize>,
    /// Messages that overtook the other side's word that the channel is open (RFC 8832 section 6).
    pub(super) early: Inbox,
    /// Messages that were handed out.
    pub(super) unread: Unread,
}

/// Channels by age, and so by number.
#[derive(Debug)]
pub(super) struct Channels {
    entries: Vec<Entry>,
    next: u32,
    max: usize,
    receive_buffer: Option<usize>,
}

impl Channels {
    pub(super) fn new(max: usize, receive_buffer: Option<usize>) -> Self {
        Self { entries: Vec::new(), next: 0, max, receive_buffer }
    }

    /// A channel of our own, unless its parameters are impossible.
    pub(super) fn create(&mut self, config: ChannelConfig) -> Result<&mut Entry, ChannelError> {
        let name_len = config.label.len() + config.protocol.len();
        if name_len > MAX_NAME_LEN {
            return Err(ChannelError::NameTooLong { len: name_len, max: MAX_NAME_LEN });
        }
        if let Some(stream) = config.negotiated {
            if stream == RESERVED_STREAM {
                return Err(ChannelError::StreamReserved(stream));
            }
            if self.entries.iter().any(|entry| entry.config.negotiated == Some(stream)) {
                return Err(ChannelError::StreamInUse(stream));
            }
        }
        let max = self.max;
        self.insert(config, State::Connecting, None).ok_or(ChannelError::TooMany { max })
    }

    /// A channel that the other side opened, unless there are too many.
    pub(super) fn accept(&mut self, config: ChannelConfig, engine_id: EngineId) -> Option<&mut Entry> {
        self.insert(config, State::Open, Some(engine_id))
    }

    fn insert(&mut self, config: ChannelConfig, state: State, engine_id: Option<EngineId>) -> Option<&mut Entry> {
        if self.entries.len() >= self.max {
            return None;
        }
        let id = ChannelId::from_u32(self.next);
        self.next = self.next.checked_add(1)?;
        self.entries.push(Entry {
            id,
            config,
            state,
            engine_id,
            low_threshold: 0,
            used: false,
            refused: None,
            early: Inbox::default(),
            unread: Unread::new(self.receive_buffer),
        });
        self.entries.last_mut()
    }

    pub(super) fn get(&self, id: ChannelId) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.entries.get(at)
    }

    pub(super) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.entries.get_mut(at)
    }

    /// In a line, as `str0m` itself looks them up.
    pub(super) fn by_engine_id(&mut self, id: EngineId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.engine_id == Some(id))
    }

    pub(super) fn remove(&mut self, id: ChannelId) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// Empties the table.
    pub(super) fn remove_all(&mut self) -> impl Iterator<Item = ChannelId> + '_ {
        self.entries.drain(..).map(|entry| entry.id)
    }

    /// That of the fullest one.
    pub(super) fn level(&self) -> Level {
        match self.receive_buffer {
            Some(_) => self.entries.iter().map(|entry| entry.unread.level()).max().unwrap_or_default(),
            None => Level::Free,
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }
}
