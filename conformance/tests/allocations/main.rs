//! What a connection does per datagram, it does without the heap.
//!
//! With one stated exception: DTLS and SCTP are `str0m`'s, and `str0m` allocates for each message and each
//! datagram of its own. What is shown for a peer is therefore in two parts. Whatever ends in `ice`, `stun` and
//! `peer` takes no block at all: STUN, strangers, junk. And whatever goes on to the secure session takes as many
//! blocks as the same messages through `str0m` alone, driven the same way in the same virtual time without
//! anything of frazil: the way there and back adds none.

mod agent;
#[cfg(feature = "session")]
mod peer;
mod relay;
#[cfg(feature = "session")]
mod str0m_alone;
#[cfg(feature = "session")]
mod talk;
mod turn;

use frazil_conformance::allocations::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What `call` allocates is added to `blocks`.
fn counted<R>(blocks: &mut u64, call: impl FnOnce() -> R) -> R {
    let before = allocations::so_far();
    let result = call();
    *blocks += allocations::so_far().since(before).blocks;
    result
}
