//! The state machine of offer and answer.

use super::applied::{Applied, Data, IceStart, Rejection, Transport};
use super::local::{
    self, DATA_KIND, DATA_PROTOCOL, ICE_OPTIONS, ICE2, LocalData, LocalIce, LocalParameters, LocalSide,
};
use super::remote::{self, Association, OfferedData, RemoteData, RemoteOffer, RunningAssociation};
use super::trickle::{self, RemoteCandidate, Trickled, TrickledCandidate};
use super::{Description, DescriptionKind, Error, Operation, SectionProblem, SignalingState};
use crate::ice::Credentials;
use crate::sdp::{CandidateAttribute, MediaSection, SessionDescription, Setup};

/// The offers and answers of one session, seen from one side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiation {
    session_id: u64,
    parameters: LocalParameters,
    phase: Phase,
    /// The last offer that was answered for good.
    current: Option<Exchange>,
    /// The data section in use; a provisional answer is enough.
    agreed: Option<Agreed>,
    association: Association,
    created_offer: Option<LocalSide>,
    created_answer: Option<LocalSide>,
    /// The description that was written last, set or not.
    last_written: Option<SessionDescription>,
    data_wanted: bool,
    /// Our credentials that a restart is to replace. It is wanted while they are in use.
    replace: Vec<Credentials>,
    /// One entry for each set of credentials in our pending and current descriptions.
    trickled: Vec<Trickled>,
}

/// Which descriptions are pending.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Stable,
    LocalOffer(LocalSide),
    RemoteOffer(RemoteOffer),
    LocalPranswer { offer: RemoteOffer, answer: LocalSide },
    RemotePranswer { offer: LocalSide, answer: SessionDescription },
    Closed,
}

/// An offer and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Exchange {
    offered_by_us: bool,
    local: LocalSide,
    remote: SessionDescription,
}

/// The data section that both sides have.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Agreed {
    section: usize,
    local: Credentials,
    remote: Credentials,
    controlling: bool,
}

impl Negotiation {
    /// A session that nothing was said about yet.
    ///
    /// `session_id` goes into the `o=` line and must be random; its highest bit is dropped, as RFC 9429
    /// section 5.2.1 wants it.
    #[must_use]
    pub fn new(session_id: u64, parameters: LocalParameters) -> Self {
        Self {
            session_id: session_id & (u64::MAX >> 1),
            parameters,
            phase: Phase::Stable,
            current: None,
            agreed: None,
            association: Association::NotYet,
            created_offer: None,
            created_answer: None,
            last_written: None,
            data_wanted: false,
            replace: Vec::new(),
            trickled: Vec::new(),
        }
    }

    /// W3C `signalingState`.
    #[must_use]
    pub fn signaling_state(&self) -> SignalingState {
        match self.phase {
            Phase::Stable => SignalingState::Stable,
            Phase::LocalOffer(_) => SignalingState::HaveLocalOffer,
            Phase::RemoteOffer(_) => SignalingState::HaveRemoteOffer,
            Phase::LocalPranswer { .. } => SignalingState::HaveLocalPranswer,
            Phase::RemotePranswer { .. } => SignalingState::HaveRemotePranswer,
            Phase::Closed => SignalingState::Closed,
        }
    }

    /// A data channel is wanted: from now on our offers have a data section.
    ///
    /// The wish ends when the other side rejects the section. It has no effect once a session's DTLS
    /// association has ended ([`Rejection::TransportClosed`]).
    pub fn want_data(&mut self) {
        self.data_wanted = self.association != Association::Over;
    }

    /// Our ICE credentials are to be replaced (W3C `restartIce`). Before the first description of ours
    /// there is nothing to replace, and this has no effect.
    pub fn restart_ice(&mut self) {
        let pending = self.pending_local().and_then(|(_, side)| side.data.as_ref()).map(|data| &data.credentials);
        let in_use = self.agreed.as_ref().map(|agreed| &agreed.local);
        let replace: Vec<Credentials> = pending.into_iter().chain(in_use).cloned().collect();
        self.replace = replace;
    }

    /// Whether an offer of ours is due (W3C `negotiationneeded`): a data channel is wanted and there is no
    /// section for it, or an ICE restart is wanted. An offer under way on either side comes first.
    #[must_use]
    pub fn negotiation_needed(&self) -> bool {
        self.phase == Phase::Stable && (self.data_wanted && self.agreed.is_none() || self.restart_wanted())
    }

    /// Whether the next description that is created begins an ICE restart, so that it needs credentials
    /// that no earlier description of ours has had.
    #[must_use]
    pub fn fresh_credentials_wanted(&self) -> bool {
        match &self.phase {
            Phase::Stable | Phase::LocalOffer(_) => self.restart_wanted(),
            Phase::RemoteOffer(offer) => offer.acceptable().is_some_and(|data| self.restarts(data)),
            Phase::LocalPranswer { .. } | Phase::RemotePranswer { .. } | Phase::Closed => false,
        }
    }

    /// Whether our ICE agent nominates, as far as the descriptions set up to now tell. The agent needs to
    /// know before the answer: checks may arrive earlier.
    #[must_use]
    pub fn controlling(&self) -> Option<bool> {
        match (&self.agreed, &self.phase) {
            (Some(agreed), _) => Some(agreed.controlling),
            // Of a lite and a full side the full one does (RFC 8445 section 6.1.1).
            (None, Phase::LocalOffer(_)) => Some(!self.parameters.lite),
            (None, Phase::RemoteOffer(offer)) => Some(offer.sdp.ice_lite() && !self.parameters.lite),
            (None, _) => None,
        }
    }

    /// Writes an offer: all sections there have been, in their order, and a data section if one is in use
    /// or wanted. `ice` has the agent's credentials, or fresh ones for a restart.
    ///
    /// # Errors
    /// [`Error::WrongState`]; [`Error::CredentialsNotFresh`].
    pub fn create_offer(&mut self, ice: &LocalIce<'_>) -> Result<Description, Error> {
        match self.phase {
            Phase::Stable | Phase::LocalOffer(_) => {}
            _ => return Err(self.wrong_state(Operation::CreateOffer)),
        }
        self.check_offering_credentials(ice.credentials)?;
        let mut media: Vec<MediaSection> = self.sections().map(|(section, _)| local::dead_section(section)).collect();
        let mut data = None;
        let mut bundle = None;
        if let Some((place, mid, protocol)) = self.data_place() {
            let section = local::data_section(mid.as_deref(), &protocol, Setup::ActPass, &self.parameters, ice);
            match media.get_mut(place) {
                Some(dead) => *dead = section,
                None => media.push(section),
            }
            data = Some(LocalData::new(place, ice));
            bundle = mid;
        }
        let sdp = local::description(self.session_id, bundle.as_deref(), &ICE_OPTIONS, &self.parameters, media);
        let offer = LocalSide { sdp: self.number(sdp), data };
        let text = offer.sdp.to_string();
        self.created_offer = Some(offer);
        Ok(Description { kind: DescriptionKind::Offer, sdp: text })
    }

    /// Writes an answer to the offer at hand: the data section if there is one that we can accept, and all
    /// others with port 0. `ice` has the agent's credentials, or fresh ones if the offer is a restart.
    ///
    /// Set as [`DescriptionKind::ProvisionalAnswer`], it answers for now.
    ///
    /// # Errors
    /// [`Error::WrongState`]; [`Error::CredentialsNotFresh`]; [`Error::CredentialsNotInUse`].
    pub fn create_answer(&mut self, ice: &LocalIce<'_>) -> Result<Description, Error> {
        let (Phase::RemoteOffer(offer) | Phase::LocalPranswer { offer, .. }) = &self.phase else {
            return Err(self.wrong_state(Operation::CreateAnswer));
        };
        let mut media: Vec<MediaSection> = offer.sdp.media().iter().map(local::dead_section).collect();
        let mut data = None;
        let mut bundle = None;
        let mut options = vec![ICE2];
        if let Some(offered) = offer.acceptable() {
            self.check_answering_credentials(offered, ice.credentials)?;
            let section = &offer.sdp.media()[offered.section];
            let mid = section.mid();
            let setup = local::setup_in_answer(offered.association.role);
            media[offered.section] = local::data_section(mid, section.protocol(), setup, &self.parameters, ice);
            data = Some(LocalData::new(offered.section, ice));
            bundle = mid.filter(|mid| offer.sdp.bundles().any(|group| group.mids().iter().any(|m| m == mid)));
            let offered = |&option: &&str| option == ICE2 || offer.sdp.has_ice_option(section, option);
            options = ICE_OPTIONS.into_iter().filter(offered).collect();
        }
        let sdp = local::description(self.session_id, bundle, &options, &self.parameters, media);
        let answer = LocalSide { sdp: self.number(sdp), data };
        let text = answer.sdp.to_string();
        self.created_answer = Some(answer);
        Ok(Description { kind: DescriptionKind::Answer, sdp: text })
    }

    /// Sets what `create_offer` or `create_answer` gave last, or takes an offer back. An empty text stands
    /// for what was created.
    ///
    /// # Errors
    /// [`Error::WrongState`]; [`Error::NotAsCreated`].
    pub fn set_local(&mut self, description: &Description) -> Result<Applied, Error> {
        let kind = description.kind;
        match (kind, &self.phase) {
            (DescriptionKind::Offer, Phase::Stable | Phase::LocalOffer(_)) => {
                let offer = as_created(&self.created_offer, description)?;
                let data = if offer.data.is_some() { Data::Offered } else { Data::Absent };
                self.phase = Phase::LocalOffer(offer);
                self.forget_unused();
                Ok(Applied::nothing(data))
            }
            (
                DescriptionKind::Answer | DescriptionKind::ProvisionalAnswer,
                Phase::RemoteOffer(offer) | Phase::LocalPranswer { offer, .. },
            ) => {
                let answer = as_created(&self.created_answer, description)?;
                let outcome = match (&answer.data, &offer.data) {
                    (Some(local), OfferedData::Acceptable(remote)) => self.accepted(local, remote, false)?,
                    (_, OfferedData::Rejected(reason)) => Outcome::Rejected(reason.clone()),
                    _ => Outcome::Absent,
                };
                let offer = offer.clone();
                let applied = self.apply(outcome, &offer.sdp, kind);
                if kind == DescriptionKind::Answer {
                    self.settle(Exchange { offered_by_us: false, local: answer, remote: offer.sdp });
                } else {
                    self.phase = Phase::LocalPranswer { offer, answer };
                }
                Ok(applied)
            }
            (DescriptionKind::Rollback, Phase::LocalOffer(_) | Phase::RemoteOffer(_)) => Ok(self.roll_back()),
            _ => Err(self.wrong_state(Operation::SetLocal(kind))),
        }
    }

    /// Sets what the other side sent, or takes an offer back.
    ///
    /// An offer while ours is out takes ours back (W3C "implicit rollback"): an impolite side does not
    /// call this then.
    ///
    /// # Errors
    /// [`Error::WrongState`], and all that can be wrong with a description.
    pub fn set_remote(&mut self, description: &Description) -> Result<Applied, Error> {
        let kind = description.kind;
        match (kind, &self.phase) {
            (DescriptionKind::Offer, Phase::Stable | Phase::LocalOffer(_) | Phase::RemoteOffer(_)) => {
                let sdp = read(description)?;
                remote::check_offer_order(&sdp, self.sections())?;
                let live = self.agreed.as_ref().map(|agreed| agreed.section);
                let offer = RemoteOffer::read(sdp, live, &self.association)?;
                let data = match &offer.data {
                    OfferedData::Absent => Data::Absent,
                    OfferedData::Rejected(reason) => Data::Rejected(reason.clone()),
                    OfferedData::Acceptable(_) => Data::Offered,
                };
                let rolled_back = matches!(self.phase, Phase::LocalOffer(_));
                self.created_answer = None;
                self.phase = Phase::RemoteOffer(offer);
                self.forget_unused();
                Ok(Applied { rolled_back, ..Applied::nothing(data) })
            }
            (
                DescriptionKind::Answer | DescriptionKind::ProvisionalAnswer,
                Phase::LocalOffer(offer) | Phase::RemotePranswer { offer, .. },
            ) => {
                let answer = read(description)?;
                remote::check_answer_order(&answer, &offer.sdp)?;
                let outcome = match &offer.data {
                    None => Outcome::Absent,
                    Some(local) => match remote::rejection_in_answer(&answer.media()[local.section]) {
                        Some(reason) => Outcome::Rejected(reason),
                        None => {
                            let data =
                                RemoteData::read(&answer, local.section, DescriptionKind::Answer, &self.association)?;
                            self.accepted(local, &data, true)?
                        }
                    },
                };
                let offer = offer.clone();
                let applied = self.apply(outcome, &answer, kind);
                if kind == DescriptionKind::Answer {
                    self.settle(Exchange { offered_by_us: true, local: offer, remote: answer });
                } else {
                    self.phase = Phase::RemotePranswer { offer, answer };
                }
                Ok(applied)
            }
            (DescriptionKind::Rollback, Phase::LocalOffer(_) | Phase::RemoteOffer(_)) => Ok(self.roll_back()),
            _ => Err(self.wrong_state(Operation::SetRemote(kind))),
        }
    }

    /// Takes a candidate that the other side sent on its own, and gives what the agent is to be told now.
    ///
    /// `None`: it is written into the pending description and comes with [`Applied::candidates`] later, or
    /// it is for a section that carries nothing.
    ///
    /// # Errors
    /// [`Error::WrongState`] once closed; [`Error::NoRemoteDescription`]; and what can be wrong with a
    /// candidate.
    pub fn add_remote_candidate(&mut self, trickled: &TrickledCandidate) -> Result<Option<RemoteCandidate>, Error> {
        if self.phase == Phase::Closed {
            return Err(self.wrong_state(Operation::AddRemoteCandidate));
        }
        let pending = self.pending_remote().map(|(_, sdp)| sdp);
        let current = self.current.as_ref().map(|current| &current.remote);
        let described = pending.or(current).ok_or(Error::NoRemoteDescription)?;
        let (candidate, ufrag) = trickled.read()?;

        let data = self.remote_data_section();
        let section = match trickled.section_in(described)?.or(data) {
            Some(section) if Some(section) == data => section,
            _ => return Ok(None),
        };
        let described_credentials = |sdp: &SessionDescription| remote::credentials_in(sdp, section);
        let in_use = self.agreed.as_ref().map(|agreed| &agreed.remote);
        let known = [pending.and_then(described_credentials), in_use.cloned()];
        let belongs = |c: &Credentials| ufrag.as_deref().is_none_or(|ufrag| ufrag == c.ufrag());
        let credentials = known.into_iter().flatten().find(belongs);
        let credentials = credentials.ok_or_else(|| Error::UnknownUfrag(ufrag.clone().unwrap_or_default()))?;
        let deliver = in_use == Some(&credentials);

        let same = |sdp: &SessionDescription| described_credentials(sdp).as_ref() == Some(&credentials);
        if [pending, current].into_iter().flatten().any(|sdp| same(sdp) && !trickle::has_room(&sdp.media()[section])) {
            return Err(Error::TooManyCandidates);
        }
        if let Some(sdp) = self.pending_remote_mut().filter(|sdp| same(sdp)) {
            trickle::record(&mut sdp.media[section], &candidate);
        }
        if let Some(sdp) = self.current.as_mut().map(|current| &mut current.remote).filter(|sdp| same(sdp)) {
            trickle::record(&mut sdp.media[section], &candidate);
        }
        Ok(deliver.then_some(candidate))
    }

    /// A candidate of ours as the other side is to be told of it, once, unless a description of ours told
    /// it. `None` as well while no description of ours has `credentials`: hand in all candidates again
    /// after each [`set_local`](Self::set_local).
    pub fn announce(&mut self, credentials: &Credentials, candidate: &CandidateAttribute) -> Option<TrickledCandidate> {
        self.tell(credentials, Some(candidate))
    }

    /// That there are no more candidates of ours for `credentials`, as the other side is to be told of it;
    /// otherwise like [`announce`](Self::announce).
    pub fn announce_end(&mut self, credentials: &Credentials) -> Option<TrickledCandidate> {
        self.tell(credentials, None)
    }

    /// W3C `localDescription`: the pending one, or else the current one, with the candidates of `ice` if it
    /// has these credentials.
    #[must_use]
    pub fn local_description(&self, ice: &LocalIce<'_>) -> Option<Description> {
        self.pending_local_description(ice).or_else(|| self.current_local_description(ice))
    }

    /// W3C `pendingLocalDescription`.
    #[must_use]
    pub fn pending_local_description(&self, ice: &LocalIce<'_>) -> Option<Description> {
        self.pending_local().map(|(kind, side)| Description { kind, sdp: side.text_with(ice) })
    }

    /// W3C `currentLocalDescription`.
    #[must_use]
    pub fn current_local_description(&self, ice: &LocalIce<'_>) -> Option<Description> {
        let current = self.current.as_ref()?;
        let kind = if current.offered_by_us { DescriptionKind::Offer } else { DescriptionKind::Answer };
        Some(Description { kind, sdp: current.local.text_with(ice) })
    }

    /// W3C `remoteDescription`: the pending one, or else the current one, with the candidates that came
    /// since.
    #[must_use]
    pub fn remote_description(&self) -> Option<Description> {
        self.pending_remote_description().or_else(|| self.current_remote_description())
    }

    /// W3C `pendingRemoteDescription`.
    #[must_use]
    pub fn pending_remote_description(&self) -> Option<Description> {
        self.pending_remote().map(|(kind, sdp)| Description { kind, sdp: sdp.to_string() })
    }

    /// W3C `currentRemoteDescription`.
    #[must_use]
    pub fn current_remote_description(&self) -> Option<Description> {
        let current = self.current.as_ref()?;
        let kind = if current.offered_by_us { DescriptionKind::Answer } else { DescriptionKind::Offer };
        Some(Description { kind, sdp: current.remote.to_string() })
    }

    /// Ends the session: from now on every call is refused.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.trickled.clear();
    }

    fn wrong_state(&self, operation: Operation) -> Error {
        Error::WrongState { operation, state: self.signaling_state() }
    }

    fn restart_wanted(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| self.replace.contains(&agreed.local))
    }

    /// Whether an offer with this data section is an ICE restart (RFC 8839 section 4.4.1.1.1).
    fn restarts(&self, offered: &RemoteData) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.remote != offered.credentials)
    }

    fn check_offering_credentials(&self, credentials: &Credentials) -> Result<(), Error> {
        match &self.agreed {
            Some(agreed) if agreed.local != *credentials || self.restart_wanted() => {
                let fresh = is_fresh(credentials, agreed) && !self.replace.contains(credentials);
                if fresh { Ok(()) } else { Err(Error::CredentialsNotFresh) }
            }
            _ => Ok(()),
        }
    }

    fn check_answering_credentials(&self, offered: &RemoteData, credentials: &Credentials) -> Result<(), Error> {
        match &self.agreed {
            Some(agreed) if self.restarts(offered) && !is_fresh(credentials, agreed) => Err(Error::CredentialsNotFresh),
            Some(agreed) if !self.restarts(offered) && agreed.local != *credentials => Err(Error::CredentialsNotInUse),
            _ => Ok(()),
        }
    }

    /// All sections there have been, and whether they are in use. Only the data section ever is.
    fn sections(&self) -> impl ExactSizeIterator<Item = (&MediaSection, bool)> {
        let sections = self.current.as_ref().map_or(&[][..], |current| current.local.sdp.media());
        let in_use = self.agreed.as_ref().map(|agreed| agreed.section);
        sections.iter().enumerate().map(move |(i, section)| (section, in_use == Some(i)))
    }

    /// Where the data section of an offer of ours goes, its mid and its protocol: where it is; or, if one
    /// is wanted, in the place of a dead one, or else at the end (RFC 9429 section 5.2.2). A dead section
    /// of another kind is left alone: not everybody copes with a section that turns from audio to data.
    fn data_place(&self) -> Option<(usize, Option<String>, String)> {
        if let Some(agreed) = &self.agreed {
            let (section, _) = self.sections().nth(agreed.section)?;
            return Some((agreed.section, section.mid().map(str::to_owned), section.protocol().to_owned()));
        }
        if !self.data_wanted {
            return None;
        }
        let dead = self.sections().position(|(s, _)| s.kind() == DATA_KIND && s.protocol() == DATA_PROTOCOL);
        let free = |mid: &String| self.sections().all(|(section, _)| section.mid() != Some(mid));
        let mid = (0..).map(|n: u32| n.to_string()).find(free);
        Some((dead.unwrap_or(self.sections().len()), mid, DATA_PROTOCOL.to_owned()))
    }

    /// Gives a description its version: one more than that of the one before, unless they are the same
    /// (RFC 3264 section 8, RFC 9429 section 5.2.2).
    fn number(&mut self, mut sdp: SessionDescription) -> SessionDescription {
        if let Some(last) = &self.last_written {
            sdp.origin.version = last.origin.version;
            if sdp != *last {
                sdp.origin.version += 1;
            }
        }
        self.last_written = Some(sdp.clone());
        sdp
    }

    fn accepted(&self, local: &LocalData, remote: &RemoteData, offered_by_us: bool) -> Result<Outcome, Error> {
        let restart = match &self.agreed {
            None => false,
            Some(agreed) if offered_by_us => agreed.local != local.credentials,
            Some(_) => self.restarts(remote),
        };
        if offered_by_us && !restart && self.restarts(remote) {
            let problem = SectionProblem::RestartNotOffered;
            return Err(Error::Section { section: remote.section, problem });
        }
        let controlling = match (self.parameters.lite, remote.lite) {
            (false, true) => true,
            (true, false) => false,
            _ => self.agreed.as_ref().map_or(offered_by_us, |agreed| agreed.controlling),
        };
        let agreed = Agreed {
            section: remote.section,
            local: local.credentials.clone(),
            remote: remote.credentials.clone(),
            controlling,
        };
        let ice = (restart || self.agreed.is_none()).then(|| IceStart {
            restart,
            local: agreed.local.clone(),
            remote: agreed.remote.clone(),
            remote_lite: remote.lite,
            remote_pacing: remote.pacing,
            // Our answers announce it if the offer does, our offers always.
            renomination: remote.renomination,
            controlling,
        });
        let transport = Transport {
            kept: matches!(self.association, Association::Running(_)),
            role: remote.association.role,
            fingerprints: remote.association.fingerprints.clone(),
            sctp_port: remote.association.sctp_port,
            max_message_size: remote.max_message_size,
        };
        let association = remote.association.clone();
        Ok(Outcome::Accepted(Box::new(Acceptance { agreed, association, ice, transport })))
    }

    /// Takes over what an answer means for the data section. `remote` is the other side's part of it.
    fn apply(&mut self, outcome: Outcome, remote: &SessionDescription, kind: DescriptionKind) -> Applied {
        let provisional = kind == DescriptionKind::ProvisionalAnswer;
        match outcome {
            Outcome::Absent => Applied::nothing(Data::Absent),
            Outcome::Rejected(_) if provisional => Applied::nothing(Data::Offered),
            Outcome::Rejected(reason) => {
                self.agreed = None;
                if matches!(self.association, Association::Running(_)) {
                    self.association = Association::Over;
                }
                Applied::nothing(Data::Rejected(reason))
            }
            Outcome::Accepted(acceptance) => {
                let Acceptance { agreed, association, ice, transport } = *acceptance;
                let section = &remote.media()[agreed.section];
                self.agreed = Some(agreed);
                self.association = Association::Running(association);
                Applied {
                    rolled_back: false,
                    data: Data::Accepted(transport),
                    ice,
                    candidates: section.candidates().cloned().collect(),
                    end_of_candidates: remote.end_of_candidates(section),
                }
            }
        }
    }

    /// Offer and answer are complete.
    fn settle(&mut self, mut exchange: Exchange) {
        if self.agreed.is_none() {
            // Who rejects our data section ends the wish for one; it would only be rejected again.
            let refused = exchange.offered_by_us && exchange.local.data.is_some();
            self.data_wanted &= !refused && self.association != Association::Over;
            exchange.local.data = None;
        }
        self.current = Some(exchange);
        self.created_offer = None;
        self.created_answer = None;
        self.phase = Phase::Stable;
        self.forget_unused();
    }

    fn roll_back(&mut self) -> Applied {
        self.created_answer = None;
        self.phase = Phase::Stable;
        self.forget_unused();
        Applied { rolled_back: true, ..Applied::nothing(Data::Unchanged) }
    }

    fn tell(&mut self, credentials: &Credentials, candidate: Option<&CandidateAttribute>) -> Option<TrickledCandidate> {
        let mut described = None;
        for (side, data) in self.local_data().filter(|(_, data)| data.credentials == *credentials) {
            if data.tells(candidate) {
                return None;
            }
            described = described.or_else(|| Some(trickle::trickled(side, data, candidate)));
        }
        let described = described?;
        let i = self.trickled.iter().position(|t| t.credentials == *credentials).unwrap_or_else(|| {
            self.trickled.push(Trickled::nothing(credentials.clone()));
            self.trickled.len() - 1
        });
        self.trickled[i].first_time(candidate).then_some(described)
    }

    /// What was trickled for an offer that was taken back may never have been heard, and what was trickled
    /// before a restart is of no use.
    fn forget_unused(&mut self) {
        let used: Vec<Credentials> = self.local_data().map(|(_, data)| data.credentials.clone()).collect();
        self.trickled.retain(|trickled| used.contains(&trickled.credentials));
    }

    /// The data sections in our pending and our current description.
    fn local_data(&self) -> impl Iterator<Item = (&LocalSide, &LocalData)> {
        let pending = self.pending_local().map(|(_, side)| side);
        let current = self.current.as_ref().map(|current| &current.local);
        pending.into_iter().chain(current).filter_map(|side| Some((side, side.data.as_ref()?)))
    }

    fn pending_local(&self) -> Option<(DescriptionKind, &LocalSide)> {
        match &self.phase {
            Phase::LocalOffer(offer) | Phase::RemotePranswer { offer, .. } => Some((DescriptionKind::Offer, offer)),
            Phase::LocalPranswer { answer, .. } => Some((DescriptionKind::ProvisionalAnswer, answer)),
            Phase::Stable | Phase::RemoteOffer(_) | Phase::Closed => None,
        }
    }

    fn pending_remote(&self) -> Option<(DescriptionKind, &SessionDescription)> {
        match &self.phase {
            Phase::RemoteOffer(offer) | Phase::LocalPranswer { offer, .. } => {
                Some((DescriptionKind::Offer, &offer.sdp))
            }
            Phase::RemotePranswer { answer, .. } => Some((DescriptionKind::ProvisionalAnswer, answer)),
            Phase::Stable | Phase::LocalOffer(_) | Phase::Closed => None,
        }
    }

    fn pending_remote_mut(&mut self) -> Option<&mut SessionDescription> {
        match &mut self.phase {
            Phase::RemoteOffer(offer) | Phase::LocalPranswer { offer, .. } => Some(&mut offer.sdp),
            Phase::RemotePranswer { answer, .. } => Some(answer),
            Phase::Stable | Phase::LocalOffer(_) | Phase::Closed => None,
        }
    }

    /// The number of the section that candidates of the other side are for.
    fn remote_data_section(&self) -> Option<usize> {
        let offered = match &self.phase {
            Phase::RemoteOffer(offer) | Phase::LocalPranswer { offer, .. } => offer.acceptable(),
            _ => None,
        };
        offered.map(|data| data.section).or(self.agreed.as_ref().map(|agreed| agreed.section))
    }
}

/// What an answer means for the data section.
enum Outcome {
    Absent,
    Rejected(Rejection),
    Accepted(Box<Acceptance>),
}

struct Acceptance {
    agreed: Agreed,
    association: RunningAssociation,
    ice: Option<IceStart>,
    transport: Transport,
}

impl Applied {
    const fn nothing(data: Data) -> Self {
        Self { rolled_back: false, data, ice: None, candidates: Vec::new(), end_of_candidates: false }
    }
}

/// A restart changes both (RFC 8445 section 9).
fn is_fresh(credentials: &Credentials, agreed: &Agreed) -> bool {
    credentials.ufrag() != agreed.local.ufrag() && credentials.pwd() != agreed.local.pwd()
}

fn as_created(created: &Option<LocalSide>, description: &Description) -> Result<LocalSide, Error> {
    let created = created.as_ref().filter(|c| description.sdp.is_empty() || description.sdp == c.sdp.to_string());
    created.cloned().ok_or(Error::NotAsCreated(description.kind))
}

fn read(description: &Description) -> Result<SessionDescription, Error> {
    let sdp = SessionDescription::parse(&description.sdp)?;
    remote::check_bundles(&sdp)?;
    Ok(sdp)
}
