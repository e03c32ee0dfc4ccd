//! Nonces of this internet's own.
//!
//! The engine takes its nonces from the operating system, and clients send them back: what they send would differ from
//! run to run. So each nonce of the engine's is exchanged at the door for one that the seed gives, of the same form and
//! length, and what was signed with the user's password is signed again.
//!
//! The engine also leaves the list of password algorithms out of most of its challenges, though their nonces announce it
//! (RFC 8489 section 9.2.4 wants it in each), and a client must not answer these (section 9.2.5). It is put in. And to a
//! nonce from before a restart it says 400, where 438 is right: it is shown the request as if that were not signed, and its
//! 401 is made a 438.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use turn_server_proto::types::stun::attribute::{
    AttributeType, ErrorCode, Fingerprint, MessageIntegrity, MessageIntegritySha256, Nonce, PasswordAlgorithm,
    PasswordAlgorithms, Realm, Userhash, Username,
};
use turn_server_proto::types::stun::message::{
    IntegrityAlgorithm, LongTermCredentials, Message, MessageClass, MessageIntegrityCredentials, MessageWriteVec,
    ShortTermCredentials,
};
use turn_server_proto::types::stun::prelude::{Attribute, AttributeStaticType, MessageWrite, MessageWriteExt};

/// How many characters at the end of a nonce are random. Before them stands what the server can do (RFC 8489 section
/// 9.2).
const RANDOM: usize = 16;

/// With this begins a nonce that says what the server can do.
const ANNOUNCES: &str = "obMatJos2";

pub(crate) struct Nonces {
    realm: String,
    users: Vec<(String, String)>,
    rng: fastrand::Rng,
    /// Ours, by the engine's.
    ours: BTreeMap<String, String>,
    /// The engine's, by ours.
    theirs: BTreeMap<String, String>,
    /// As whom a client has signed last.
    signers: BTreeMap<SocketAddr, MessageIntegrityCredentials>,
    /// Those whose nonce is from before a restart.
    stale: BTreeSet<SocketAddr>,
    /// The list that the engine has sent last.
    algorithms: Option<PasswordAlgorithms>,
}

impl Nonces {
    pub(crate) fn new(realm: String, users: Vec<(String, String)>, rng: fastrand::Rng) -> Self {
        Self {
            realm,
            users,
            rng,
            ours: BTreeMap::new(),
            theirs: BTreeMap::new(),
            signers: BTreeMap::new(),
            stale: BTreeSet::new(),
            algorithms: None,
        }
    }

    /// What the engine is given of a client's message.
    pub(crate) fn inward(&mut self, client: SocketAddr, data: Vec<u8>) -> Vec<u8> {
        let Some(message) = with_nonce(&data) else { return data };
        let Some(theirs) = nonce(&message).and_then(|nonce| self.theirs.get(&nonce)) else {
            self.stale.insert(client);
            return unsigned(&message).unwrap_or(data);
        };
        let signer = self.signer(&message);
        let Some(exchanged) = exchange(&message, theirs, None, signer.as_ref()) else { return data };
        if let Some(signer) = signer {
            self.signers.insert(client, signer);
        }
        exchanged
    }

    /// What a client is given of the engine's message.
    pub(crate) fn outward(&mut self, client: SocketAddr, data: Vec<u8>) -> Vec<u8> {
        let Some(message) = with_nonce(&data) else { return data };
        let Some(theirs) = nonce(&message) else { return data };
        let ours = match self.ours.get(&theirs) {
            Some(ours) => ours.clone(),
            None => self.draw(theirs),
        };
        let listed = message.attribute::<PasswordAlgorithms>().ok();
        let is_missing = listed.is_none() && message.has_class(MessageClass::Error) && ours.starts_with(ANNOUNCES);
        self.algorithms = listed.or(self.algorithms.take());
        let missing = self.algorithms.as_ref().filter(|_| is_missing);
        let exchanged = exchange(&message, &ours, missing, self.signers.get(&client)).unwrap_or(data);
        if self.stale.remove(&client) { as_stale(&exchanged).unwrap_or(exchanged) } else { exchanged }
    }

    /// The server runs again, and knows nobody.
    pub(crate) fn forget(&mut self) {
        self.ours.clear();
        self.theirs.clear();
        self.signers.clear();
    }

    fn draw(&mut self, theirs: String) -> String {
        let (form, random) = theirs.split_at(theirs.len().saturating_sub(RANDOM));
        let drawn: String = random.chars().map(|_| self.rng.alphanumeric()).collect();
        let ours = format!("{form}{drawn}");
        self.ours.insert(theirs.clone(), ours.clone());
        self.theirs.insert(ours.clone(), theirs);
        ours
    }

    /// The user that a request names.
    fn signer(&self, message: &Message<'_>) -> Option<MessageIntegrityCredentials> {
        let name = message.attribute::<Username>().ok();
        let hash = message.attribute::<Userhash>().ok();
        let is_named = |user: &str| {
            name.as_ref().is_some_and(|name| name.username() == user)
                || hash.as_ref().is_some_and(|hash| *hash.hash() == Userhash::compute(user, &self.realm))
        };
        let (name, password) = self.users.iter().find(|(user, _)| is_named(user))?;
        Some(LongTermCredentials::new(name.clone(), password.clone()).to_key(self.realm.clone()).into())
    }
}

fn with_nonce(data: &[u8]) -> Option<Message<'_>> {
    // Channel data and application data are no messages.
    let message = Message::from_bytes(data).ok()?;
    message.has_attribute(Nonce::TYPE).then_some(message)
}

fn nonce(message: &Message<'_>) -> Option<String> {
    Some(message.attribute::<Nonce>().ok()?.nonce().to_owned())
}

/// The same message with another nonce, and the list that is missing. What was signed by `signer` is again; what was not,
/// is not.
fn exchange(
    message: &Message<'_>,
    nonce: &str,
    missing: Option<&PasswordAlgorithms>,
    signer: Option<&MessageIntegrityCredentials>,
) -> Option<Vec<u8>> {
    let mut writer = Message::builder(message.get_type(), message.transaction_id(), MessageWriteVec::new());
    for (_, attribute) in message.iter_attributes() {
        match attribute.get_type() {
            MessageIntegrity::TYPE | MessageIntegritySha256::TYPE | Fingerprint::TYPE => {}
            Nonce::TYPE => writer.add_attribute(&Nonce::new(nonce).ok()?).ok()?,
            _ => writer.add_attribute(&attribute).ok()?,
        }
    }
    if let Some(missing) = missing {
        writer.add_attribute(missing).ok()?;
    }
    let signed = signer.and_then(|signer| Some((signer.clone(), message.validate_integrity(signer).ok()?)));
    let wrong = || {
        let nobody: MessageIntegrityCredentials = ShortTermCredentials::new(String::new()).into();
        let sha256 = message.has_attribute(MessageIntegritySha256::TYPE);
        (nobody, if sha256 { IntegrityAlgorithm::Sha256 } else { IntegrityAlgorithm::Sha1 })
    };
    let is_signed = [MessageIntegrity::TYPE, MessageIntegritySha256::TYPE].map(|kind| message.has_attribute(kind));
    if is_signed.contains(&true) {
        let (credentials, algorithm) = signed.unwrap_or_else(wrong);
        writer.add_message_integrity_with_key(&credentials.make_key(algorithm), algorithm).ok()?;
    }
    if message.has_attribute(Fingerprint::TYPE) {
        writer.add_fingerprint().ok()?;
    }
    Some(writer.finish())
}

/// The same request without all that says who has sent it.
fn unsigned(message: &Message<'_>) -> Option<Vec<u8>> {
    const OF_SIGNER: [AttributeType; 7] = [
        Username::TYPE,
        Userhash::TYPE,
        Realm::TYPE,
        Nonce::TYPE,
        PasswordAlgorithm::TYPE,
        MessageIntegrity::TYPE,
        MessageIntegritySha256::TYPE,
    ];
    let mut writer = Message::builder(message.get_type(), message.transaction_id(), MessageWriteVec::new());
    let is_kept = |kind| !OF_SIGNER.contains(&kind) && kind != PasswordAlgorithms::TYPE && kind != Fingerprint::TYPE;
    for (_, attribute) in message.iter_attributes().filter(|(_, attribute)| is_kept(attribute.get_type())) {
        writer.add_attribute(&attribute).ok()?;
    }
    writer.add_fingerprint().ok()?;
    Some(writer.finish())
}

/// A challenge (401) as the one of a stale nonce.
fn as_stale(challenge: &[u8]) -> Option<Vec<u8>> {
    let message = Message::from_bytes(challenge).ok()?;
    let code = message.attribute::<ErrorCode>().ok()?;
    if code.code() != ErrorCode::UNAUTHORIZED {
        return None;
    }
    let mut writer = Message::builder(message.get_type(), message.transaction_id(), MessageWriteVec::new());
    writer.add_attribute(&ErrorCode::builder(ErrorCode::STALE_NONCE).build().ok()?).ok()?;
    // Nobody signs for who is not known.
    let left_out = [ErrorCode::TYPE, MessageIntegrity::TYPE, MessageIntegritySha256::TYPE, Fingerprint::TYPE];
    let is_kept = |kind| !left_out.contains(&kind);
    for (_, attribute) in message.iter_attributes().filter(|(_, attribute)| is_kept(attribute.get_type())) {
        writer.add_attribute(&attribute).ok()?;
    }
    writer.add_fingerprint().ok()?;
    Some(writer.finish())
}
