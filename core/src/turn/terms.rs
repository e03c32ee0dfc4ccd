//! What an allocation is asked for with, as far as the server goes along.

use core::time::Duration;

use super::{Config, Family, Port, Refusal};
use crate::stun::{AttributeType, MessageWriter, UnknownAttributes};

/// What coturn takes for ADDITIONAL-ADDRESS-FAMILY, and only that: the number that the drafts had before the registry
/// gave it one. Others ignore it, as they must what they do not know in that range.
const DRAFT_ADDITIONAL_ADDRESS_FAMILY: AttributeType = AttributeType(0x8032);

/// What a server may refuse to understand or to have, and is then asked for less.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Terms {
    families: Families,
    has_lifetime: bool,
    has_software: bool,
    has_draft: bool,
    /// Why the server was asked for another family.
    pub(super) family_refused: Option<Refusal>,
}

/// What is said of families (RFC 8656 section 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Families {
    /// Nothing, which means IPv4.
    Unsaid,
    OnlyIpv4,
    OnlyIpv6,
    Both,
    /// Nothing, because that of the reservation is meant.
    Reserved,
}

impl Terms {
    pub(super) fn new(config: &Config) -> Self {
        let families = match (config.port, config.family) {
            (Port::Reserved(_), _) => Families::Reserved,
            (_, Family::Ipv4) => Families::Unsaid,
            (_, Family::Ipv6) => Families::OnlyIpv6,
            (_, Family::Both) => Families::Both,
        };
        Self { families, has_lifetime: true, has_software: true, has_draft: true, family_refused: None }
    }

    /// Leaves out what the server does not understand (420). Says whether that makes a difference.
    pub(super) fn leave_out(&mut self, unknown: UnknownAttributes<'_>) -> bool {
        let before = self.clone();
        for kind in unknown {
            match (kind, self.families) {
                (AttributeType::SOFTWARE, _) => self.has_software = false,
                (AttributeType::LIFETIME, _) => self.has_lifetime = false,
                (DRAFT_ADDITIONAL_ADDRESS_FAMILY, _) => self.has_draft = false,
                (AttributeType::ADDITIONAL_ADDRESS_FAMILY, Families::Both)
                | (AttributeType::REQUESTED_ADDRESS_FAMILY, Families::OnlyIpv4) => self.families = Families::Unsaid,
                _ => {}
            }
        }
        *self != before
    }

    /// Asks for what the server may have instead (440): for one family instead of both, and for IPv4 by its name. Says
    /// whether there is anything left.
    pub(super) fn take_other_family(&mut self, wanted: Family, refusal: &Refusal) -> bool {
        let other = match (wanted, self.families) {
            (Family::Both, Families::Both) => Families::OnlyIpv4,
            (Family::Both, Families::OnlyIpv4 | Families::Unsaid) => Families::OnlyIpv6,
            (Family::Ipv4, Families::Unsaid) if self.family_refused.is_none() => Families::OnlyIpv4,
            _ => return false,
        };
        self.families = other;
        self.family_refused = Some(refusal.clone());
        true
    }

    /// Writes SOFTWARE, which every request has.
    pub(super) fn write_software(&self, writer: &mut MessageWriter<'_>, config: &Config) {
        if let Some(software) = config.software.as_ref().filter(|_| self.has_software) {
            writer.attribute(AttributeType::SOFTWARE, software.as_bytes());
        }
    }

    /// Writes what is asked for by an Allocate.
    pub(super) fn write(&self, writer: &mut MessageWriter<'_>, config: &Config) {
        let (kind, family) = match self.families {
            Families::Unsaid | Families::Reserved => (None, 0),
            Families::OnlyIpv4 => (Some(AttributeType::REQUESTED_ADDRESS_FAMILY), 1),
            Families::OnlyIpv6 => (Some(AttributeType::REQUESTED_ADDRESS_FAMILY), 2),
            Families::Both => (Some(AttributeType::ADDITIONAL_ADDRESS_FAMILY), 2),
        };
        if let Some(kind) = kind {
            writer.attribute(kind, &[family, 0, 0, 0]);
        }
        if self.families == Families::Both && self.has_draft {
            writer.attribute(DRAFT_ADDITIONAL_ADDRESS_FAMILY, &[family, 0, 0, 0]);
        }
        let (kind, value) = match &config.port {
            Port::Any => (None, &[][..]),
            Port::Even => (Some(AttributeType::EVEN_PORT), &[0][..]),
            Port::EvenAndNext => (Some(AttributeType::EVEN_PORT), &[0x80][..]),
            Port::Reserved(token) => (Some(AttributeType::RESERVATION_TOKEN), &token.0[..]),
        };
        if let Some(kind) = kind {
            writer.attribute(kind, value);
        }
        self.write_lifetime(writer, config);
    }

    /// Writes for how long the allocation is asked for.
    pub(super) fn write_lifetime(&self, writer: &mut MessageWriter<'_>, config: &Config) {
        if let Some(lifetime) = config.lifetime.filter(|_| self.has_lifetime) {
            write_lifetime(writer, lifetime);
        }
    }
}

/// Writes LIFETIME.
pub(super) fn write_lifetime(writer: &mut MessageWriter<'_>, lifetime: Duration) {
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    writer.attribute(AttributeType::LIFETIME, &seconds.to_be_bytes());
}
