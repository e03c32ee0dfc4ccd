//! An allocator that counts, to show where the heap is touched and where it is not.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count per thread.
///
/// A binary or a test installs it with `#[global_allocator]` and compares two readings of [`so_far`].
/// It costs two instructions per allocation, which is why the measured binaries can keep it.
pub struct CountingAllocator;

/// What one thread has asked of the heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allocations {
    /// How many blocks: each allocation, and each reallocation.
    pub blocks: u64,
    /// How many bytes these blocks have in sum.
    pub bytes: u64,
}

impl Allocations {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { blocks: self.blocks - earlier.blocks, bytes: self.bytes - earlier.bytes }
    }
}

/// What this thread has asked of the heap so far. Stays zero unless [`CountingAllocator`] is installed.
#[must_use]
pub fn so_far() -> Allocations {
    Allocations { blocks: BLOCKS.get(), bytes: BYTES.get() }
}

/// Whether [`CountingAllocator`] is installed. A count of zero proves nothing without it.
#[must_use]
pub fn are_counted() -> bool {
    let before = so_far();
    drop(std::hint::black_box(Box::new(0_u8)));
    so_far() != before
}

thread_local! {
    // Constants without destructors: reading them neither allocates nor registers anything.
    static BLOCKS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    BLOCKS.set(BLOCKS.get() + 1);
    BYTES.set(BYTES.get() + bytes as u64);
}

// SAFETY: every call is handed to `System` unchanged; counting touches no memory of the heap.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
