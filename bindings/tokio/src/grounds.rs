//! Why streams to servers came to nothing: what the system or TLS said, which the core does not learn.

use frazil::ice::{GatheringError, ServerOutcome, ServerReport};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// Of how many servers it is kept.
const MAX_SERVERS: usize = 64;

/// The last word on each server.
#[derive(Default, Debug)]
pub(crate) struct Grounds(BTreeMap<SocketAddr, String>);

impl Grounds {
    /// Takes note of why a stream to the server could not be opened, or broke.
    pub(crate) fn note(&mut self, server: SocketAddr, error: &io::Error) {
        if self.0.len() < MAX_SERVERS || self.0.contains_key(&server) {
            self.0.insert(server, error.to_string());
        }
    }

    /// A stream to the server is open.
    pub(crate) fn clear(&mut self, server: SocketAddr) {
        self.0.remove(&server);
    }

    /// The error with what is known here.
    pub(crate) fn complete(&self, mut error: GatheringError) -> GatheringError {
        if error.code == GatheringError::UNREACHABLE
            && error.uri.transport.is_stream()
            && let Some(ground) = error.server.and_then(|server| self.0.get(&server))
        {
            error.text = format!("{}: {ground}", error.text);
        }
        error
    }

    /// The report with what is known here.
    pub(crate) fn complete_report(&self, mut report: ServerReport) -> ServerReport {
        if let ServerOutcome::Failed(error) = report.outcome {
            report.outcome = ServerOutcome::Failed(self.complete(error));
        }
        report
    }
}
