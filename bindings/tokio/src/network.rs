//! Notices that the machine's addresses may have changed.
//!
//! On Linux the kernel says so. Elsewhere, and where it will not talk to us, it is time to look every few seconds.
//! Changes come in bursts, a new link with its addresses one by one; one notice stands for all of a burst.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A burst has ended when nothing has come for so long.
const QUIET: Duration = Duration::from_millis(50);
/// It is not waited for its end any longer.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often to look where nobody says anything.
const EVERY: Duration = Duration::from_secs(5);

/// Tells when to list the addresses again.
pub(crate) struct Monitor {
    /// None where nobody says anything.
    words: Option<Words>,
    every: Duration,
    timer: Pin<Box<Sleep>>,
    burst: Option<Burst>,
}

/// Something has changed, and more may follow.
#[derive(Clone, Copy)]
struct Burst {
    began: Instant,
    last: Instant,
}

impl Burst {
    fn ends(self) -> Instant {
        (self.last + QUIET).min(self.began + PATIENCE)
    }
}

impl Monitor {
    /// Begins to listen.
    ///
    /// # Panics
    /// Outside a tokio runtime whose I/O and time are enabled.
    pub(crate) fn new() -> Self {
        Self::with(Words::listen(), EVERY)
    }

    fn with(words: Option<Words>, every: Duration) -> Self {
        Self { words, every, timer: Box::pin(tokio::time::sleep(every)), burst: None }
    }

    /// Ready when the addresses may have changed since it was ready last.
    pub(crate) fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(words) = &mut self.words else {
            ready!(self.timer.as_mut().poll(cx));
            self.timer.as_mut().reset(Instant::now() + self.every);
            return Poll::Ready(());
        };
        if words.poll_said(cx).is_ready() {
            let now = Instant::now();
            let burst = Burst { began: self.burst.map_or(now, |burst| burst.began), last: now };
            self.burst = Some(burst);
            self.timer.as_mut().reset(burst.ends());
        }
        if self.burst.is_none() {
            return Poll::Pending;
        }
        ready!(self.timer.as_mut().poll(cx));
        self.burst = None;
        Poll::Ready(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux::Words;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use netlink_sys::protocols::NETLINK_ROUTE;
    use netlink_sys::{Socket, SocketAddr};
    use std::io::{self, ErrorKind};
    use std::task::{Context, Poll};
    use tokio::io::unix::AsyncFd;

    /// What the kernel says of links and addresses (rtnetlink). That it speaks is enough; the lists are read anew.
    pub(super) struct Words {
        socket: AsyncFd<Socket>,
        unread: Vec<u8>,
    }

    /// Groups of the kernel's `rtnetlink.h`.
    const RTMGRP_LINK: u32 = 0x1;
    const RTMGRP_IPV4_IFADDR: u32 = 0x10;
    const RTMGRP_IPV6_IFADDR: u32 = 0x100;

    /// How many messages are read before others have their turn.
    const TURN: usize = 64;

    impl Words {
        pub(super) fn listen() -> Option<Self> {
            let open = || -> io::Result<AsyncFd<Socket>> {
                let mut socket = Socket::new(NETLINK_ROUTE)?;
                socket.set_non_blocking(true)?;
                socket.bind(&SocketAddr::new(0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))?;
                // The call that is to replace it is unsafe, for types that may close their descriptor early. This one
                // closes it when it is dropped.
                #[allow(deprecated, reason = "sound for a type that owns its descriptor")]
                AsyncFd::new(socket)
            };
            Some(Self { socket: open().ok()?, unread: Vec::with_capacity(4_096) })
        }

        /// Ready when the kernel has spoken; what it said is read by then.
        pub(super) fn poll_said(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            let mut said = false;
            for _ in 0..TURN {
                let Poll::Ready(Ok(mut readable)) = self.socket.poll_read_ready(cx) else {
                    return if said { Poll::Ready(()) } else { Poll::Pending };
                };
                let unread = &mut self.unread;
                unread.clear();
                match readable.try_io(|socket| socket.get_ref().recv(unread, 0)) {
                    // No room for what it said: then it has said something.
                    Ok(Ok(_)) => said = true,
                    Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                    Ok(Err(_)) => said = true,
                    Err(_would_block) => {}
                }
            }
            cx.waker().wake_by_ref();
            if said { Poll::Ready(()) } else { Poll::Pending }
        }
    }
}

/// Nobody says anything here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
struct Words;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Words {
    fn listen() -> Option<Self> {
        None
    }

    fn poll_said(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn a_burst_ends_with_a_pause_or_when_it_has_lasted_long() {
        let began = Instant::now();
        let burst = |millis| Burst { began, last: began + Duration::from_millis(millis) };
        assert_eq!(burst(0).ends(), began + QUIET);
        assert_eq!(burst(100).ends(), began + Duration::from_millis(100) + QUIET);
        assert_eq!(burst(490).ends(), began + PATIENCE);
        assert_eq!(burst(4_000).ends(), began + PATIENCE);
    }

    #[tokio::test]
    async fn where_nobody_says_anything_it_is_looked_again_and_again() {
        let mut monitor = Monitor::with(None, Duration::from_millis(1));
        let looks = async {
            for _ in 0..3 {
                poll_fn(|cx| monitor.poll_changed(cx)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looks).await.expect("its time comes");
    }
}
