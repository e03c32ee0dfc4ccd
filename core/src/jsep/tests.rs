mod pacing;
mod property;

use core::num::{NonZeroU16, NonZeroU64};
use core::time::Duration;

use super::*;
use crate::ice::{Credentials, InvalidCredentials, LocalCandidate};
use crate::path::Protocol;
use crate::sdp::{CandidateAttribute, Fingerprint, Problem, SessionDescription, Setup};

use DescriptionKind::{Answer, Offer, ProvisionalAnswer, Rollback};

const CHROMIUM: &str = include_str!("../sdp/vectors/chromium-data.sdp");
const CHROMIUM_MEDIA: &str = include_str!("../sdp/vectors/chromium-media-and-data.sdp");
const FIREFOX: &str = include_str!("../sdp/vectors/firefox-data.sdp");
const AIORTC: &str = include_str!("../sdp/vectors/aiortc-data.sdp");
const LIBDATACHANNEL: &str = include_str!("../sdp/vectors/libdatachannel-data.sdp");

/// One side: its negotiation, and what its ICE agent and session would know.
#[derive(Clone, Debug)]
struct Side {
    negotiation: Negotiation,
    name: &'static str,
    /// The credentials that the agent runs on.
    credentials: Credentials,
    /// Drawn for a restart that is not agreed yet.
    next: Option<Credentials>,
    drawn: u32,
    candidates: Vec<CandidateAttribute>,
    complete: bool,
    started: Option<IceStart>,
    transport: Option<Transport>,
    /// The other side's candidates that the agent has been given since it started, and whether that is all.
    received: Vec<CandidateAttribute>,
    received_all: bool,
}

impl Side {
    fn new(name: &'static str) -> Self {
        Self::paced(name, Duration::from_millis(50))
    }

    fn paced(name: &'static str, pacing: Duration) -> Self {
        Self::with(name, pacing, false)
    }

    fn with(name: &'static str, pacing: Duration, lite: bool) -> Self {
        let parameters = LocalParameters {
            fingerprint: Fingerprint::sha256([name.as_bytes()[0]; 32]),
            sctp_port: NonZeroU16::new(5000).unwrap(),
            max_message_size: NonZeroU64::new(262_144).unwrap(),
            pacing,
            lite,
        };
        let mut side = Self {
            negotiation: Negotiation::new(u64::from(name.as_bytes()[0]), parameters),
            name,
            credentials: credentials(name, 0),
            next: None,
            drawn: 0,
            candidates: Vec::new(),
            complete: false,
            started: None,
            transport: None,
            received: Vec::new(),
            received_all: false,
        };
        side.gather();
        side
    }

    /// One more host candidate.
    fn gather(&mut self) {
        let port = 4000 + self.candidates.len() as u16;
        let base = format!("192.0.2.{}:{port}", self.name.as_bytes()[0]).parse().unwrap();
        let local = LocalCandidate::host(Protocol::Udp, base, 65_535 - port);
        self.candidates.push(CandidateAttribute::new(&local.candidate));
    }

    /// The credentials that the next description is to have.
    fn offered_credentials(&mut self) -> Credentials {
        if !self.negotiation.fresh_credentials_wanted() {
            return self.credentials.clone();
        }
        if self.next.is_none() {
            self.drawn += 1;
            self.next = Some(credentials(self.name, self.drawn));
        }
        self.next.clone().unwrap()
    }

    fn restart(&mut self) {
        self.negotiation.restart_ice();
        self.next = None;
    }

    fn create(&mut self, kind: DescriptionKind) -> Result<Description, Error> {
        let credentials = self.offered_credentials();
        let ice = LocalIce { credentials: &credentials, candidates: &self.candidates, complete: self.complete };
        match kind {
            Offer => self.negotiation.create_offer(&ice),
            _ => self.negotiation.create_answer(&ice).map(|answer| Description { kind, ..answer }),
        }
    }

    fn set_local(&mut self, description: &Description) -> Applied {
        let applied = self.negotiation.set_local(description).unwrap();
        self.obey(applied)
    }

    fn set_remote(&mut self, description: &Description) -> Applied {
        let applied = self.negotiation.set_remote(description).unwrap();
        self.obey(applied)
    }

    fn obey(&mut self, applied: Applied) -> Applied {
        if let Some(start) = &applied.ice {
            assert_eq!(start.restart, self.started.is_some());
            if start.restart {
                assert_ne!(start.local, self.credentials);
                assert_eq!(Some(start.controlling), self.started.as_ref().map(|s| s.controlling));
            }
            self.credentials = start.local.clone();
            self.next = None;
            self.started = Some(start.clone());
            self.received.clear();
            self.received_all = false;
        }
        match &applied.data {
            Data::Accepted(transport) => {
                assert_eq!(transport.kept, self.transport.is_some());
                assert!(self.started.is_some());
                self.transport = Some(transport.clone());
            }
            Data::Rejected(_) if self.negotiation.signaling_state() == SignalingState::Stable => {
                self.started = None;
                self.transport = None;
            }
            _ => {}
        }
        for candidate in &applied.candidates {
            self.receive(candidate);
        }
        self.received_all |= applied.end_of_candidates;
        applied
    }

    fn receive(&mut self, candidate: &CandidateAttribute) {
        let same = |other: &CandidateAttribute| other.to_candidate(None) == candidate.to_candidate(None);
        if !self.received.iter().any(same) {
            self.received.push(candidate.clone());
        }
    }

    /// What the other side is to be told now.
    fn announce(&mut self) -> Vec<TrickledCandidate> {
        let mut news = Vec::new();
        for credentials in [Some(self.credentials.clone()), self.next.clone()].into_iter().flatten() {
            news.extend(self.candidates.iter().filter_map(|c| self.negotiation.announce(&credentials, c)));
            news.extend(self.complete.then(|| self.negotiation.announce_end(&credentials)).flatten());
        }
        news
    }

    fn offer(&mut self) -> Description {
        let offer = self.create(Offer).unwrap();
        let _ = self.set_local(&offer);
        offer
    }

    fn answer(&mut self) -> (Description, Applied) {
        let answer = self.create(Answer).unwrap();
        let applied = self.set_local(&answer);
        (answer, applied)
    }

    /// A candidate from the other side.
    fn take(&mut self, trickled: &TrickledCandidate) -> Result<(), Error> {
        match self.negotiation.add_remote_candidate(trickled)? {
            Some(RemoteCandidate::Candidate(candidate)) => self.receive(&candidate),
            Some(RemoteCandidate::End) => self.received_all = true,
            None => {}
        }
        Ok(())
    }
}

fn credentials(name: &str, n: u32) -> Credentials {
    Credentials::new(&format!("{name}{n:07}"), &format!("{name}{n:023}")).unwrap()
}

fn pair() -> (Side, Side) {
    let (mut a, b) = (Side::new("a"), Side::new("b"));
    a.negotiation.want_data();
    (a, b)
}

/// An offer of `a` and the answer of `b`, with what both did last.
fn negotiate(a: &mut Side, b: &mut Side) -> (Applied, Applied) {
    let offer = a.offer();
    let _ = b.set_remote(&offer);
    let (answer, at_b) = b.answer();
    (a.set_remote(&answer), at_b)
}

fn connected() -> (Side, Side) {
    let (mut a, mut b) = pair();
    let _ = negotiate(&mut a, &mut b);
    (a, b)
}

fn accepted(applied: &Applied) -> &Transport {
    let Data::Accepted(transport) = &applied.data else { panic!("{applied:?}") };
    transport
}

fn description(kind: DescriptionKind, sdp: &str) -> Description {
    Description { kind, sdp: sdp.to_owned() }
}

fn parse(description: &Description) -> SessionDescription {
    SessionDescription::parse(&description.sdp).unwrap()
}

fn version(description: &Description) -> u64 {
    parse(description).origin().version()
}

/// The error of a call that has to be refused; the state has to stay as it is.
fn refused<T: core::fmt::Debug>(side: &Side, call: impl FnOnce(&mut Negotiation) -> Result<T, Error>) -> Error {
    let mut negotiation = side.negotiation.clone();
    let error = call(&mut negotiation).unwrap_err();
    assert_eq!(negotiation, side.negotiation, "a refused call changes nothing: {error}");
    assert!(!error.to_string().is_empty());
    error
}

#[test]
fn an_offer_and_an_answer_settle_everything() {
    let (mut a, mut b) = pair();
    a.complete = true;
    assert!(a.negotiation.negotiation_needed() && !b.negotiation.negotiation_needed());

    let offer = a.create(Offer).unwrap();
    let expected = [
        "v=0",
        "o=- 97 0 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=ice-options:trickle ice2 renomination",
        "m=application 4000 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 192.0.2.97",
        "a=mid:0",
        "a=ice-ufrag:a0000000",
        "a=ice-pwd:a00000000000000000000000",
        "a=fingerprint:sha-256 61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61:61",
        "a=setup:actpass",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        &format!("a={}", a.candidates[0]),
        "a=end-of-candidates",
    ];
    assert_eq!(offer.sdp.lines().collect::<Vec<_>>(), expected);
    assert_eq!(a.set_local(&offer).data, Data::Offered);
    assert_eq!(
        (a.negotiation.signaling_state(), a.negotiation.controlling()),
        (SignalingState::HaveLocalOffer, Some(true))
    );

    let at_b = b.set_remote(&offer);
    assert_eq!((at_b.data, at_b.ice), (Data::Offered, None));
    assert_eq!(
        (b.negotiation.signaling_state(), b.negotiation.controlling()),
        (SignalingState::HaveRemoteOffer, Some(false))
    );
    let (answer, at_b) = b.answer();
    assert!(answer.sdp.contains("a=setup:active") && !answer.sdp.contains("end-of-candidates"));
    let at_a = a.set_remote(&answer);

    for (side, applied, other, controlling, role, complete) in
        [(&a, &at_a, &b, true, DtlsRole::Server, false), (&b, &at_b, &a, false, DtlsRole::Client, true)]
    {
        let start = applied.ice.as_ref().unwrap();
        assert_eq!((&start.local, &start.remote), (&side.credentials, &other.credentials));
        assert_eq!((start.controlling, start.restart, start.remote_lite), (controlling, false, false));
        assert_eq!((&applied.candidates, applied.end_of_candidates), (&other.candidates, complete));
        let transport = accepted(applied);
        assert_eq!((transport.role, transport.kept, transport.sctp_port), (role, false, 5000));
        assert_eq!(transport.fingerprints, [Fingerprint::sha256([other.name.as_bytes()[0]; 32])]);
        assert_eq!(transport.max_message_size.get(), 262_144);
        assert_eq!(side.negotiation.signaling_state(), SignalingState::Stable);
        assert!(!side.negotiation.negotiation_needed());
    }
}

#[test]
fn a_second_negotiation_without_change_keeps_everything() {
    let (mut a, mut b) = connected();
    for _ in 0..3 {
        let (at_a, at_b) = negotiate(&mut a, &mut b);
        assert!(accepted(&at_a).kept && accepted(&at_b).kept);
        assert_eq!((&at_a.ice, &at_b.ice), (&None, &None));
        assert_eq!((accepted(&at_a).role, accepted(&at_b).role), (DtlsRole::Server, DtlsRole::Client));
        core::mem::swap(&mut a, &mut b);
        // The other side offers: roles stay, though the offer leaves them open.
        let (at_a, at_b) = negotiate(&mut a, &mut b);
        assert_eq!((accepted(&at_a).role, accepted(&at_b).role), (DtlsRole::Client, DtlsRole::Server));
        core::mem::swap(&mut a, &mut b);
    }
    assert_eq!((version(&a.create(Offer).unwrap()), version(&a.create(Offer).unwrap())), (6, 6));
}

#[test]
fn versions_count_changes_of_what_is_written() {
    let mut a = Side::new("a");
    a.negotiation.want_data();
    assert_eq!(version(&a.create(Offer).unwrap()), 0);
    assert_eq!(version(&a.create(Offer).unwrap()), 0);
    a.gather();
    assert_eq!(version(&a.create(Offer).unwrap()), 1);
    a.complete = true;
    assert_eq!(version(&a.offer()), 2);
    let _ = a.set_local(&description(Rollback, ""));
    assert_eq!(version(&a.offer()), 2, "nothing changed");
    a.gather();
    let shown = a.negotiation.local_description(&LocalIce {
        credentials: &a.credentials,
        candidates: &a.candidates,
        complete: a.complete,
    });
    assert_eq!(version(&shown.unwrap()), 2, "a trickled candidate makes no new version");
}

#[test]
fn a_restart_changes_credentials_and_nothing_else() {
    for remote_too in [false, true] {
        let (mut a, mut b) = connected();
        a.restart();
        assert!(a.negotiation.negotiation_needed() && a.negotiation.fresh_credentials_wanted());
        let old = (a.credentials.clone(), b.credentials.clone());
        let stale =
            refused(&a, |n| n.create_offer(&LocalIce { credentials: &old.0, candidates: &[], complete: false }));
        assert_eq!(stale, Error::CredentialsNotFresh);
        if remote_too {
            b.restart();
        }

        let offer = a.offer();
        let _ = b.set_remote(&offer);
        assert!(b.negotiation.fresh_credentials_wanted());
        let stale =
            refused(&b, |n| n.create_answer(&LocalIce { credentials: &old.1, candidates: &[], complete: false }));
        assert_eq!(stale, Error::CredentialsNotFresh);
        let (answer, at_b) = b.answer();
        let at_a = a.set_remote(&answer);
        for (side, applied, other) in [(&a, &at_a, &b), (&b, &at_b, &a)] {
            let start = applied.ice.as_ref().unwrap();
            assert!(start.restart && accepted(applied).kept);
            assert_eq!((&start.local, &start.remote), (&side.credentials, &other.credentials));
            assert_eq!(start.controlling, side.name == "a");
            assert!(!side.negotiation.negotiation_needed(), "who answered a restart has restarted");
        }
        assert!(a.credentials != old.0 && b.credentials != old.1);
    }
}

#[test]
fn a_restart_that_is_taken_back_is_still_wanted() {
    let (mut a, mut b) = connected();
    a.restart();
    let old = a.credentials.clone();
    let _ = a.offer();
    assert!(a.set_local(&description(Rollback, "")).rolled_back);
    assert!(a.negotiation.negotiation_needed());
    // Meanwhile the other side offers without a restart: it is answered on the old credentials.
    let (at_b, at_a) = negotiate(&mut b, &mut a);
    assert_eq!((at_b.ice, at_a.ice), (None, None));
    assert_eq!(a.credentials, old);
    assert!(a.negotiation.negotiation_needed());
    let (at_a, _) = negotiate(&mut a, &mut b);
    assert!(at_a.ice.unwrap().restart && !a.negotiation.negotiation_needed());
}

#[test]
fn a_restart_asked_for_while_one_is_offered_comes_after_it() {
    let (mut a, mut b) = connected();
    a.restart();
    let offer = a.offer();
    a.negotiation.restart_ice();
    let _ = b.set_remote(&offer);
    let (answer, _) = b.answer();
    let _ = a.set_remote(&answer);
    assert!(a.negotiation.negotiation_needed());
    let _ = negotiate(&mut a, &mut b);
    assert!(!a.negotiation.negotiation_needed());
}

#[test]
fn glare_is_settled_by_the_polite_side() {
    let (mut a, mut b) = pair();
    b.negotiation.want_data();
    let offer = a.offer();
    let ignored = b.offer();
    assert_ne!(offer, ignored);
    let applied = b.set_remote(&offer);
    assert!(applied.rolled_back && applied.data == Data::Offered);
    assert_eq!(b.negotiation.signaling_state(), SignalingState::HaveRemoteOffer);
    let (answer, _) = b.answer();
    let _ = a.set_remote(&answer);
    assert!(a.started.as_ref().unwrap().controlling && !b.started.as_ref().unwrap().controlling);
    assert!(!b.negotiation.negotiation_needed(), "the section that it wanted is there");

    // An offer that is refused takes nothing back.
    let _ = b.offer();
    let error = refused(&b, |n| n.set_remote(&description(Offer, "v=0")));
    assert!(matches!(error, Error::Sdp(e) if e.line() == 2));
}

#[test]
fn offers_are_taken_back_from_either_side() {
    let (mut a, mut b) = pair();
    let offer = a.offer();
    let _ = b.set_remote(&offer);
    let rollback = description(Rollback, "");
    for (side, remote) in [(&mut a, true), (&mut b, false)] {
        let applied = if remote { side.set_remote(&rollback) } else { side.set_local(&rollback) };
        assert!(applied.rolled_back && applied.data == Data::Unchanged);
        assert_eq!(side.negotiation.signaling_state(), SignalingState::Stable);
        assert_eq!(side.negotiation.remote_description(), None);
    }
    assert!(a.negotiation.negotiation_needed() && !b.negotiation.negotiation_needed());
    let state = SignalingState::Stable;
    let error = refused(&a, |n| n.set_local(&rollback));
    assert_eq!(error, Error::WrongState { operation: Operation::SetLocal(Rollback), state });
    assert_eq!(error.to_string(), "cannot set a local rollback in state \"stable\"");
    // What was created before the rollback may be set after it.
    let _ = a.set_local(&offer);
    let _ = negotiate(&mut a, &mut b);
}

#[test]
fn a_provisional_answer_starts_and_the_final_one_keeps() {
    let (mut a, mut b) = pair();
    let offer = a.offer();
    let _ = b.set_remote(&offer);
    let provisional = b.create(ProvisionalAnswer).unwrap();
    let at_b = b.set_local(&provisional);
    let at_a = a.set_remote(&provisional);
    assert!(at_b.ice.is_some() && at_a.ice.is_some());
    assert_eq!(a.negotiation.signaling_state(), SignalingState::HaveRemotePranswer);
    assert_eq!(b.negotiation.signaling_state(), SignalingState::HaveLocalPranswer);
    for (side, operation) in [(&a, Operation::SetRemote(Rollback)), (&b, Operation::SetRemote(Rollback))] {
        let error = refused(side, |n| n.set_remote(&description(Rollback, "")));
        assert_eq!(error, Error::WrongState { operation, state: side.negotiation.signaling_state() });
    }
    let (answer, at_b) = b.answer();
    let at_a = a.set_remote(&answer);
    assert_eq!(version(&answer), version(&provisional));
    assert!(accepted(&at_a).kept && accepted(&at_b).kept && at_a.ice.is_none() && at_b.ice.is_none());
    assert_eq!(a.negotiation.signaling_state(), SignalingState::Stable);
}

#[test]
fn a_rejected_data_section_stays_in_place_and_its_slot_is_used_again() {
    let (mut a, mut b) = pair();
    let offer = a.offer();
    let rejected = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=application 0 UDP/DTLS/SCTP webrtc-datachannel\n";
    let applied = a.set_remote(&description(Answer, rejected));
    assert_eq!(applied.data, Data::Rejected(Rejection::ByRemote));
    assert!(!a.negotiation.negotiation_needed(), "it would be rejected again");
    let dead = parse(&a.create(Offer).unwrap());
    assert_eq!((dead.media().len(), dead.media()[0].port(), dead.media()[0].mid()), (1, 0, Some("0")));
    assert_eq!(dead.bundles().count(), 0);

    // No association has begun, so another channel may ask again.
    a.negotiation.want_data();
    let again = parse(&a.create(Offer).unwrap());
    assert_eq!((again.media().len(), again.media()[0].mid()), (1, Some("1")));
    assert_ne!(again.media()[0].port(), 0);
    assert_eq!(version(&offer) + 2, again.origin().version());
    let (at_a, _) = negotiate(&mut a, &mut b);
    assert!(!accepted(&at_a).kept);
}

#[test]
fn a_data_section_that_ends_takes_its_association_along() {
    let (mut a, mut b) = connected();
    let live = b.create(Offer).unwrap();
    let port = parse(&live).media()[0].port();
    let ended = live.sdp.replace(&format!("m=application {port} "), "m=application 0 ");
    assert_eq!(a.set_remote(&description(Offer, &ended)).data, Data::Rejected(Rejection::ByRemote));
    let (answer, applied) = a.answer();
    assert_eq!(applied.data, Data::Rejected(Rejection::ByRemote));
    assert_eq!(parse(&answer).media()[0].port(), 0);
    // It does not begin again: what is offered is answered with port 0, what is wanted is not offered.
    a.negotiation.want_data();
    assert!(!a.negotiation.negotiation_needed());
    assert_eq!(a.set_remote(&live).data, Data::Rejected(Rejection::TransportClosed));
    let (answer, _) = a.answer();
    assert_eq!(parse(&answer).media()[0].port(), 0);
    let _ = b;
}

#[test]
fn sections_that_nobody_knows_are_kept_and_rejected() {
    let mut b = Side::new("b");
    assert_eq!(b.set_remote(&description(Offer, CHROMIUM_MEDIA)).data, Data::Offered);
    let (answer, applied) = b.answer();
    assert_eq!(accepted(&applied).role, DtlsRole::Client);
    let shape = |d: &Description| {
        let shape = |s: &crate::sdp::MediaSection| format!("{} {} {:?}", s.kind(), s.port() != 0, s.mid());
        parse(d).media().iter().map(shape).collect::<Vec<_>>()
    };
    let expected = ["audio false Some(\"0\")", "video false Some(\"1\")", "application true Some(\"2\")"];
    assert_eq!(shape(&answer), expected);
    assert!(answer.sdp.contains("a=group:BUNDLE 2\r\n") && answer.sdp.contains("a=ice-options:trickle ice2\r\n"));
    let offer = b.offer();
    assert_eq!(shape(&offer), expected);
    assert!(offer.sdp.contains("a=group:BUNDLE 2\r\n"));

    // The other side may not drop or swap what is in use, and may use dead sections for something else.
    let mut sections = parse(&offer);
    sections.media.pop();
    sections.attributes.clear();
    let error = refused(&b, |n| n.set_remote(&description(Offer, &sections.to_string())));
    assert_eq!(error, Error::SectionCount { expected: 3, found: 2 });
    let mut sections = parse(&offer);
    sections.media.swap(1, 2);
    let error = refused(&b, |n| n.set_remote(&description(Offer, &sections.to_string())));
    assert!(matches!(error, Error::SectionChanged { section: 2, field: SectionField::Kind, .. }), "{error}");
    let reused =
        CHROMIUM_MEDIA.replace("m=audio", "m=video").replace("a=mid:0", "a=mid:7").replace("BUNDLE 0", "BUNDLE 7");
    let applied = b.set_remote(&description(Offer, &reused));
    assert!(applied.rolled_back && applied.data == Data::Offered);
}

#[test]
fn offers_without_a_usable_data_section_are_answered_and_say_why() {
    let bundle_only =
        CHROMIUM_MEDIA.replace("m=application 9", "m=application 0").replace("a=mid:2", "a=mid:2\na=bundle-only");
    let cases = [
        ("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n".to_owned(), Data::Absent),
        (CHROMIUM_MEDIA[..CHROMIUM_MEDIA.find("m=application").unwrap()].replace(" 2\n", "\n"), Data::Absent),
        (CHROMIUM.replace("m=application 9", "m=application 0"), Data::Absent),
        (CHROMIUM.replace("UDP/DTLS/SCTP", "SCTP"), Data::Rejected(Rejection::Protocol("SCTP".to_owned()))),
        (CHROMIUM.replace("webrtc-datachannel", "5000"), Data::Rejected(Rejection::Format("5000".to_owned()))),
        (CHROMIUM.replace("sctp-port:5000", "sctp-port:0"), Data::Rejected(Rejection::NoSctpPort)),
        (bundle_only, Data::Rejected(Rejection::BundleOnly)),
    ];
    for (offer, expected) in cases {
        let mut b = Side::new("b");
        assert_eq!(b.set_remote(&description(Offer, &offer)).data, expected, "{offer}");
        let (answer, applied) = b.answer();
        assert_eq!((applied.data, applied.ice), (expected, None));
        assert!(parse(&answer).media().iter().all(|section| section.port() == 0));
        assert_eq!(parse(&answer).media().len(), offer.matches("m=").count());
        assert!(!b.negotiation.negotiation_needed());
        b.negotiation.want_data();
        let own = parse(&b.offer());
        for (kept, dead) in own.media().iter().zip(parse(&answer).media()).filter(|(_, s)| s.kind() != "application") {
            assert_eq!((kept.port(), kept.kind(), kept.mid()), (0, dead.kind(), dead.mid()));
        }
        assert_eq!(own.media().iter().filter(|s| s.port() != 0).count(), 1);
    }
}

#[test]
fn browsers_are_answered() {
    for (text, sections, end) in [
        (CHROMIUM, 1, false),
        (FIREFOX, 1, true),
        (AIORTC, 1, true),
        (LIBDATACHANNEL, 1, true),
        (CHROMIUM_MEDIA, 3, false),
    ] {
        let mut b = Side::new("b");
        let _ = b.set_remote(&description(Offer, text));
        let (answer, applied) = b.answer();
        let transport = accepted(&applied);
        assert_eq!((transport.role, transport.fingerprints.len()), (DtlsRole::Client, 1));
        assert_eq!((parse(&answer).media().len(), applied.end_of_candidates), (sections, end));
        assert!(applied.ice.is_some_and(|start| !start.controlling));
        // A re-offer of the same, with everything kept; the mirror image as an answer to an offer of ours.
        let _ = b.set_remote(&description(Offer, text));
        assert!(accepted(&b.answer().1).kept);
        let _ = b.offer();
        let answer = text.replace("setup:actpass", "setup:passive");
        assert!(accepted(&b.set_remote(&description(Answer, &answer))).kept);
    }
}

#[test]
fn lite_peers_make_us_controlling() {
    let mut b = Side::new("b");
    let _ = b.set_remote(&description(Offer, &CHROMIUM.replace("t=0 0", "t=0 0\na=ice-lite")));
    assert_eq!(b.negotiation.controlling(), Some(true));
    let start = b.answer().1.ice.unwrap();
    assert!(start.controlling && start.remote_lite);
}

#[test]
fn a_lite_agent_of_ours_says_so_and_controls_another_lite_one_only() {
    for (ours, theirs, we_control) in [(true, false, false), (true, true, true), (false, true, true)] {
        let mut a = Side::with("a", Duration::from_millis(50), ours);
        let mut b = Side::with("b", Duration::from_millis(50), theirs);
        a.negotiation.want_data();
        let offer = a.offer();
        assert_eq!(offer.sdp.contains("a=ice-lite\r\n"), ours);
        let _ = b.set_remote(&offer);
        assert_eq!((a.negotiation.controlling(), b.negotiation.controlling()), (Some(!ours), Some(ours && !theirs)));
        let (answer, applied) = b.answer();
        let start = applied.ice.unwrap();
        assert_eq!((start.controlling, start.remote_lite), (!we_control, ours));
        let start = a.set_remote(&answer).ice.unwrap();
        assert_eq!((start.controlling, start.remote_lite), (we_control, theirs));
    }
}

#[test]
fn defaults_are_those_of_the_rfc() {
    let text = CHROMIUM.replace("a=max-message-size:262144\n", "").replace("a=sctp-port:5000\n", "");
    let mut b = Side::new("b");
    let _ = b.set_remote(&description(Offer, &text));
    let (_, applied) = b.answer();
    assert_eq!((accepted(&applied).max_message_size.get(), accepted(&applied).sctp_port), (65_536, 5000));
    let mut b = Side::new("b");
    let _ = b.set_remote(&description(Offer, &CHROMIUM.replace("size:262144", "size:0")));
    assert_eq!(accepted(&b.answer().1).max_message_size, NonZeroU64::MAX);
}

#[test]
fn setup_decides_the_roles() {
    for (offered, answered, role) in [
        ("actpass", "active", DtlsRole::Client),
        ("active", "passive", DtlsRole::Server),
        ("passive", "active", DtlsRole::Client),
    ] {
        let mut b = Side::new("b");
        let _ = b.set_remote(&description(Offer, &CHROMIUM.replace("actpass", offered)));
        let (answer, applied) = b.answer();
        assert!(answer.sdp.contains(&format!("a=setup:{answered}\r\n")));
        assert_eq!(accepted(&applied).role, role);
    }
}

#[test]
fn what_is_wrong_with_an_offer_is_said() {
    let problem = |text: String| {
        let side = Side::new("b");
        match refused(&side, |n| n.set_remote(&description(Offer, &text))) {
            Error::Section { section: 0, problem } => problem,
            other => panic!("{other}"),
        }
    };
    let without = |prefix: &str| {
        let lines: Vec<&str> = CHROMIUM.lines().filter(|line| !line.starts_with(prefix)).collect();
        lines.join("\n")
    };
    assert_eq!(problem(without("a=ice-ufrag")), SectionProblem::MissingIceUfrag);
    assert_eq!(problem(without("a=ice-pwd")), SectionProblem::MissingIcePwd);
    assert_eq!(problem(without("a=fingerprint")), SectionProblem::MissingFingerprint);
    assert_eq!(problem(without("a=setup")), SectionProblem::MissingSetup);
    let short = problem(CHROMIUM.replace("ice-ufrag:vXq0", "ice-ufrag:vXq"));
    assert_eq!(short, SectionProblem::Credentials(InvalidCredentials::UfragTooShort(3)));
    let short = problem(CHROMIUM.replace("5pRQm5T8fYcJm0vW1s9B2xN/", "5pRQm5T8fYcJm0vW1s9B2"));
    assert_eq!(short, SectionProblem::Credentials(InvalidCredentials::PwdTooShort(21)));
    let sha1 = without("a=fingerprint") + "\na=fingerprint:sha-1 " + &["AA"; 20].join(":");
    assert_eq!(problem(sha1), SectionProblem::UnsupportedFingerprint(vec!["sha-1".to_owned()]));
    let found = Setup::HoldConn;
    let held = problem(CHROMIUM.replace("actpass", "holdconn"));
    assert_eq!(held, SectionProblem::SetupNotAllowed { found, kind: Offer });

    let side = Side::new("b");
    let error = |text: String| refused(&side, |n| n.set_remote(&description(Offer, &text)));
    assert_eq!(error(CHROMIUM.replace("BUNDLE 0", "BUNDLE 0 x")), Error::UnknownBundleMid("x".to_owned()));
    assert_eq!(error(CHROMIUM.replace("BUNDLE 0", "BUNDLE 0 0")), Error::TwoBundles("0".to_owned()));
    let bad = error(CHROMIUM.replace(" 54321 typ", " port typ"));
    assert!(matches!(&bad, Error::Sdp(e) if e.line() == 10 && matches!(e.problem(), Problem::Candidate(_))));
    assert_eq!(error(String::new()), Error::Sdp(SessionDescription::parse("").unwrap_err()));
}

#[test]
fn what_is_wrong_with_an_answer_is_said() {
    let (mut a, mut b) = pair();
    let offer = a.offer();
    let _ = b.set_remote(&offer);
    let (answer, _) = b.answer();
    let error = |text: String| refused(&a, |n| n.set_remote(&description(Answer, &text)));
    let problem = |text| match error(text) {
        Error::Section { section: 0, problem } => problem,
        other => panic!("{other}"),
    };
    let found = Setup::ActPass;
    let undecided = problem(answer.sdp.replace("setup:active", "setup:actpass"));
    assert_eq!(undecided, SectionProblem::SetupNotAllowed { found, kind: Answer });
    let more = answer.sdp.clone() + "m=audio 0 RTP/AVP 0\r\n";
    assert_eq!(error(more), Error::SectionCount { expected: 1, found: 2 });
    for (from, to, field) in [
        ("m=application", "m=text", SectionField::Kind),
        ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP", SectionField::Protocol),
        ("mid:0\r\na=ice-ufrag", "mid:1\r\na=ice-ufrag", SectionField::Mid),
    ] {
        let text = answer.sdp.replace(from, to).replace("a=group:BUNDLE 0\r\n", "");
        assert!(matches!(error(text), Error::SectionChanged { section: 0, field: f, .. } if f == field));
    }
    let _ =
        a.set_remote(&description(Answer, &answer.sdp.replace("a=mid:0\r\n", "").replace("a=group:BUNDLE 0\r\n", "")));
}

#[test]
fn an_association_goes_on_as_it_began() {
    let (mut a, mut b) = connected();
    let offer = b.create(Offer).unwrap().sdp.replace("a=setup", "a=tls-id:one\r\na=setup");
    let _ = a.set_remote(&description(Offer, &offer));
    let _ = a.answer();
    let problem =
        |from: &str, to: &str| match refused(&a, |n| n.set_remote(&description(Offer, &offer.replace(from, to)))) {
            Error::Section { section: 0, problem } => problem,
            other => panic!("{other}"),
        };
    assert_eq!(problem("62:62", "62:63"), SectionProblem::FingerprintChanged);
    assert_eq!(problem("tls-id:one", "tls-id:two"), SectionProblem::TlsIdChanged);
    assert_eq!(problem("port:5000", "port:5001"), SectionProblem::SctpPortChanged { expected: 5000, found: 5001 });
    let (found, role) = (Setup::Passive, DtlsRole::Server);
    assert_eq!(problem("setup:actpass", "setup:passive"), SectionProblem::SetupConflict { found, role });

    // An answer may not restart on its own.
    let offer = a.offer();
    let _ = b.set_remote(&offer);
    let (answer, _) = b.answer();
    let restarted = answer.sdp.replace("ice-ufrag:b0000000", "ice-ufrag:b0000009");
    let error = refused(&a, |n| n.set_remote(&description(Answer, &restarted)));
    assert_eq!(error, Error::Section { section: 0, problem: SectionProblem::RestartNotOffered });
    let other = credentials("b", 8);
    let _ = a.set_remote(&answer);
    let _ = b.set_remote(&a.offer());
    let error = refused(&b, |n| n.create_answer(&LocalIce { credentials: &other, candidates: &[], complete: false }));
    assert_eq!(error, Error::CredentialsNotInUse);
}

#[test]
fn only_what_was_created_is_set() {
    let (mut a, mut b) = pair();
    let error = refused(&a, |n| n.set_local(&description(Offer, "")));
    assert_eq!(error, Error::NotAsCreated(Offer));
    let first = a.create(Offer).unwrap();
    a.gather();
    let second = a.create(Offer).unwrap();
    let error = refused(&a, |n| n.set_local(&first));
    assert_eq!(error, Error::NotAsCreated(Offer));
    let edited = description(Offer, &second.sdp.replace("262144", "1"));
    assert_eq!(refused(&a, |n| n.set_local(&edited)), Error::NotAsCreated(Offer));
    let _ = a.set_local(&description(Offer, ""));
    let _ = b.set_remote(&second);
    let answer = b.create(Answer).unwrap();
    let _ = b.set_local(&description(Answer, ""));
    let _ = a.set_remote(&answer);
    // What was created before is out of date.
    assert_eq!(refused(&a, |n| n.set_local(&second)), Error::NotAsCreated(Offer));
    let _ = b.set_remote(&a.offer());
    assert_eq!(refused(&b, |n| n.set_local(&answer)), Error::NotAsCreated(Answer));
}

#[test]
fn states_allow_what_w3c_allows() {
    use SignalingState as S;
    let (mut local, mut remote) = pair();
    let stable = local.clone();
    let offer = local.offer();
    let _ = remote.set_remote(&offer);
    let (mut local_pranswer, mut remote_pranswer) = (remote.clone(), local.clone());
    let provisional = local_pranswer.create(ProvisionalAnswer).unwrap();
    let _ = local_pranswer.set_local(&provisional);
    let _ = remote_pranswer.set_remote(&provisional);
    let mut closed = stable.clone();
    closed.negotiation.close();

    let allowed = |side: &Side| {
        let mut verdict = String::new();
        let mut judge = |operation: Operation, call: &dyn Fn(&mut Negotiation) -> Result<(), Error>| {
            let mut negotiation = side.negotiation.clone();
            let wrong = Error::WrongState { operation, state: side.negotiation.signaling_state() };
            verdict.push(if call(&mut negotiation) == Err(wrong) { '-' } else { '+' });
        };
        let fresh = credentials("x", 1);
        let ice = LocalIce { credentials: &fresh, candidates: &[], complete: false };
        judge(Operation::CreateOffer, &|n| n.create_offer(&ice).map(drop));
        judge(Operation::CreateAnswer, &|n| n.create_answer(&ice).map(drop));
        for kind in [Offer, ProvisionalAnswer, Answer, Rollback] {
            judge(Operation::SetLocal(kind), &|n| n.set_local(&description(kind, "")).map(drop));
            judge(Operation::SetRemote(kind), &|n| n.set_remote(&description(kind, CHROMIUM)).map(drop));
        }
        judge(Operation::AddRemoteCandidate, &|n| n.add_remote_candidate(&TrickledCandidate::default()).map(drop));
        verdict
    };
    // create: offer answer; offer, pranswer, answer, rollback: local remote each; candidate
    for (side, state, expected) in [
        (&stable, S::Stable, "+-++------+"),
        (&local, S::HaveLocalOffer, "+-++-+-++++"),
        (&remote, S::HaveRemoteOffer, "-+-++-+-+++"),
        (&local_pranswer, S::HaveLocalPranswer, "-+--+-+---+"),
        (&remote_pranswer, S::HaveRemotePranswer, "-----+-+--+"),
        (&closed, S::Closed, "-----------"),
    ] {
        assert_eq!(side.negotiation.signaling_state(), state);
        assert_eq!(allowed(side), expected, "{state}");
    }
}

#[test]
fn candidates_trickle_to_the_generation_they_belong_to() {
    let (mut a, mut b) = pair();
    assert_eq!(a.announce(), [], "nothing is told before a description");
    let offer = a.offer();
    assert_eq!(a.announce(), [], "the description told it");
    a.gather();
    let news = a.announce();
    let [one] = &news[..] else { panic!("{news:?}") };
    assert_eq!(one.candidate, format!("{} ufrag a0000000", a.candidates[1]));
    assert_eq!((one.mid.as_deref(), one.m_line_index, one.ufrag.as_deref()), (Some("0"), Some(0), Some("a0000000")));
    assert_eq!(a.announce(), []);

    assert_eq!(refused(&b, |n| n.add_remote_candidate(one)), Error::NoRemoteDescription);
    let _ = b.set_remote(&offer);
    assert_eq!(b.negotiation.add_remote_candidate(one), Ok(None), "nobody to give it to before the answer");
    assert!(b.negotiation.remote_description().unwrap().sdp.contains(&one.candidate));
    let (answer, applied) = b.answer();
    assert_eq!(applied.candidates.len(), 2);
    let _ = a.set_remote(&answer);
    a.complete = true;
    let end = a.announce();
    assert_eq!((end.len(), end[0].candidate.as_str()), (1, ""));
    assert_eq!(b.negotiation.add_remote_candidate(&end[0]), Ok(Some(RemoteCandidate::End)));

    // During a restart both generations are known, and each gets its own.
    a.restart();
    let offer = a.offer();
    a.gather();
    let news = a.announce();
    let ufrags: Vec<_> = news.iter().filter_map(|n| n.ufrag.as_deref()).collect();
    assert_eq!(ufrags, ["a0000000", "a0000001"]);
    let _ = b.set_remote(&offer);
    assert!(matches!(b.negotiation.add_remote_candidate(&news[0]), Ok(Some(_))));
    assert_eq!(b.negotiation.add_remote_candidate(&news[1]), Ok(None));
    let nameless = TrickledCandidate { candidate: one.candidate.replace(" ufrag a0000000", ""), ..Default::default() };
    assert_eq!(b.negotiation.add_remote_candidate(&nameless), Ok(None), "the newest generation is meant");
    let (_, applied) = b.answer();
    assert_eq!(applied.candidates.len(), 3, "two from the offer, one of them trickled again, and one more");
    assert_eq!(refused(&b, |n| n.add_remote_candidate(&news[0])), Error::UnknownUfrag("a0000000".to_owned()));
    assert!(matches!(b.negotiation.add_remote_candidate(&news[1]), Ok(Some(_))));
}

#[test]
fn what_was_trickled_for_an_offer_that_was_taken_back_is_told_again() {
    let (mut a, _) = pair();
    let offer = a.offer();
    a.gather();
    let news = a.announce();
    assert_eq!((news.len(), a.announce().len()), (1, 0));
    let _ = a.set_local(&description(Rollback, ""));
    assert_eq!(a.announce(), []);
    let _ = a.set_local(&offer);
    assert_eq!(a.announce(), news);
}

#[test]
fn bad_candidates_are_refused_and_strange_ones_ignored() {
    let mut b = Side::new("b");
    let _ = b.set_remote(&description(Offer, CHROMIUM_MEDIA));
    let _ = b.answer();
    let trickled = |candidate: &str| TrickledCandidate { candidate: candidate.to_owned(), ..Default::default() };
    let good = trickled("candidate:1 1 udp 1 192.0.2.1 1 typ host");
    let error = |t: &TrickledCandidate| refused(&b, |n| n.add_remote_candidate(t));
    assert!(matches!(error(&trickled("candidate:1 1 udp 1 192.0.2.1 x typ host")), Error::Candidate(_)));
    let mid = |mid: &str| TrickledCandidate { mid: Some(mid.to_owned()), ..good.clone() };
    let index = |n: u16| TrickledCandidate { m_line_index: Some(n), ..good.clone() };
    assert_eq!(error(&mid("x")), Error::UnknownMid("x".to_owned()));
    assert_eq!(error(&index(3)), Error::UnknownSection(3));
    let foreign = TrickledCandidate { ufrag: Some("nope".to_owned()), ..good.clone() };
    assert_eq!(error(&foreign), Error::UnknownUfrag("nope".to_owned()));
    for ignored in [mid("0"), mid("1"), index(0)] {
        assert_eq!(b.negotiation.add_remote_candidate(&ignored), Ok(None));
    }
    for taken in [mid("2"), mid(""), index(2), good.clone()] {
        assert!(matches!(b.negotiation.add_remote_candidate(&taken), Ok(Some(RemoteCandidate::Candidate(_)))));
    }
    for port in 2..=MAX_REMOTE_CANDIDATES {
        let candidate = trickled(&format!("candidate:1 1 udp 1 192.0.2.1 {port} typ host"));
        assert!(b.negotiation.add_remote_candidate(&candidate).is_ok());
    }
    assert_eq!(refused(&b, |n| n.add_remote_candidate(&good)), Error::TooManyCandidates);
}

#[test]
fn local_descriptions_show_the_candidates_gathered_so_far() {
    let (mut a, mut b) = pair();
    a.candidates.clear();
    let offer = a.offer();
    assert!(offer.sdp.contains("m=application 9 ") && offer.sdp.contains("c=IN IP4 0.0.0.0\r\n"));
    a.gather();
    a.complete = true;
    let shown = |side: &Side, credentials: &Credentials| {
        let ice = LocalIce { credentials, candidates: &side.candidates, complete: side.complete };
        side.negotiation.local_description(&ice).unwrap()
    };
    let text = shown(&a, &a.credentials).sdp;
    assert!(text.contains("m=application 4000 ") && text.contains("c=IN IP4 192.0.2.97\r\n"));
    assert!(text.contains("a=candidate:") && text.contains("a=end-of-candidates\r\n"));
    assert_eq!(shown(&a, &credentials("x", 1)), offer, "the candidates of other credentials are not shown");
    let _ = b.set_remote(&description(Offer, &text));
    let (answer, _) = b.answer();
    let _ = a.set_remote(&answer);
    assert_eq!(shown(&a, &a.credentials).kind, Offer);
    assert_eq!(shown(&b, &b.credentials).kind, Answer);
    assert_eq!(a.negotiation.remote_description(), Some(answer));
}

#[test]
fn sections_without_mids_are_known_by_their_place() {
    let offer = CHROMIUM.replace("a=mid:0\n", "").replace("a=group:BUNDLE 0\n", "");
    let mut b = Side::new("b");
    let _ = b.set_remote(&description(Offer, &offer));
    let (answer, _) = b.answer();
    assert!(!answer.sdp.contains("a=mid") && !answer.sdp.contains("a=group"));
    b.gather();
    let news = b.announce();
    assert_eq!((news[0].mid.as_deref(), news[0].m_line_index), (None, Some(0)));
    let offer = b.offer();
    assert!(!offer.sdp.contains("a=mid") && !offer.sdp.contains("a=group"));
}

#[test]
fn words_are_those_of_w3c() {
    for (kind, word) in [(Offer, "offer"), (ProvisionalAnswer, "pranswer"), (Answer, "answer"), (Rollback, "rollback")]
    {
        assert_eq!((kind.as_str(), word.parse()), (word, Ok(kind)));
    }
    assert_eq!("Offer".parse::<DescriptionKind>(), Err(UnknownKind("Offer".to_owned())));
    assert_eq!(SignalingState::HaveRemotePranswer.to_string(), "have-remote-pranswer");
}
