//! The hard cases, played: what the server is told to do, and what must be seen.

use std::io;
use std::time::{Duration, Instant};

use frazil::stun::Method;
use serde_json::json;

use crate::cases::Case;
use crate::contestants::{Contestant, Program};
use crate::running::{Line, Running};
use crate::server::{Algorithms, Answer, PASSWORD, Script, Seen, Server, Transport, USER};
use crate::stage::{Setting, Stage};
use crate::verdict::{Mark, Verdict, errors, seconds, summary};

/// How long an allocation, or an echo through it, may take.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a request that times out may take: RFC 8489 has 39.5 s.
const TIMEOUT: Duration = Duration::from_secs(90);
/// Longer than everything lasts that is not prolonged.
const KEPT: Duration = Duration::from_secs(750);
/// Longer than the lifetime of an allocation.
const LIFETIME: Duration = Duration::from_secs(640);

impl Case {
    /// Plays it with a contestant.
    pub(crate) async fn play(self, stage: &Stage, contestant: &Contestant) -> io::Result<Verdict> {
        let program = match contestant.agent {
            Some(agent) if self.asks_agent() || self == Self::Mismatch => agent,
            None if self.asks_agent() => return Ok(Verdict::no_api(contestant.without_agent)),
            _ => contestant.client,
        };
        let helper = if matches!(self, Self::SilentServer | Self::RelayOnly | Self::SeveralServers) {
            stage.open_server(Script::default()).await?
        } else {
            stage.server(Script::default()).await?
        };
        let play = Play { stage, program, helper, is_one_client: contestant.is_one_client() };
        match self {
            Self::Plain(transport) => play.plain(transport).await,
            Self::Coturn => play.coturn().await,
            Self::Ipv6Server => play.ipv6_server().await,
            Self::BothFamilies => play.both_families().await,
            Self::Redirect => play.redirect().await,
            Self::CoturnRedirect => play.coturn_redirect().await,
            Self::RedirectLoop => play.redirect_loop().await,
            Self::StalePermission => play.stale_permission().await,
            Self::StaleRefresh => play.stale_refresh().await,
            Self::Kept => play.kept().await,
            Self::Mismatch => play.mismatch().await,
            Self::Restarted => play.restarted(Transport::Udp, LIFETIME).await,
            Self::StreamDropped => play.restarted(Transport::Tcp, TIMEOUT).await,
            Self::Sha256 | Self::Userhash => play.algorithms(self == Self::Sha256).await,
            Self::Downgrade => play.downgrade().await,
            Self::Renewed => play.renewed().await,
            Self::WrongPassword => play.refused(Script::default(), "wrong", 401).await,
            Self::Quota => {
                let script = Script { refuse: Some((486, "Allocation Quota Reached")), ..Script::default() };
                play.refused(script, PASSWORD, 486).await
            }
            Self::SilentServer => play.silent_server().await,
            Self::Garbage(transport) => play.garbage(transport).await,
            Self::RelayOnly => play.relay_only().await,
            Self::SeveralServers => play.several_servers().await,
            Self::Released => play.released().await,
        }
    }
}

/// One contestant in one case.
struct Play<'a> {
    stage: &'a Stage,
    program: Program,
    /// Works always, for what a program needs beside.
    helper: Server,
    is_one_client: bool,
}

impl Play<'_> {
    fn start(&self, setting: &Setting) -> io::Result<Running> {
        self.stage.start(self.program, setting, &self.helper)
    }

    /// An allocation, and data through it and back.
    async fn flows(&self, server: &Server, running: &mut Running) -> Verdict {
        let echoes =
            running.until(PATIENCE, |running| running.said("echo").len() >= 2 || running.no_api().is_some()).await;
        if let Some(what) = running.no_api() {
            return Verdict::no_api(&what);
        }
        let relay = running.candidates("relay").first().map(|line| seconds(line.after));
        let end = running.end();
        match (echoes, relay) {
            (true, _) if server.relayed() == 0 => {
                Verdict::new(Mark::No, format!("data flows, but not through the server; {}", summary(&server.seen())))
            }
            (true, relay) => {
                let echo = running.said("echo").first().map(|line| seconds(line.after)).unwrap_or_default();
                let relay = relay.map(|after| format!("candidate after {after}, ")).unwrap_or_default();
                Verdict::new(Mark::Yes, format!("{relay}data after {echo}"))
            }
            (false, Some(after)) => Verdict::new(
                Mark::No,
                format!("candidate after {after}, no data; {}; {}{end}", errors(running), summary(&server.seen())),
            ),
            (false, None) => {
                Verdict::new(Mark::No, format!("no candidate; {}; {}{end}", errors(running), summary(&server.seen())))
            }
        }
    }

    async fn plain(&self, transport: Transport) -> io::Result<Verdict> {
        let server = self.stage.server(Script::default()).await?;
        let mut running = self.start(&Setting::one(server.url(transport)))?;
        Ok(self.flows(&server, &mut running).await)
    }

    async fn coturn(&self) -> io::Result<Verdict> {
        let coturn = self.stage.coturn(&[]).await?;
        let mut evidence = Vec::new();
        let mut successes = 0;
        for (name, transport) in [("UDP", Transport::Udp), ("TCP", Transport::Tcp), ("TLS", Transport::Tls)] {
            let mut running = self.start(&Setting::one(coturn.url(transport)))?;
            let flows =
                running.until(PATIENCE, |running| running.said("echo").len() >= 2 || running.no_api().is_some()).await;
            let echo = running.said("echo").first().map(|line| seconds(line.after)).unwrap_or_default();
            evidence.push(match running.no_api() {
                Some(_) => format!("{name} no API"),
                None if flows => format!("{name} data after {echo}"),
                None => format!("{name} no data, {}", errors(&running)),
            });
            successes += u8::from(flows && running.no_api().is_none());
            running.close().await;
        }
        let mark = match successes {
            3 => Mark::Yes,
            0 => Mark::No,
            _ => Mark::Partly,
        };
        Ok(Verdict::new(mark, evidence.join("; ")))
    }

    async fn ipv6_server(&self) -> io::Result<Verdict> {
        let server = self.stage.server_on_ipv6(Script::default()).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        Ok(self.flows(&server, &mut running).await)
    }

    async fn both_families(&self) -> io::Result<Verdict> {
        let server = self.stage.server(Script::default()).await?;
        let setting = Setting { wants_both_families: true, ..Setting::one(server.url(Transport::Udp)) };
        let mut running = self.start(&setting)?;
        let has = |running: &Running, is_ipv6: bool| {
            let is = |address: &str| (address.matches(':').count() > 1) == is_ipv6;
            running.candidates("relay").iter().any(|line| is(line.text("address")))
        };
        let both = |running: &Running| has(running, false) && has(running, true);
        running.until(PATIENCE, |running| both(running) || running.no_api().is_some()).await;
        if let Some(what) = running.no_api() {
            return Ok(Verdict::no_api(&what));
        }
        let addresses: Vec<_> =
            running.candidates("relay").iter().map(|line| line.text("address").to_owned()).collect();
        let evidence = format!("relayed: {}; {}", addresses.join(" and "), summary(&server.seen()));
        Ok(Verdict::yes_if(both(&running), evidence))
    }

    async fn redirect(&self) -> io::Result<Verdict> {
        let target = self.stage.server(Script::default()).await?;
        let script = Script { redirect: Some(target.address()), ..Script::default() };
        let server = self.stage.server(script).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        let is_over = |running: &Running| {
            running.said("echo").len() >= 2
                || (running.candidates("relay").is_empty() && !running.said("gathered").is_empty())
        };
        running.until(PATIENCE, is_over).await;
        if target.seen().is_empty() {
            let evidence = format!("the other server was not asked; {}; {}", errors(&running), summary(&server.seen()));
            return Ok(Verdict::new(Mark::No, evidence));
        }
        Ok(self.flows(&target, &mut running).await)
    }

    async fn coturn_redirect(&self) -> io::Result<Verdict> {
        let target = self.stage.coturn(&[]).await?;
        let coturn = self.stage.coturn(&[format!("--alternate-server={}", target.address())]).await?;
        let mut running = self.start(&Setting::one(coturn.url(Transport::Udp)))?;
        let flows = running.until(PATIENCE, |running| running.said("echo").len() >= 2).await;
        let echo = running
            .said("echo")
            .first()
            .map_or_else(|| "no data".to_owned(), |line| format!("data after {}", seconds(line.after)));
        Ok(Verdict::yes_if(flows, format!("{echo}; {}", errors(&running))))
    }

    async fn kept(&self) -> io::Result<Verdict> {
        let server = self.stage.server(Script::default()).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        let before = self.flows(&server, &mut running).await;
        if before.mark != Mark::Yes {
            return Ok(Verdict::new(Mark::Void, before.evidence));
        }
        let is_silent = |running: &Running| {
            let last = running.said("echo").last().map(|line| line.at);
            last.is_none_or(|at| at.elapsed() > Duration::from_secs(10))
        };
        let has_stopped = running.until(KEPT, is_silent).await || !running.is_running();
        let echoes = running.said("echo");
        let last = echoes.last().map(|line| seconds(line.after)).unwrap_or_default();
        let evidence = format!(
            "{} echoes, the last after {last}; {}; {}",
            echoes.len(),
            summary(&server.seen()),
            errors(&running)
        );
        Ok(Verdict::yes_if(!has_stopped, evidence))
    }

    async fn redirect_loop(&self) -> io::Result<Verdict> {
        let other = self.stage.server(Script::default()).await?;
        let script = Script { redirect: Some(other.address()), ..Script::default() };
        let server = self.stage.server(script).await?;
        other.change(|script| script.redirect = Some(server.address()));
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        running.until(Duration::from_secs(20), |_| false).await;
        let signed = |server: &Server| server.seen().iter().filter(|seen| seen.is_signed).count();
        let asked = signed(&server) + signed(&other);
        let evidence = format!("{asked} signed Allocates in 20 s; {}", errors(&running));
        if signed(&other) == 0 {
            return Ok(Verdict::new(Mark::Void, "follows no redirection"));
        }
        let has_ended = !running.said("gathered").is_empty() || !running.said("error").is_empty();
        Ok(Verdict::yes_if(asked <= 12 && has_ended && running.is_running(), evidence))
    }

    async fn stale_permission(&self) -> io::Result<Verdict> {
        let server = self.stage.server(Script { is_stale_for_data: true, ..Script::default() }).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        let verdict = self.flows(&server, &mut running).await;
        if verdict.mark != Mark::Yes {
            return Ok(verdict);
        }
        Ok(Verdict::new(Mark::Yes, format!("{}; {}", verdict.evidence, summary(&server.seen()))))
    }

    async fn stale_refresh(&self) -> io::Result<Verdict> {
        let server = self.stage.server(Script { stale_at: Some(Method::REFRESH), ..Script::default() }).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        let is_refreshed = |answer: Answer| {
            move |seen: &Seen| seen.method == Method::REFRESH && !seen.is_release && seen.answer == answer
        };
        let survives = |seen: &[Seen]| {
            let stale = seen.iter().position(is_refreshed(Answer::Error(438)));
            stale.is_some_and(|stale| seen[stale..].iter().any(is_refreshed(Answer::Success)))
        };
        let survived = running.until(LIFETIME, |_| survives(&server.seen())).await;
        let evidence =
            format!("after {}: {}; {}", seconds(running.elapsed()), summary(&server.seen()), errors(&running));
        Ok(Verdict::yes_if(survived, evidence))
    }

    async fn mismatch(&self) -> io::Result<Verdict> {
        let server = self.stage.server(Script { has_mismatch: true, ..Script::default() }).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        let is_granted = |seen: &Seen| seen.method == Method::ALLOCATE && seen.answer == Answer::Success;
        let granted = running.until(PATIENCE, |_| server.seen().iter().any(is_granted)).await;
        let is_told =
            running.said("error").iter().any(|line| line.what["code"] == 437 || line.text("text").contains("437"));
        let mark = match (granted, is_told) {
            (true, _) => Mark::Yes,
            (false, true) => Mark::Partly,
            (false, false) => Mark::No,
        };
        Ok(Verdict::new(mark, format!("{}; {}", summary(&server.seen()), errors(&running))))
    }

    async fn restarted(&self, transport: Transport, limit: Duration) -> io::Result<Verdict> {
        let server = self.stage.server(Script::default()).await?;
        let mut running = self.start(&Setting::one(server.url(transport)))?;
        let before = self.flows(&server, &mut running).await;
        if before.mark != Mark::Yes {
            return Ok(Verdict::new(Mark::Void, before.evidence));
        }
        // What is done at the beginning only is done by then.
        running.until(Duration::from_secs(15), |_| false).await;
        let restarted_at = Instant::now();
        server.restart();
        let new_at = |server: &Server| {
            let is_new = |seen: &&Seen| {
                seen.method == Method::ALLOCATE && seen.answer == Answer::Success && seen.at > restarted_at
            };
            server.seen().iter().find(is_new).map(|seen| seen.at)
        };
        let again_at = |running: &Running| {
            let new_at = new_at(&server)?;
            running.said("echo").iter().find(|line| line.at > new_at).map(|line| line.at)
        };
        running.until(limit, |running| again_at(running).is_some()).await;
        let after = |at: Instant| seconds(at.saturating_duration_since(restarted_at));
        if let Some(new_at) = new_at(&server) {
            let again = again_at(&running).map(after);
            let data = again
                .clone()
                .map_or_else(|| "no data through it".to_owned(), |again| format!("data again after {again}"));
            let mark = if again.is_some() { Mark::Yes } else { Mark::Partly };
            let evidence =
                format!("a new allocation {} after the restart, {data}; {}", after(new_at), errors(&running));
            return Ok(Verdict::new(mark, evidence));
        }
        let told = running.lines().into_iter().find(|line| {
            line.at > restarted_at
                && matches!(line.is.as_str(), "lost" | "state" | "error")
                && line.text("state") != "connected"
        });
        let seen: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.at > restarted_at).collect();
        Ok(match told {
            Some(line) => {
                let said = if line.is == "state" { line.text("state") } else { line.text("text") };
                let evidence =
                    format!("told \"{said}\" {} after the restart, not replaced; {}", after(line.at), summary(&seen));
                Verdict::new(Mark::Partly, evidence)
            }
            None => Verdict::new(
                Mark::No,
                format!("nothing told in {}; {}", seconds(restarted_at.elapsed()), summary(&seen)),
            ),
        })
    }

    async fn algorithms(&self, is_about_sha256: bool) -> io::Result<Verdict> {
        let server = self.stage.server(Script { algorithms: Algorithms::Offered, ..Script::default() }).await?;
        let setting = Setting { wants_sha256: true, ..Setting::one(server.url(Transport::Udp)) };
        let mut running = self.start(&setting)?;
        let flows = self.flows(&server, &mut running).await;
        let seen = server.seen();
        let signed: Vec<&Seen> = seen.iter().filter(|seen| seen.method == Method::ALLOCATE && seen.is_signed).collect();
        let used = signed.iter().any(|seen| if is_about_sha256 { seen.has_sha256 } else { seen.has_userhash });
        let how = match (is_about_sha256, used) {
            (true, true) => "signed with SHA-256",
            (true, false) => "signed with MD5 and SHA-1",
            (false, true) => "USERHASH",
            (false, false) => "USERNAME in clear",
        };
        let how = if signed.is_empty() { "nothing signed" } else { how };
        Ok(Verdict::yes_if(used && flows.mark == Mark::Yes, format!("{how}; {}", flows.evidence)))
    }

    async fn downgrade(&self) -> io::Result<Verdict> {
        let server = self.stage.server(Script { algorithms: Algorithms::Stripped, ..Script::default() }).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        let has_signed = |server: &Server| server.seen().iter().any(|seen| seen.is_signed);
        running.until(Duration::from_secs(20), |_| has_signed(&server)).await;
        if server.seen().is_empty() {
            return Ok(Verdict::new(Mark::Void, "the server was not asked"));
        }
        Ok(Verdict::yes_if(!has_signed(&server), format!("{}; {}", summary(&server.seen()), errors(&running))))
    }

    async fn renewed(&self) -> io::Result<Verdict> {
        let server = self.stage.server(Script::default()).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        let before = self.flows(&server, &mut running).await;
        if before.mark != Mark::Yes {
            return Ok(Verdict::new(Mark::Void, before.evidence));
        }
        server.change(|script| script.user = ("bob".to_owned(), "renewed".to_owned()));
        running.tell(json!({ "do": "renew", "username": "bob", "password": "renewed" })).await;
        let is_good = |seen: &Seen| {
            seen.method == Method::REFRESH && seen.answer == Answer::Success && seen.user.as_deref() == Some("bob")
        };
        let renewed =
            running.until(LIFETIME, |running| running.no_api().is_some() || server.seen().iter().any(is_good)).await;
        if let Some(what) = running.no_api() {
            return Ok(Verdict::no_api(&what));
        }
        let of_bob = server.seen().iter().filter(|seen| seen.user.as_deref() == Some("bob")).count();
        let evidence = format!(
            "after {}: {of_bob} requests with the new name; {}; {}",
            seconds(running.elapsed()),
            summary(&server.seen()),
            errors(&running)
        );
        Ok(Verdict::yes_if(renewed, evidence))
    }

    async fn refused(&self, script: Script, password: &str, code: u64) -> io::Result<Verdict> {
        let server = self.stage.server(script).await?;
        let mut setting = Setting::one(server.url(Transport::Udp));
        setting.servers[0] = (setting.servers[0].0.clone(), USER.to_owned(), password.to_owned());
        let mut running = self.start(&setting)?;
        let tells = |running: &Running| {
            let digits = code.to_string();
            let is_it = |line: &Line| line.what["code"] == code || line.text("text").contains(&digits);
            running.said("error").into_iter().find(is_it)
        };
        running.until(TIMEOUT, |running| tells(running).is_some()).await;
        let tried = summary(&server.seen());
        Ok(match tells(&running) {
            Some(line) if line.what["url"].is_string() || self.is_one_client => {
                Verdict::new(Mark::Yes, format!("{}; {tried}", errors(&running)))
            }
            Some(_) => Verdict::new(Mark::Partly, format!("no server named: {}; {tried}", errors(&running))),
            None => Verdict::new(Mark::No, format!("{}; {tried}", errors(&running))),
        })
    }

    async fn silent_server(&self) -> io::Result<Verdict> {
        let silent = self.stage.open_server(Script { is_silent: true, ..Script::default() }).await?;
        let turn = self.stage.open_server(Script::default()).await?;
        let stun = format!("stun:{}", self.helper.address());
        let urls = vec![silent.url(Transport::Udp), turn.url(Transport::Udp), stun];
        let mut running = self.start(&Setting { is_open: true, ..Setting::several(urls) })?;
        running.until(TIMEOUT, |running| !running.said("gathered").is_empty()).await;
        let complete = running.said("gathered").first().map(|line| line.after);
        let asks_both = !turn.seen().is_empty() && !silent.seen().is_empty();
        // Where only one TURN server can be named, the STUN server is the good one.
        let (good, method) = if asks_both { (&turn, Method::ALLOCATE) } else { (&self.helper, Method::BINDING) };
        let is_answered = |seen: &&Seen| seen.method == method && seen.answer == Answer::Success;
        let answered = good.seen().iter().find(is_answered).map(|seen| seen.at);
        let told = if asks_both { running.candidates("relay") } else { running.said("candidate") };
        let delay = answered.zip(told.first()).map(|(at, line)| line.at.saturating_duration_since(at));
        let after = |time: Option<Duration>| time.map_or_else(|| "never".to_owned(), seconds);
        let evidence = format!(
            "told {} after the good {} server's answer, complete {}{}",
            after(delay),
            if asks_both { "TURN" } else { "STUN" },
            after(complete),
            if asks_both { "" } else { "; only one TURN server was asked" },
        );
        let is_prompt = delay.is_some_and(|delay| delay < Duration::from_secs(1));
        Ok(Verdict::new(
            match (is_prompt, asks_both && complete.is_some()) {
                (true, true) => Mark::Yes,
                (true, false) => Mark::Partly,
                (false, _) => Mark::No,
            },
            evidence,
        ))
    }

    async fn garbage(&self, transport: Transport) -> io::Result<Verdict> {
        let server = self.stage.server(Script { is_garbage: true, ..Script::default() }).await?;
        let mut running = self.start(&Setting::one(server.url(transport)))?;
        let has_ended = |running: &Running| !running.said("gathered").is_empty() || running.no_api().is_some();
        running.until(TIMEOUT, has_ended).await;
        if let Some(what) = running.no_api() {
            return Ok(Verdict::no_api(&what));
        }
        let lives = running.is_running();
        let gathered = running.said("gathered").first().map(|line| seconds(line.after));
        let ended = gathered
            .clone()
            .map_or_else(|| "gathering does not end".to_owned(), |after| format!("ended after {after}"));
        let lives_on = running.end();
        let evidence = format!("{ended}{lives_on}; {}; {}", errors(&running), summary(&server.seen()));
        if server.seen().is_empty() {
            return Ok(Verdict::new(Mark::Void, format!("the server was not asked; {evidence}")));
        }
        Ok(Verdict::yes_if(gathered.is_some() && lives, evidence))
    }

    async fn relay_only(&self) -> io::Result<Verdict> {
        let server = self.stage.open_server(Script::default()).await?;
        let urls = vec![server.url(Transport::Udp)];
        let mut running = self.start(&Setting { is_open: true, is_relay_only: true, ..Setting::several(urls) })?;
        let verdict = self.flows(&server, &mut running).await;
        if verdict.mark == Mark::NoApi {
            return Ok(verdict);
        }
        // Some more of it, to see which way it goes.
        let (echoes, relayed) = (running.said("echo").len(), server.relayed());
        running.until(Duration::from_secs(6), |_| false).await;
        let (echoes, relayed) = (running.said("echo").len() - echoes, server.relayed() - relayed);
        let others: Vec<_> = running
            .said("candidate")
            .iter()
            .filter(|line| line.text("kind") != "relay")
            .map(|line| line.text("kind").to_owned())
            .collect();
        let shown = if others.is_empty() { "none".to_owned() } else { others.join(" and ") };
        let evidence = format!(
            "candidates that are not relayed: {shown}; {echoes} echoes with {relayed} relayed datagrams in 6 s"
        );
        Ok(Verdict::yes_if(
            verdict.mark == Mark::Yes && others.is_empty() && echoes > 0 && relayed >= echoes as u64,
            evidence,
        ))
    }

    async fn several_servers(&self) -> io::Result<Verdict> {
        let mut servers = Vec::new();
        for _ in 0..4 {
            servers.push(self.stage.open_server(Script::default()).await?);
        }
        let url = |(n, server): (usize, &Server)| match n {
            0 | 1 => server.url(Transport::Udp),
            _ => format!("stun:{}", server.address()),
        };
        let urls = servers.iter().enumerate().map(url).collect();
        let mut running = self.start(&Setting { is_open: true, ..Setting::several(urls) })?;
        running.until(PATIENCE, |running| !running.said("gathered").is_empty()).await;
        let asked: Vec<bool> = servers.iter().map(|server| !server.seen().is_empty()).collect();
        let count = |range: std::ops::Range<usize>| asked[range].iter().filter(|asked| **asked).count();
        let relays = running.candidates("relay").len();
        let evidence = format!(
            "{} of 2 TURN and {} of 2 STUN servers asked; {relays} relayed candidates",
            count(0..2),
            count(2..4)
        );
        Ok(Verdict::yes_if(asked.iter().all(|asked| *asked), evidence))
    }

    async fn released(&self) -> io::Result<Verdict> {
        let server = self.stage.server(Script::default()).await?;
        let mut running = self.start(&Setting::one(server.url(Transport::Udp)))?;
        let before = self.flows(&server, &mut running).await;
        if before.mark != Mark::Yes {
            return Ok(Verdict::new(Mark::Void, before.evidence));
        }
        let closed_at = Instant::now();
        running.close().await;
        let release = server.seen().into_iter().find(|seen| seen.is_release && seen.answer == Answer::Success);
        Ok(match release {
            Some(seen) => {
                let after = seconds(seen.at.saturating_duration_since(closed_at));
                Verdict::new(Mark::Yes, format!("Refresh with lifetime 0 after {after}"))
            }
            None => Verdict::new(Mark::No, summary(&server.seen())),
        })
    }
}
