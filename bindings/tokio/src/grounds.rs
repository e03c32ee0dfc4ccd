//! Why streams to servers came to nothing: what the system or TLS said, which the core does not learn.

use frazil::ice::{GatheringError, ServerOutcome, ServerReport};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Of how many streams it is kept.
const MAX_STREAMS: usize = 256;

/// The last word on each server, asked from each address of ours.
#[derive(Default, Debug)]
pub(crate) struct Grounds(BTreeMap<(IpAddr, SocketAddr), String>);

impl Grounds {
    /// Takes note of why a stream to the server could not be opened, or broke.
    pub(crate) fn note(&mut self, local: IpAddr, server: SocketAddr, error: &io::Error) {
        if self.0.len() < MAX_STREAMS || self.0.contains_key(&(local, server)) {
            self.0.insert((local, server), error.to_string());
        }
    }

    /// A stream to the server is open.
    pub(crate) fn clear(&mut self, local: IpAddr, server: SocketAddr) {
        self.0.remove(&(local, server));
    }

    /// The error with what is known here.
    pub(crate) fn complete(&self, mut error: GatheringError) -> GatheringError {
        if error.code == GatheringError::UNREACHABLE
            && error.uri.transport.is_stream()
            && let (Some(local), Some(server)) = (error.local, error.server)
            && let Some(ground) = self.0.get(&(local.ip(), server))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_each_address_of_ours_a_server_has_failed_for_a_reason_of_its_own() {
        let server: SocketAddr = "192.0.2.1:3478".parse().unwrap();
        let locals = ["198.51.100.1:50000", "203.0.113.1:50001"].map(|local| local.parse::<SocketAddr>().unwrap());
        let mut grounds = Grounds::default();
        let text = |grounds: &Grounds, local: SocketAddr| {
            let uri = "turn:192.0.2.1?transport=tcp".parse().unwrap();
            let (code, text) = (GatheringError::UNREACHABLE, "no stream".to_owned());
            grounds.complete(GatheringError { uri, local: Some(local), server: Some(server), code, text }).text
        };
        for (local, why) in locals.into_iter().zip(["no route", "refused"]) {
            grounds.note(local.ip(), server, &io::Error::other(why));
        }
        assert_eq!(locals.map(|local| text(&grounds, local)), ["no stream: no route", "no stream: refused"]);
        grounds.clear(locals[1].ip(), server);
        assert_eq!(locals.map(|local| text(&grounds, local)), ["no stream: no route", "no stream"]);
    }
}
