use std::net::SocketAddr;

use frazil::ice::{
    Agent, Config, Counters, Credentials, Event, LocalCandidate, PairState, Role, TcpType, Transport, frame_header,
};
use frazil::stun::{AttributeType, Class, IntegrityKey, MessageWriter, Method, TransactionId};
use frazil::{Instant, Path, Protocol};

const NOW: Instant = Instant::from_millis(1);

/// What somebody writes who has connected to a TCP candidate.
///
/// The first byte says how the stream is cut on its way. Then follow records of a control byte, a length and as many
/// bytes. The control byte says what they are: bytes of the stream as they stand, a frame, a check signed with the right
/// password and what it says (bits 2 to 7), or a long frame of one byte many times.
///
/// However the stream is cut, the agent does the same: nothing but to answer and check over the stream itself.
pub fn stream(input: &[u8]) {
    let Some((&first, script)) = input.split_first() else { return };
    let mut agent = agent();
    let bytes = written(script, &agent);
    let whole = outcome(&mut agent, &bytes, usize::MAX);
    let cut = outcome(&mut self::agent(), &bytes, usize::from(first) + 1);
    assert_eq!(whole, cut);
    assert_eq!(whole, outcome(&mut self::agent(), &bytes, 1));
}

fn agent() -> Agent {
    let mut agent = Agent::new(Config::default(), Role::Controlled, [7; 32], NOW);
    let local = LocalCandidate::host(Transport::Tcp(TcpType::Passive), address(4433), u16::MAX);
    agent.add_local_candidate(local, NOW).expect("a usable address");
    let theirs = Credentials::new("them", "twentytwo+characters+0").expect("a plain password");
    agent.set_remote_credentials(theirs, NOW);
    agent
}

/// What came of the stream: each piece of it that matters.
#[derive(PartialEq, Debug)]
struct Outcome {
    counters: Counters,
    sent: Vec<Vec<u8>>,
    delivered: Vec<Vec<u8>>,
    events: Vec<Event>,
    pairs: Vec<PairState>,
}

fn outcome(agent: &mut Agent, bytes: &[u8], cut: usize) -> Outcome {
    let path = Path { protocol: Protocol::Tcp, local: address(4433), remote: SocketAddr::from(([203, 0, 113, 9], 7)) };
    let path = agent.handle_stream_accepted(path, NOW).expect("somebody listens");
    let mut delivered = Vec::new();
    for piece in bytes.chunks(cut) {
        agent.handle_stream_data(path, piece, NOW, |datagram| delivered.push(datagram.to_vec()));
    }
    let mut sent = Vec::new();
    let mut buf = [0; Agent::MIN_BUFFER];
    while let Some(transmit) = agent.poll_transmit(&mut buf) {
        assert_eq!(transmit.path, path, "nobody asked for that");
        let (header, message) = buf[..transmit.len].split_first_chunk().expect("a frame has a header");
        assert_eq!(*header, frame_header(message.len() as u16));
        sent.push(message.to_vec());
    }
    let events: Vec<Event> = std::iter::from_fn(|| agent.poll_event()).collect();
    assert!(!events.iter().any(|event| matches!(event, Event::OpenStream { .. })), "nobody asked for that");
    let pairs: Vec<PairState> = agent.pairs().map(|pair| pair.state).collect();
    assert!(pairs.len() <= 1, "one stream is one path");
    assert!(delivered.is_empty() || !pairs.is_empty(), "nobody has proved that it is theirs");
    Outcome { counters: agent.counters(), sent, delivered, events, pairs }
}

/// The bytes of the stream that the script asks for.
fn written(mut script: &[u8], agent: &Agent) -> Vec<u8> {
    let mut stream = Vec::new();
    while let Some((&[control, len], rest)) = script.split_first_chunk::<2>() {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(len)));
        script = rest;
        match control & 3 {
            0 => stream.extend(bytes),
            1 => frame(&mut stream, bytes),
            2 => frame(&mut stream, &check(control, bytes, agent.local_credentials())),
            _ => frame(&mut stream, &vec![control; usize::from(len) * 257]),
        }
    }
    stream
}

fn check(control: u8, bytes: &[u8], credentials: &Credentials) -> Vec<u8> {
    let mut buf = [0; 1024];
    let mut writer = MessageWriter::new(&mut buf, Class::Request, Method::BINDING, TransactionId([control; 12]));
    let asker = if control & 4 == 0 { "them" } else { "else" };
    writer.username(credentials.ufrag(), asker).attribute(AttributeType::PRIORITY, &[1, 2, 3, control]);
    let role = if control & 8 == 0 { AttributeType::ICE_CONTROLLING } else { AttributeType::ICE_CONTROLLED };
    writer.attribute(role, &[control; 8]);
    if control & 16 != 0 {
        writer.attribute(AttributeType::USE_CANDIDATE, &[]);
    }
    if let Some((&kind, value)) = bytes.split_first().filter(|_| control & 32 != 0) {
        writer.attribute(AttributeType(u16::from(kind) << 8), value);
    }
    writer.integrity(&IntegrityKey::new(credentials.pwd().as_bytes()));
    let len = writer.finish_with_fingerprint().expect("an attribute of 255 bytes fits");
    buf[..len].to_vec()
}

fn frame(stream: &mut Vec<u8>, datagram: &[u8]) {
    stream.extend(frame_header(datagram.len() as u16));
    stream.extend(datagram);
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}
