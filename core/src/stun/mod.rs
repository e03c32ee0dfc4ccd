//! STUN: message codec, integrity and transactions (RFC 8489).
