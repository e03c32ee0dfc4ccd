//! Session descriptions: parse, model, write (RFC 8866, 8839, 8843).
