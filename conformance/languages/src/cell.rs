//! One cell: two programs in a room of their own.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::part::Part;
use crate::program::{End, Ended, Running};

/// How long a program may take. By the contract it gives up sooner; what is left is for its start on a slow machine.
const LIMIT: Duration = Duration::from_secs(240);
/// How long it may go on when the other one has failed.
const GRACE: Duration = Duration::from_secs(3);

/// Runs offerer and answerer until both have ended.
pub(crate) async fn run(commands: [&[String]; 2], signaling: &str, room: &str, bytes: u64) -> [Ended; 2] {
    let bytes = bytes.to_string();
    let started = [0, 1].map(|side: usize| {
        let part = Part::BOTH[side].to_string();
        let arguments = ["--signaling", signaling, "--room", room, "--part", &part, "--bytes", &bytes];
        Running::start(commands[side], &arguments)
    });
    let [mut offerer, mut answerer] = match started {
        [Ok(offerer), Ok(answerer)] => [offerer, answerer],
        [offerer, answerer] => return [abandon(offerer).await, abandon(answerer).await],
    };

    let mut limit = Instant::now() + LIMIT;
    let mut overdue = End::TooLong(LIMIT.as_secs());
    let mut ends = [None, None];
    while ends.contains(&None) {
        let end = tokio::select! {
            end = offerer.wait(), if ends[0].is_none() => ends[0].insert(end),
            end = answerer.wait(), if ends[1].is_none() => ends[1].insert(end),
            () = sleep_until(limit) => break,
        };
        if *end != End::Code(0) {
            (limit, overdue) = (Instant::now() + GRACE, End::Abandoned);
        }
    }
    let [first, second] = ends.map(|end| end.unwrap_or_else(|| overdue.clone()));
    let (offerer, answerer) = tokio::join!(offerer.finish(first), answerer.finish(second));
    [offerer, answerer]
}

async fn abandon(started: Result<Running, Ended>) -> Ended {
    match started {
        Ok(running) => running.finish(End::Abandoned).await,
        Err(ended) => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Wanted, judge};

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn who_waits_for_one_that_has_failed_is_not_waited_for() {
        let (hangs, fails) = (shell("sleep 600"), shell("echo oh no >&2; exit 9"));
        let started = Instant::now();
        let [offerer, answerer] = run([&hangs, &fails], "ws://127.0.0.1:9/ws", "r", 1).await;
        assert!(started.elapsed() < LIMIT);
        assert_eq!((&offerer.end, &answerer.end), (&End::Abandoned, &End::Code(9)));
        assert_eq!(answerer.log, "oh no\n");
        let wanted = Wanted { languages: ["sh", "sh"], bytes: 1 };
        let faults = judge(wanted, [&offerer, &answerer]).unwrap_err();
        assert_eq!(faults[0].to_string(), "the answerer: it ended with exit code 9");
    }

    #[tokio::test]
    async fn who_does_not_start_ends_the_cell() {
        let [_, answerer] = run([&shell("sleep 600"), &["/no/such/program".to_owned()]], "ws://x/ws", "r", 1).await;
        assert!(matches!(answerer.end, End::NotStarted(_)));
    }

    #[tokio::test]
    async fn each_is_told_what_the_contract_names() {
        let tells = shell("echo \"$*\"");
        // The word behind the script is the script's own name.
        let tells: Vec<String> = tells.into_iter().chain(["sh".to_owned()]).collect();
        let [offerer, answerer] = run([&tells, &tells], "ws://x/ws", "pond", 5).await;
        assert_eq!(offerer.output, "--signaling ws://x/ws --room pond --part offerer --bytes 5\n");
        assert_eq!(answerer.output, offerer.output.replace("offerer", "answerer"));
    }
}
