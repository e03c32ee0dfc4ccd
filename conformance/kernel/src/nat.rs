//! A router's configuration as rules for the kernel's NAT.
//!
//! The kernel keeps the inside port outside where it is free, which is an endpoint-independent mapping as long as no two
//! inside sockets use one port, and lets in what a flow from inside has asked for, which is address- and port-dependent
//! filtering. What filters less needs to be told to whom an unsolicited datagram goes: a map that every datagram from
//! inside writes into (`asked`), with as much of the destination in its key as the filter looks at, is the memory of such
//! a NAT. Hairpinning is the same map, asked for datagrams from inside to the router's own outside address.

use std::net::Ipv4Addr;

use frazil_internet::{Dependence, Family, Hairpinning, Nat, PortAssignment, RouterConfig, Tcp, Udp};

use crate::error::LabError;

/// The link to outside.
pub(crate) const WAN: &str = "wan";

/// The bridge inside.
pub(crate) const LAN: &str = "lan";

/// The rules of a router with this outside address.
pub(crate) fn rules(config: &RouterConfig, outside: Ipv4Addr) -> Result<String, LabError> {
    let Family::Translated(nat) = config.v4 else {
        return Err(LabError::NotOfThisKernel(format!("{:?} for IPv4 in this lab", config.v4)));
    };
    if config.firewall.tcp != Tcp::default() {
        return Err(LabError::NotOfThisKernel(format!("{:?} in this lab", config.firewall.tcp)));
    }
    let source = source_translation(nat)?;
    let hairpins = nat.hairpinning != Hairpinning::None;
    let filters_by_flow = nat.filtering == Dependence::AddressAndPortDependent;

    // What a datagram from inside leaves in the memory, and what one to an outside port is looked up by.
    let (kind, wrote, asked) = match nat.filtering {
        Dependence::EndpointIndependent => ("inet_service", "udp sport", "udp dport"),
        Dependence::AddressDependent => ("inet_service . ipv4_addr", "udp sport . ip daddr", "udp dport . ip saddr"),
        Dependence::AddressAndPortDependent => (
            "inet_service . ipv4_addr . inet_service",
            "udp sport . ip daddr . udp dport",
            "udp dport . ip saddr . udp sport",
        ),
    };
    // One that comes back in has, for the filter, the sender's outside address: the one that it was sent to. The port is
    // kept.
    let asked_from_inside = asked.replace("ip saddr", "ip daddr");

    let mut memory = String::new();
    let mut destination = String::new();
    if hairpins || !filters_by_flow {
        memory = format!(
            "map asked {{ type {kind} : ipv4_addr; flags dynamic,timeout; timeout 2m; size 65535; }}
             chain remember {{
                 type filter hook prerouting priority -150;
                 iifname {LAN:?} meta l4proto udp update @asked {{ {wrote} : ip saddr }}
             }}"
        );
        if !filters_by_flow {
            destination += &format!("iifname {WAN:?} ip daddr {outside} meta l4proto udp dnat to {asked} map @asked\n");
        }
        if hairpins {
            let lookup = format!("dnat to {asked_from_inside} map @asked");
            destination += &format!("iifname {LAN:?} ip daddr {outside} meta l4proto udp {lookup}\n");
        }
    }
    let turned_back = match nat.hairpinning {
        Hairpinning::ExternalSource => {
            format!("iifname {LAN:?} oifname {LAN:?} ct status dnat snat to {outside}")
        }
        Hairpinning::InternalSource | Hairpinning::None => String::new(),
    };
    let no_udp = match config.firewall.udp {
        Udp::Blocked => "meta l4proto udp drop",
        Udp::Allowed | Udp::StatefulOutboundOnly => "",
    };
    // An unsolicited datagram to the router itself must not be answered, nor leave a flow behind: the inside port that
    // the later flow to outside would keep would then be taken.
    Ok(format!(
        "table ip router {{
             {memory}
             chain inward {{
                 type nat hook prerouting priority -100;
                 {destination}
             }}
             chain outward {{
                 type nat hook postrouting priority 100;
                 {turned_back}
                 oifname {WAN:?} {source}
             }}
             chain to_itself {{
                 type filter hook input priority 0;
                 iifname {WAN:?} ct state new drop
                 iifname {LAN:?} ip daddr {outside} drop
             }}
             chain through {{
                 type filter hook forward priority 0;
                 {no_udp}
                 ct status dnat accept
                 iifname {WAN:?} ct state new drop
             }}
         }}\n"
    ))
}

fn source_translation(nat: Nat) -> Result<&'static str, LabError> {
    match (nat.mapping, nat.filtering, nat.ports) {
        (Dependence::EndpointIndependent, _, PortAssignment::Preserving | PortAssignment::Random) => Ok("masquerade"),
        (Dependence::AddressAndPortDependent, Dependence::AddressAndPortDependent, PortAssignment::Random) => {
            Ok("masquerade random,fully-random")
        }
        (mapping, filtering, ports) => Err(LabError::NotOfThisKernel(format!(
            "one with {mapping:?} mapping, {filtering:?} filtering and {ports:?} ports"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 10);

    #[test]
    fn what_filters_by_flow_remembers_nothing_of_its_own() {
        let rules = rules(&RouterConfig::port_restricted(), OUTSIDE).unwrap();
        assert!(!rules.contains("asked") && rules.contains("masquerade\n"), "{rules}");
    }

    #[test]
    fn the_memory_has_what_the_filter_looks_at() {
        let full = rules(&RouterConfig::full_cone(), OUTSIDE).unwrap();
        assert!(full.contains("dnat to udp dport map @asked"), "{full}");
        let restricted = rules(&RouterConfig::address_restricted(), OUTSIDE).unwrap();
        assert!(restricted.contains("dnat to udp dport . ip saddr map @asked"), "{restricted}");
    }

    #[test]
    fn what_the_kernel_cannot_do_is_said() {
        let sequential = Nat { ports: PortAssignment::Sequential, ..Nat::symmetric() };
        let error = rules(&RouterConfig::ipv4(sequential), OUTSIDE).unwrap_err();
        assert!(error.to_string().contains("Sequential"), "{error}");
        assert!(rules(&RouterConfig::tcp_only(), OUTSIDE).is_err());
    }
}
