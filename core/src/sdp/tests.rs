use core::num::NonZeroU64;
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::description::Line;
use super::*;
use crate::ice;

const CHROMIUM: &str = include_str!("vectors/chromium-data.sdp");
const CHROMIUM_MEDIA: &str = include_str!("vectors/chromium-media-and-data.sdp");
const FIREFOX: &str = include_str!("vectors/firefox-data.sdp");
const AIORTC: &str = include_str!("vectors/aiortc-data.sdp");
const LIBDATACHANNEL: &str = include_str!("vectors/libdatachannel-data.sdp");
const VECTORS: [&str; 5] = [CHROMIUM, CHROMIUM_MEDIA, FIREFOX, AIORTC, LIBDATACHANNEL];

fn deterministic(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(0x0f2a_211e), failure_persistence: None, ..Default::default() }
}

#[test]
fn what_a_browser_wrote_is_written_back_as_it_was() {
    for text in VECTORS {
        let read = SessionDescription::parse(text).unwrap();
        let written = read.to_string();
        assert_eq!(SessionDescription::parse(&written).as_ref(), Ok(&read));
        // Nothing is lost: the same lines, but for order within a section, letter case and a comma.
        let sorted = |text: &str| {
            let mut lines: Vec<String> =
                text.lines().map(|l| l.to_lowercase().replace("ice2,trickle", "ice2 trickle")).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&written), sorted(text));
        assert!(written.ends_with("\r\n") && written.matches('\n').count() == written.matches("\r\n").count());
        assert_eq!(SessionDescription::parse(&text.replace('\n', "\r\n")), Ok(read.clone()));
        assert_eq!(SessionDescription::parse(text.trim_end()), Ok(read.clone()));
        assert_eq!(SessionDescription::parse(&format!("{text}\r\n\r\n")), Ok(read));
    }
}

#[test]
fn chromium_is_understood() {
    let description = SessionDescription::parse(CHROMIUM).unwrap();
    let [section] = description.media() else { panic!("one section") };
    assert_eq!((description.origin().session_id(), description.origin().version()), (5_249_163_420_071_486_375, 2));
    assert_eq!((section.kind(), section.port(), section.protocol()), ("application", 9, "UDP/DTLS/SCTP"));
    assert_eq!((section.formats(), section.mid()), (&["webrtc-datachannel".to_owned()][..], Some("0")));
    assert_eq!(description.bundles().map(Group::mids).collect::<Vec<_>>(), [["0".to_owned()]]);
    assert_eq!(description.ice_ufrag(section), Some("vXq0"));
    assert_eq!(description.ice_pwd(section), Some("5pRQm5T8fYcJm0vW1s9B2xN/"));
    assert!(description.has_ice_option(section, "trickle") && !description.has_ice_option(section, "ice2"));
    assert_eq!(description.setup(section), Some(Setup::ActPass));
    assert_eq!(description.fingerprints(section).filter_map(Fingerprint::as_sha256).count(), 1);
    assert_eq!((section.sctp_port(), section.max_message_size().map(NonZeroU64::get)), (Some(5000), Some(262_144)));
    assert!(!description.end_of_candidates(section) && !description.ice_lite());

    let [hidden, reflexive, tcp] = &section.candidates().collect::<Vec<_>>()[..] else { panic!("three candidates") };
    let name = "0d5b1b0c-7b5c-4a3e-9d6f-2f3c4d5e6f70.local";
    assert_eq!(hidden.host(), &Host::Name(name.to_owned()));
    assert_eq!(hidden.to_candidate(None), Err(Unusable::Unresolved(name.to_owned())));
    let resolved = hidden.to_candidate(Some("192.0.2.10".parse().unwrap())).unwrap();
    assert_eq!((resolved.address, resolved.priority), ("192.0.2.10:54321".parse().unwrap(), 2_113_937_151));
    let reflexive = reflexive.to_candidate(None).unwrap();
    assert_eq!(reflexive.kind, ice::CandidateKind::ServerReflexive);
    assert_eq!(reflexive.related, Some("0.0.0.0:0".parse().unwrap()));
    let tcp = tcp.to_candidate(None).unwrap();
    assert_eq!((tcp.transport, tcp.address.port()), (ice::Transport::Tcp(ice::TcpType::Active), 9));
}

#[test]
fn firefox_says_it_for_the_session() {
    let description = SessionDescription::parse(FIREFOX).unwrap();
    let section = &description.media()[0];
    assert!(section.attributes().iter().all(|a| !matches!(a, Attribute::Fingerprint(_) | Attribute::IceOptions(_))));
    assert_eq!(description.fingerprints(section).count(), 1);
    assert!(description.has_ice_option(section, "trickle") && description.end_of_candidates(section));
}

#[test]
fn libdatachannel_writes_commas() {
    let description = SessionDescription::parse(LIBDATACHANNEL).unwrap();
    let section = &description.media()[0];
    assert!(description.has_ice_option(section, "trickle") && description.has_ice_option(section, "ice2"));
}

#[test]
fn a_section_overrides_the_session() {
    let text = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=ice-ufrag:session\na=ice-pwd:session\na=setup:active\n\
                a=fingerprint:sha-1 00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00\n\
                m=application 0/2 UDP/DTLS/SCTP x\na=ice-ufrag:section\na=fingerprint:new AA\na=fingerprint:new BB\na=bundle-only\n";
    let description = SessionDescription::parse(text).unwrap();
    let section = &description.media()[0];
    assert_eq!(description.ice_ufrag(section), Some("section"));
    assert_eq!(description.ice_pwd(section), Some("session"));
    assert_eq!(description.setup(section), Some(Setup::Active));
    assert_eq!(description.fingerprints(section).map(ToString::to_string).collect::<Vec<_>>(), ["new AA", "new BB"]);
    assert!(section.bundle_only());
}

#[test]
fn refusals_name_line_and_reason() {
    let lines: Vec<&str> = CHROMIUM.lines().collect();
    let with = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number - 1] = line;
        SessionDescription::parse(&lines.join("\n")).unwrap_err()
    };
    let invalid = |field: &'static str, value: &str| Problem::Invalid { field, value: value.to_owned() };
    for (number, line, problem) in [
        (1, "v=1", invalid("version", "1")),
        (1, "o=- 1 1 IN IP4 0.0.0.0", Problem::Missing("v=")),
        (2, "s=-", Problem::Missing("o=")),
        (2, "o=- 1 1 IN IP4", Problem::Missing("address")),
        (2, "o=- -1 1 IN IP4 0.0.0.0", invalid("session id", "-1")),
        (2, "o=- 1 18446744073709551616 IN IP4 0.0.0.0", invalid("session version", "18446744073709551616")),
        (3, "t=0 0", Problem::Missing("s=")),
        (4, "s=-", Problem::Misplaced('s')),
        (4, "", Problem::NotALine),
        (4, " a=mid:0", Problem::NotALine),
        (4, "x=0", Problem::UnknownLetter('x')),
        (4, "t=0\0", Problem::ControlCharacter('\0')),
        (4, "t=0\r0", Problem::ControlCharacter('\r')),
        (4, "a=", invalid("attribute name", "")),
        (4, "a=:0", invalid("attribute name", "")),
        (8, "m=application 9 UDP/DTLS/SCTP", Problem::Missing("format")),
        (8, "m=application 65536 UDP/DTLS/SCTP x", invalid("port", "65536")),
        (8, "m=application 9/x UDP/DTLS/SCTP x", invalid("number of ports", "x")),
        (8, "m=application +9 UDP/DTLS/SCTP x", invalid("port", "+9")),
        (17, "a=setup:loud", invalid("setup", "loud")),
        (18, "a=mid:", invalid("mid", "")),
        (18, "a=mid:0 1", invalid("mid", "0 1")),
        (18, "a=ice-pwd:anothersecret", Problem::Repeated("ice-pwd")),
        (19, "a=sctp-port:x", invalid("sctp-port", "x")),
        (20, "a=max-message-size:-1", invalid("max-message-size", "-1")),
        (
            12,
            "a=candidate:1 1 udp 1 192.0.2.1 x typ host",
            Problem::Candidate(InvalidCandidate::Invalid { field: CandidateField::Port, value: "x".to_owned() }),
        ),
        (16, "a=fingerprint:sha-256 zz", Problem::Fingerprint(InvalidFingerprint::NotHex("zz".to_owned()))),
    ] {
        let error = with(number, line);
        assert_eq!((error.line(), error.problem()), (number, &problem), "{line:?}");
        let hidden = line.contains("secret");
        assert_eq!(error.text() == line, !hidden, "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
    let twice = CHROMIUM.to_owned() + "m=application 0 UDP/DTLS/SCTP x\na=mid:0\n";
    assert_eq!(SessionDescription::parse(&twice).unwrap_err().problem(), &Problem::MidInUse("0".to_owned()));
    let early = SessionDescription::parse("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n").unwrap_err();
    assert_eq!((early.line(), early.problem()), (3, &Problem::Missing("s=")));
    assert_eq!(
        SessionDescription::parse("v=0\r\nm=audio").unwrap_err().to_string(),
        "session description, line 2: o= is missing: \"m=audio\""
    );
}

#[test]
fn limits_hold_at_their_line() {
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n";
    let refusal = |body: String| {
        let error = SessionDescription::parse(&format!("{head}{body}")).unwrap_err();
        (error.line(), error.problem().clone())
    };
    let line = |bytes: usize| format!("a={}\r\n", "x".repeat(bytes - 2));
    assert!(SessionDescription::parse(&(head.to_owned() + &line(MAX_LINE_BYTES))).is_ok());
    assert_eq!(refusal(line(MAX_LINE_BYTES + 1)), (4, Problem::LineTooLong));
    assert!(SessionDescription::parse(&(head.to_owned() + &"a=x\n".repeat(MAX_LINES - 3))).is_ok());
    assert_eq!(refusal("a=x\n".repeat(MAX_LINES - 2)), (MAX_LINES + 1, Problem::TooManyLines));
    let section = "m=audio 0 RTP/AVP 0\r\n";
    assert!(SessionDescription::parse(&(head.to_owned() + &section.repeat(MAX_SECTIONS))).is_ok());
    assert_eq!(refusal(section.repeat(MAX_SECTIONS + 1)), (MAX_SECTIONS + 4, Problem::TooManySections));
    let (at, problem) = refusal(line(1_002).repeat(MAX_BYTES / 1_000));
    assert_eq!(problem, Problem::TooManyBytes);
    assert_eq!(at, 4 + (MAX_BYTES - head.len()) / 1_004);
}

#[test]
fn passwords_are_not_printed() {
    let description = SessionDescription::parse(CHROMIUM).unwrap();
    assert!(!format!("{description:?}").contains("5pRQm5T8fYcJm0vW1s9B2xN/"));
}

#[test]
fn candidates_in_every_dialect() {
    let read = |text: &str| text.parse::<CandidateAttribute>();
    let firefox = read("candidate:0 1 UDP 2122252543 192.0.2.1 49203 typ host").unwrap();
    assert_eq!(read("a=candidate:0 1 udp 2122252543 192.0.2.1 49203 typ host\r\n").as_ref(), Ok(&firefox));
    assert_eq!(firefox.to_string(), "candidate:0 1 udp 2122252543 192.0.2.1 49203 typ host");

    let text = "candidate:842163049 1 tcp 1677729535 2001:db8::7 9 typ srflx raddr 10.0.0.1 rport 4 tcptype so \
                generation 2 ufrag Ab+/ network-id 3 network-cost 50 flavour mint";
    let chromium = read(text).unwrap();
    assert_eq!(chromium.to_string(), text);
    assert_eq!((chromium.generation(), chromium.ufrag()), (Some(2), Some("Ab+/")));
    assert_eq!((chromium.network_id(), chromium.network_cost()), (Some(3), Some(50)));
    assert_eq!(
        (chromium.tcp_type(), chromium.extension("flavour")),
        (Some(ice::TcpType::SimultaneousOpen), Some("mint"))
    );
    assert_eq!(chromium.related_host(), Some(&Host::Address("10.0.0.1".parse().unwrap())));
    assert_eq!(chromium.related_port(), Some(4));

    let strange = read("candidate:1 1 carrier-pigeon 1 nest.example 1 typ coop").unwrap();
    assert_eq!(strange.transport(), &CandidateTransport::Other("carrier-pigeon".to_owned()));
    assert_eq!(strange.kind(), &CandidateType::Other("coop".to_owned()));
    assert_eq!(strange.to_candidate(None), Err(Unusable::Transport("carrier-pigeon".to_owned())));
}

#[test]
fn broken_candidates_are_refused_by_field() {
    use CandidateField as F;
    let words = ["candidate:1", "1", "udp", "1", "192.0.2.1", "1", "typ", "host"];
    let fields = [F::Foundation, F::Component, F::Transport, F::Priority, F::Address, F::Port, F::Typ, F::Type];
    for (i, field) in fields.into_iter().enumerate() {
        let cut = if i == 0 { "candidate:".to_owned() } else { words[..i].join(" ") };
        assert_eq!(cut.parse::<CandidateAttribute>(), Err(InvalidCandidate::Missing(field)));
    }
    let long = "a".repeat(64) + ".local";
    for (field, i, bad) in [
        (F::Foundation, 0, "candidate:a-b"),
        (F::Component, 1, "0"),
        (F::Component, 1, "1000"),
        (F::Priority, 3, "4294967296"),
        (F::Priority, 3, "-1"),
        (F::Address, 4, "256.0.0.1"),
        (F::Address, 4, "fe80::1%eth0"),
        (F::Address, 4, "a..local"),
        (F::Address, 4, "né.local"),
        (F::Address, 4, &long),
        (F::Port, 5, "65536"),
        (F::Port, 5, "1e3"),
        (F::Typ, 6, "type"),
        (F::RelatedPort, 7, "host rport x"),
        (F::RelatedAddress, 7, "host raddr !"),
        (F::TcpType, 7, "host tcptype loud"),
        (F::Generation, 7, "host generation x"),
        (F::NetworkId, 7, "host network-id x"),
        (F::NetworkCost, 7, "host network-cost x"),
    ] {
        let mut words = words;
        words[i] = bad;
        let error = words.join(" ").parse::<CandidateAttribute>().unwrap_err();
        assert!(matches!(error, InvalidCandidate::Invalid { field: f, .. } if f == field), "{error}");
    }
    let after = |tail: &str| format!("{} {tail}", words.join(" ")).parse::<CandidateAttribute>().unwrap_err();
    assert_eq!(after("generation"), InvalidCandidate::NoValue("generation".to_owned()));
    assert_eq!(after("ufrag a ufrag b"), InvalidCandidate::Repeated(F::Ufrag));
    assert_eq!(after("x y\r\na=ice-lite"), InvalidCandidate::ControlCharacter('\r'));
    assert_eq!(
        after(&"x ".repeat(MAX_LINE_BYTES)),
        InvalidCandidate::TooLong(2 * MAX_LINE_BYTES + words.join(" ").len() + 1)
    );
    assert_eq!("x".parse::<CandidateAttribute>(), Err(InvalidCandidate::NoPrefix("x".to_owned())));
}

#[test]
fn unusable_candidates_say_why() {
    let unusable = |text: &str| text.parse::<CandidateAttribute>().unwrap().to_candidate(None).unwrap_err();
    assert_eq!(unusable("candidate:1 2 udp 1 192.0.2.1 1 typ host"), Unusable::Component(2));
    assert_eq!(unusable("candidate:1 1 tcp 1 192.0.2.1 1 typ host"), Unusable::NoTcpType);
    assert_eq!(unusable("candidate:1 1 udp 1 192.0.2.1 1 typ x"), Unusable::Type("x".to_owned()));
    assert_eq!(unusable("candidate:1 1 udp 0 192.0.2.1 1 typ host"), Unusable::Priority(0));
    assert_eq!(unusable("candidate:1 1 udp 2147483648 192.0.2.1 1 typ host"), Unusable::Priority(1 << 31));
    assert_eq!(unusable("candidate:1 1 udp 1 192.0.2.1 0 typ host"), Unusable::Port);
    assert_eq!(unusable("candidate:1 1 tcp 1 192.0.2.1 0 typ host tcptype passive"), Unusable::Port);
    let active = "candidate:1 1 tcp 1 192.0.2.1 0 typ host tcptype active".parse::<CandidateAttribute>().unwrap();
    assert_eq!(active.to_candidate(None).unwrap().address.port(), 9, "its port means nothing");
    for address in ["0.0.0.0", "255.255.255.255", "224.0.0.251", "::", "ff02::fb", "::ffff:192.0.2.1"] {
        let reason = Unusable::Address(address.parse().unwrap());
        assert_eq!(unusable(&format!("candidate:1 1 udp 1 {address} 1 typ host")), reason);
    }
    let named = "candidate:1 1 udp 1 a.local 1 typ host".parse::<CandidateAttribute>().unwrap();
    let multicast = "224.0.0.251".parse().unwrap();
    assert_eq!(named.to_candidate(Some(multicast)), Err(Unusable::Address(multicast)));
}

#[test]
fn our_own_candidates_read_back() {
    let base = "[2001:db8::1]:4000".parse().unwrap();
    let ours = ice::LocalCandidate::host(crate::Protocol::Udp, base, 65_535).candidate;
    let relayed = ice::Candidate {
        kind: ice::CandidateKind::Relayed,
        address: "198.51.100.1:50000".parse().unwrap(),
        related: Some("203.0.113.1:3".parse().unwrap()),
        ..ours
    };
    let tcp = |tcp_type| ice::LocalCandidate::host(ice::Transport::Tcp(tcp_type), base, 65_535).candidate;
    let tcp = [ice::TcpType::Active, ice::TcpType::Passive, ice::TcpType::SimultaneousOpen].map(tcp);
    let credentials = ice::Credentials::new("abcd", "0123456789012345678901").unwrap();
    for candidate in [ours, relayed].into_iter().chain(tcp) {
        let written = CandidateAttribute::new(&candidate).with_ufrag(&credentials);
        let read: CandidateAttribute = written.to_string().parse().unwrap();
        assert_eq!(read, written);
        assert_eq!((read.to_candidate(None), read.ufrag()), (Ok(candidate), Some("abcd")));
    }
}

fn word() -> impl Strategy<Value = String> {
    "[!-~]{1,12}"
}

/// What a line may hold.
fn text() -> impl Strategy<Value = String> {
    "[^\\x00\r\n]{0,30}"
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()),
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).to_ipv6_mapped().into()),
    ]
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![address().prop_map(|a| a.to_string()), "[a-z0-9-]{1,40}\\.local"]
}

/// Texts, so that what is generated is what the parser takes.
fn candidate() -> impl Strategy<Value = CandidateAttribute> {
    let transport = prop_oneof![Just("udp".to_owned()), Just("TCP".to_owned()), "[a-z]{1,8}"];
    let kind = prop_oneof![Just("host".to_owned()), Just("srflx".to_owned()), Just("relay".to_owned()), "[a-z]{1,8}"];
    let extension = prop_oneof![
        host().prop_map(|host| format!(" raddr {host}")),
        any::<u16>().prop_map(|port| format!(" rport {port}")),
        prop_oneof![Just("active"), Just("passive"), Just("so")].prop_map(|t| format!(" tcptype {t}")),
        any::<u32>().prop_map(|n| format!(" generation {n}")),
        "[A-Za-z0-9+/]{4,20}".prop_map(|ufrag| format!(" ufrag {ufrag}")),
        (0..1000u32).prop_map(|n| format!(" network-cost {n}")),
        (word(), word()).prop_map(|(name, value)| format!(" x-{name} {value}")),
    ];
    let head = ("[A-Za-z0-9+/]{1,32}", 1..=256u16, transport, any::<u32>(), host(), any::<u16>(), kind);
    (head, prop::collection::vec(extension, 0..6)).prop_filter_map("an extension twice", |(head, extensions)| {
        let (foundation, component, transport, priority, host, port, kind) = head;
        let text = format!("candidate:{foundation} {component} {transport} {priority} {host} {port} typ {kind}");
        (text + &extensions.concat()).parse().ok()
    })
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let words = || prop::collection::vec(word(), 0..4);
    let fingerprint = prop::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| {
        let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Attribute::Fingerprint(format!("x-hash {}", hex.join(":")).parse().unwrap())
    });
    prop_oneof![
        (word(), words()).prop_map(|(semantics, mids)| Attribute::Group(Group { semantics, mids })),
        Just(Attribute::BundleOnly),
        Just(Attribute::IceLite),
        Just(Attribute::EndOfCandidates),
        text().prop_map(Attribute::IceUfrag),
        text().prop_map(Attribute::IcePwd),
        prop::collection::vec("[A-Za-z0-9+/-]{1,12}", 0..4).prop_map(Attribute::IceOptions),
        (0..10_000_000_000_u64).prop_map(|millis| Attribute::IcePacing(Duration::from_millis(millis))),
        candidate().prop_map(|c| Attribute::Candidate(Box::new(c))),
        fingerprint,
        any::<[u8; 32]>().prop_map(|digest| Attribute::Fingerprint(Fingerprint::sha256(digest))),
        prop_oneof![Just(Setup::Active), Just(Setup::Passive), Just(Setup::ActPass), Just(Setup::HoldConn)]
            .prop_map(Attribute::Setup),
        word().prop_map(Attribute::TlsId),
        any::<u16>().prop_map(Attribute::SctpPort),
        any::<NonZeroU64>().prop_map(Attribute::MaxMessageSize),
        Just(Attribute::MaxMessageSize(NonZeroU64::MAX)),
        ("x-[!-9;-~]{0,12}", prop::option::of(text())).prop_map(|(name, value)| Attribute::Other { name, value }),
    ]
}

/// Attributes as one section can have them: those that come once, once.
fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    prop::collection::vec(attribute(), 0..12).prop_map(|mut attributes| {
        let mut seen = std::collections::BTreeSet::new();
        attributes.retain(|a| a.unique().is_none_or(|unique| seen.insert(unique)));
        attributes
    })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    prop::collection::vec(("[iuepcbtrzk]", text()), 0..4).prop_map(|lines| {
        let line = |(letter, value): (String, String)| Line { letter: letter.chars().next().unwrap(), value };
        lines.into_iter().map(line).collect()
    })
}

prop_compose! {
    fn section()(
        kind in word(), port in any::<u16>(), port_count in prop::option::of(any::<u16>()), protocol in word(),
        formats in prop::collection::vec(word(), 1..5), lines in lines(), attributes in attributes(),
    ) -> MediaSection {
        MediaSection { kind, port, port_count, protocol, formats, lines, attributes }
    }
}

prop_compose! {
    fn description()(
        username in word(), session_id in any::<u64>(), version in any::<u64>(), address in "IN IP[46] [0-9.:]{3,12}",
        name in text(), lines in lines(), attributes in attributes(), media in prop::collection::vec(section(), 0..5),
    ) -> SessionDescription {
        let origin = Origin { username, session_id, version, address };
        let mut media = media;
        for (i, section) in media.iter_mut().enumerate() {
            section.attributes.push(Attribute::Mid(i.to_string()));
        }
        SessionDescription { origin, name, lines, attributes, media }
    }
}

/// A real description with some lines lost, doubled, moved, cut or overwritten.
fn hostile() -> impl Strategy<Value = String> {
    let edit = (0..5u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), ".{0,20}");
    (prop::sample::select(&VECTORS[..]), prop::collection::vec(edit, 0..6)).prop_map(|(text, edits)| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (how, at, other, junk) in edits {
            let (i, j) = (at.index(lines.len()), other.index(lines.len()));
            match how {
                0 if lines.len() > 1 => drop(lines.remove(i)),
                1 => lines.insert(i, lines[j].clone()),
                2 => lines.swap(i, j),
                3 => {
                    let cut = lines[i].char_indices().nth(j).map_or(lines[i].len(), |(at, _)| at);
                    lines[i].truncate(cut);
                    lines[i] += &junk;
                }
                _ => lines[i] = junk,
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(deterministic(300))]

    #[test]
    fn what_is_written_reads_back(description in description()) {
        prop_assert_eq!(SessionDescription::parse(&description.to_string()), Ok(description));
    }

    #[test]
    fn candidates_read_back(candidate in candidate()) {
        prop_assert_eq!(candidate.to_string().parse(), Ok(candidate));
    }

    #[test]
    fn whatever_is_read_is_written_in_one_form(text in hostile()) {
        match SessionDescription::parse(&text) {
            Ok(read) => prop_assert_eq!(SessionDescription::parse(&read.to_string()), Ok(read)),
            Err(error) => {
                prop_assert!(matches!(error.line(), 1..) && error.line() <= text.lines().count() + 1);
                prop_assert!(error.text().len() <= 100);
            }
        }
    }

    #[test]
    fn junk_never_panics(text in "\\PC{0,200}") {
        let _ = SessionDescription::parse(&text);
        let _ = text.parse::<CandidateAttribute>();
        let _ = format!("candidate:{text}").parse::<CandidateAttribute>();
        let _ = text.parse::<Fingerprint>();
    }
}
