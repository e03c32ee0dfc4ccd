//! A peer: offers, answers, candidates, data channels, states.
