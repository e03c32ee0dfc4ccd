//! DTLS and SCTP over the agent's path, by `str0m`.
