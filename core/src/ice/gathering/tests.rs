//! Gathering, against servers that the test plays.
