//! STUN and TURN servers, asked by `turn-client-proto`.
