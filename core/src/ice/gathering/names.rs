//! The servers' names, until the driver has resolved them.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// A question to the driver: what addresses a name has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResolveId(u32);

impl ResolveId {
    /// The number itself, to cross a language border.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The question whose number is `n`. A number that was never given out names none.
    #[must_use]
    pub const fn from_u32(n: u32) -> Self {
        Self(n)
    }
}

/// How many addresses of a name are kept.
const MAX_ADDRESSES: usize = 16;

/// What is known of the names.
#[derive(Debug, Default)]
pub(super) struct Names {
    next: u32,
    asked: BTreeMap<ResolveId, String>,
    known: BTreeMap<String, Vec<IpAddr>>,
}

impl Names {
    /// The addresses of a name, if they are known.
    pub(super) fn get(&self, name: &str) -> Option<&[IpAddr]> {
        self.known.get(name).map(Vec::as_slice)
    }

    /// Has a name resolved, again if need be: gives the question, unless it is open already.
    pub(super) fn ask(&mut self, name: &str) -> Option<ResolveId> {
        self.known.remove(name);
        if self.asked.values().any(|asked| asked == name) {
            return None;
        }
        let id = ResolveId(self.next);
        self.next = self.next.wrapping_add(1);
        self.asked.insert(id, name.to_owned());
        Some(id)
    }

    /// Takes the addresses of a name, and gives the name.
    pub(super) fn answer(&mut self, id: ResolveId, addresses: &[IpAddr]) -> Option<String> {
        let name = self.asked.remove(&id)?;
        let mut distinct: Vec<IpAddr> = Vec::new();
        for &address in addresses {
            if distinct.len() < MAX_ADDRESSES && !distinct.contains(&address) {
                distinct.push(address);
            }
        }
        self.known.insert(name.clone(), distinct);
        Some(name)
    }

    pub(super) fn clear(&mut self) {
        self.asked.clear();
        self.known.clear();
    }
}
