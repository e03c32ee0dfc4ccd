//! Plays a schedule.

use std::str::SplitAsciiWhitespace;

use frazil_border::{
    Certificate, ChannelConfig, Config, Description, Error, Event, HostSocket, IceCandidate, IceServer, Path, Peer,
};

use crate::{HEADING, hex};

/// Plays `schedule` and compares.
///
/// # Errors
/// The first line that is not what came out, or that cannot be read.
pub fn check(schedule: &str) -> Result<(), String> {
    let mut lines = schedule.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.next().filter(|(_, line)| *line == HEADING).ok_or_else(|| format!("line 1 is not {HEADING:?}"))?;
    let mut player = Player::default();
    let mut due = Vec::new().into_iter();
    for (number, line) in lines.filter(|(_, line)| !line.starts_with('#')) {
        if line.starts_with("> ") {
            let came = due.next().unwrap_or_else(|| "nothing more".to_owned());
            if came != line {
                return Err(format!("line {number}: expected {line:?}, and {came:?} came out"));
            }
            continue;
        }
        if let Some(more) = due.next() {
            return Err(format!("line {number}: before it, {more:?} came out too"));
        }
        let outcome = player.act(line).map_err(|why| format!("line {number}: {line:?}: {why}"))?;
        due = outcome.lines.into_iter();
    }
    due.next().map_or(Ok(()), |more| Err(format!("at the end {more:?} came out too")))
}

/// A peer that is told what to do by lines of text.
#[derive(Default)]
pub struct Player {
    config: Config,
    servers: Vec<IceServer>,
    certificate: Option<Certificate>,
    seed: Vec<u8>,
    peer: Option<Peer>,
}

/// What came of a line.
#[derive(Default)]
pub struct Outcome {
    /// All of it as lines of a schedule.
    pub lines: Vec<String>,
    /// The number that was asked for: of a path or a channel.
    pub number: Option<u32>,
    /// The description that was asked for.
    pub description: Option<Description>,
    /// The datagrams that are to be sent, with the numbers of their paths.
    pub transmits: Vec<(u32, Vec<u8>)>,
    /// What happened.
    pub events: Vec<Event>,
    /// When time is to pass.
    pub deadline: Option<u64>,
}

/// The words of a line after the first.
struct Words<'l>(SplitAsciiWhitespace<'l>);

impl Player {
    /// The peer, once there is one.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Does what `line` says.
    ///
    /// # Errors
    /// If the line cannot be read, or the peer refuses what it says.
    pub fn act(&mut self, line: &str) -> Result<Outcome, String> {
        let mut words = Words(line.split_ascii_whitespace());
        let verb = words.word()?;
        let mut outcome = Outcome::default();
        let Some(peer) = &self.peer else {
            self.prepare(verb, &mut words)?;
            return Ok(outcome);
        };
        match verb {
            "offer" => outcome.describe(refused(peer.create_offer())?),
            "answer" => outcome.describe(refused(peer.create_answer())?),
            "restart" => refused(peer.restart_ice())?,
            "path" => outcome.name("path", refused(peer.path_id(&words.path()?))?),
            _ => {
                let now = words.number()?;
                pass(peer, verb, &mut words, now, &mut outcome)?;
                outcome.drain(peer)?;
            }
        }
        Ok(outcome)
    }

    fn prepare(&mut self, verb: &str, words: &mut Words<'_>) -> Result<(), String> {
        match verb {
            "seed" => self.seed = words.bytes()?,
            "certificate" => {
                self.certificate = Some(Certificate { certificate: words.bytes()?, private_key: words.bytes()? });
            }
            "config" => {
                for word in words.0.by_ref() {
                    self.configure(word)?;
                }
            }
            "server" => self.servers.push(IceServer {
                urls: vec![words.word()?.to_owned()],
                username: words.given()?,
                credential: words.given()?,
            }),
            "new" => {
                let (config, servers) = (std::mem::take(&mut self.config), std::mem::take(&mut self.servers));
                let peer = Peer::new(config, servers, self.certificate.take(), &self.seed, words.number()?);
                self.peer = Some(refused(peer)?);
            }
            _ => return Err("there is no peer yet".to_owned()),
        }
        Ok(())
    }

    fn configure(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} has no ="))?;
        let config = &mut self.config;
        match name {
            "ice_transport_policy" => config.ice_transport_policy = Some(value.to_owned()),
            "mdns_candidates" => config.mdns_candidates = Some(read(value)?),
            "active_tcp" => config.active_tcp = Some(read(value)?),
            "max_message_size" => config.max_message_size = Some(read(value)?),
            "mtu" => config.mtu = Some(read(value)?),
            _ => return Err(format!("no schedule sets {name:?}")),
        }
        Ok(())
    }
}

/// What takes time.
fn pass(peer: &Peer, verb: &str, words: &mut Words<'_>, now: u64, outcome: &mut Outcome) -> Result<(), String> {
    match verb {
        "sockets" => {
            let sockets = words.0.by_ref().map(read_socket).collect::<Result<Vec<_>, _>>()?;
            refused(peer.handle_network_change(&sockets, now))
        }
        "end" => refused(peer.end_of_candidates(now)),
        "channel" => {
            let config = ChannelConfig { label: words.word()?.to_owned(), ..ChannelConfig::default() };
            outcome.name("channel", refused(peer.create_data_channel(config, now))?);
            Ok(())
        }
        "local" => refused(peer.set_local_description(words.description()?, now)),
        "remote" => refused(peer.set_remote_description(words.description()?, now)),
        "candidate" => {
            let (sdp_mid, username_fragment, candidate) = (words.given()?, words.given()?, words.text()?);
            let candidate = IceCandidate { candidate, sdp_mid, sdp_m_line_index: None, username_fragment };
            refused(peer.add_ice_candidate(candidate, now))
        }
        "resolved" => {
            let request = read(words.word()?)?;
            let addresses: Vec<String> =
                words.given()?.iter().flat_map(|all| all.split(',')).map(str::to_owned).collect();
            refused(peer.handle_resolved(request, &addresses, now))
        }
        "datagram" => {
            let path = read(words.word()?)?;
            match refused(peer.handle_datagram(path, &words.bytes()?, now))? {
                true => Ok(()),
                false => Err(format!("{path} is the number of no path")),
            }
        }
        "batch" => {
            let mut batch = Vec::new();
            let mut count = 0;
            for word in words.0.by_ref() {
                let (path, bytes) = word.split_once(':').ok_or_else(|| format!("{word:?} has no colon"))?;
                let bytes = hex::read(bytes)?;
                batch.extend(read::<u32>(path)?.to_le_bytes());
                batch.extend(u32::try_from(bytes.len()).map_err(|error| error.to_string())?.to_le_bytes());
                batch.extend(bytes);
                count += 1;
            }
            match refused(peer.handle_datagrams(&batch, now))? {
                taken if taken == count => Ok(()),
                taken => Err(format!("{taken} of {count} were taken")),
            }
        }
        "opened" => refused(peer.handle_stream_opened(read(words.word()?)?, now)),
        "closed" => refused(peer.handle_stream_closed(read(words.word()?)?, now)),
        "stream" => refused(peer.handle_stream_data(read(words.word()?)?, &words.bytes()?, now)),
        "timeout" => refused(peer.handle_timeout(now)),
        "leave" => refused(peer.leave(now)),
        _ => Err("no such line".to_owned()),
    }
}

impl Outcome {
    fn name(&mut self, what: &str, number: u32) {
        self.lines.push(format!("> {what} {number}"));
        self.number = Some(number);
    }

    fn describe(&mut self, description: Description) {
        self.lines.push(format!("> description {} {}", description.r#type, hex::write(description.sdp.as_bytes())));
        self.description = Some(description);
    }

    /// Takes out of the peer all that there is.
    fn drain(&mut self, peer: &Peer) -> Result<(), String> {
        let mut buffer = [0; Peer::MIN_BUFFER];
        loop {
            let before = self.transmits.len() + self.events.len();
            while let Some((path, len)) = refused(peer.poll_transmit(&mut buffer))? {
                self.lines.push(format!("> transmit {path} {}", hex::write(&buffer[..len])));
                self.transmits.push((path, buffer[..len].to_vec()));
            }
            while let Some(event) = refused(peer.poll_event())? {
                self.lines.push(match &event {
                    Event::LocalIceCandidate { candidate, .. } => {
                        format!("> event LocalIceCandidate {}", hex::write(candidate.as_bytes()))
                    }
                    event => format!("> event {}", event.name()),
                });
                self.events.push(event);
            }
            if self.transmits.len() + self.events.len() == before {
                break;
            }
        }
        self.deadline = refused(peer.poll_timeout())?;
        let deadline = self.deadline.map_or_else(|| "-".to_owned(), |at| at.to_string());
        self.lines.push(format!("> deadline {deadline}"));
        Ok(())
    }
}

impl<'l> Words<'l> {
    fn word(&mut self) -> Result<&'l str, String> {
        self.0.next().ok_or_else(|| "a word is missing".to_owned())
    }

    fn number(&mut self) -> Result<u64, String> {
        read(self.word()?)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, String> {
        hex::read(self.word()?)
    }

    fn text(&mut self) -> Result<String, String> {
        String::from_utf8(self.bytes()?).map_err(|error| error.to_string())
    }

    /// A word, or none where there is a hyphen in its place.
    fn given(&mut self) -> Result<Option<String>, String> {
        Ok(Some(self.word()?).filter(|word| *word != "-").map(str::to_owned))
    }

    fn description(&mut self) -> Result<Description, String> {
        Ok(Description { r#type: self.word()?.to_owned(), sdp: self.text()? })
    }

    fn path(&mut self) -> Result<Path, String> {
        Ok(Path {
            protocol: self.word()?.to_owned(),
            local_ip: self.word()?.to_owned(),
            local_port: read(self.word()?)?,
            remote_ip: self.word()?.to_owned(),
            remote_port: read(self.word()?)?,
        })
    }
}

fn read_socket(word: &str) -> Result<HostSocket, String> {
    let fields: Vec<&str> = word.split(',').collect();
    let [protocol, ip, port, interface, index, cost, temporary, deprecated] = fields[..] else {
        return Err(format!("{word:?} has {} fields in place of 8", fields.len()));
    };
    Ok(HostSocket {
        protocol: protocol.to_owned(),
        ip: ip.to_owned(),
        port: read(port)?,
        interface: interface.to_owned(),
        index: read(index)?,
        cost: read(cost)?,
        temporary: read(temporary)?,
        deprecated: read(deprecated)?,
    })
}

fn read<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is no {}", std::any::type_name::<T>()))
}

fn refused<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
