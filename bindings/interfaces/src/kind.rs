//! What a network interface is: the system's word where there is one, else the custom of names.

use frazil::ice::InterfaceKind;
use std::net::IpAddr;

/// The kind of the interface of this name that has `address`.
pub(crate) fn of(name: &str, address: IpAddr, point_to_point: bool) -> InterfaceKind {
    if address.is_loopback() {
        return InterfaceKind::Loopback;
    }
    let told = told_by_linux(name).or_else(|| by_custom(name));
    told.unwrap_or(if point_to_point { InterfaceKind::Vpn } else { InterfaceKind::Unknown })
}

/// What `/sys` says. There is none on other systems, and Android hides it.
fn told_by_linux(name: &str) -> Option<InterfaceKind> {
    // A name is no path: `.` and `..` are, and the system forbids the rest.
    if name.contains('/') || name.starts_with('.') {
        return None;
    }
    let entry = std::path::Path::new("/sys/class/net").join(name);
    let hardware = std::fs::read_to_string(entry.join("type")).ok()?.trim().parse().ok()?;
    let has = |file: &str| entry.join(file).exists();
    let uevent = std::fs::read_to_string(entry.join("uevent")).unwrap_or_default();
    let devtype = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    let wireless = has("wireless") || has("phy80211");
    by_hardware(hardware, devtype, wireless, has("tun_flags"), has("device"))
}

/// `hardware` is a number of the kernel's `if_arp.h`.
fn by_hardware(
    hardware: u16,
    devtype: Option<&str>,
    wireless: bool,
    tun: bool,
    physical: bool,
) -> Option<InterfaceKind> {
    const ETHER: u16 = 1;
    const PPP: u16 = 512;
    const RAW_IP: u16 = 519;
    const TUNNEL: u16 = 768;
    const TUNNEL6: u16 = 769;
    const LOOPBACK: u16 = 772;
    const SIT: u16 = 776;
    const GRE: u16 = 778;
    const IP6_GRE: u16 = 823;
    const NONE: u16 = 65534;
    match (hardware, devtype) {
        (LOOPBACK, _) => Some(InterfaceKind::Loopback),
        (_, Some("wwan")) | (RAW_IP, _) => Some(InterfaceKind::Cellular),
        (_, Some("wireguard")) | (TUNNEL | TUNNEL6 | SIT | GRE | IP6_GRE | NONE | PPP, _) => Some(InterfaceKind::Vpn),
        _ if tun => Some(InterfaceKind::Vpn),
        _ if wireless => Some(InterfaceKind::Wifi),
        // Without a device behind it, it may be a container's bridge as well as a bond of wires.
        (ETHER, _) if physical => Some(InterfaceKind::Ethernet),
        _ => None,
    }
}

/// What drivers and distributions name their interfaces.
fn by_custom(name: &str) -> Option<InterfaceKind> {
    const CUSTOMS: &[(&str, InterfaceKind)] = &[
        ("wlan", InterfaceKind::Wifi),
        ("wlp", InterfaceKind::Wifi),
        ("rmnet", InterfaceKind::Cellular),
        ("ccmni", InterfaceKind::Cellular),
        ("pdp_ip", InterfaceKind::Cellular),
        ("wwan", InterfaceKind::Cellular),
        ("utun", InterfaceKind::Vpn),
        ("ipsec", InterfaceKind::Vpn),
        ("tun", InterfaceKind::Vpn),
        ("tap", InterfaceKind::Vpn),
        ("wg", InterfaceKind::Vpn),
        ("ppp", InterfaceKind::Vpn),
    ];
    CUSTOMS.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_word_comes_first_and_names_second() {
        use InterfaceKind::{Cellular, Ethernet, Loopback, Vpn, Wifi};
        for (hardware, devtype, wireless, tun, physical, kind) in [
            (772, None, false, false, false, Some(Loopback)),
            (1, None, false, false, true, Some(Ethernet)),
            (1, Some("wlan"), true, false, true, Some(Wifi)),
            (1, Some("wwan"), false, false, true, Some(Cellular)),
            (519, None, false, false, true, Some(Cellular)),
            (1, None, false, true, false, Some(Vpn)),
            (65534, Some("wireguard"), false, false, false, Some(Vpn)),
            (1, Some("bridge"), false, false, false, None),
        ] {
            assert_eq!(by_hardware(hardware, devtype, wireless, tun, physical), kind, "{hardware} {devtype:?}");
        }
        assert_eq!(by_custom("pdp_ip0"), Some(Cellular));
        assert_eq!(by_custom("utun3"), Some(Vpn));
        assert_eq!(by_custom("en0"), None);
        let address = "192.0.2.1".parse().unwrap();
        for nonsense in ["..", "a/b", ""] {
            assert_eq!(of(nonsense, address, true), Vpn, "{nonsense:?}");
        }
        assert_eq!(of("en0", address, false), InterfaceKind::Unknown);
    }
}
