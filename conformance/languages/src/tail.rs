//! The last of what a program writes.

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How much is kept.
const KEPT: usize = 16 * 1024;

/// Reads to the end, and gives the last of it.
pub(crate) async fn tail(mut stream: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..length]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_is_kept() {
        assert_eq!(tail(&b"a few words"[..]).await, "a few words");
        let long: Vec<u8> = (0..20_000).map(|at| b'a' + (at / 1000) as u8).collect();
        let kept = tail(&long[..]).await;
        assert_eq!(kept.as_bytes(), &long[20_000 - KEPT..]);
    }
}
