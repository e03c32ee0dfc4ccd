//! `turn-peers`: which TURN client and ICE agent handles which of the hard cases, each shown by a run.
//!
//! `turn-peers --python FILE --node FILE --node-modules FOLDER --chromium FILE --folder FOLDER [--only WORD] [--with WORD]
//! [--page FILE]`

mod cases;
mod contestants;
mod coturn;
mod place;
mod plays;
mod running;
mod server;
mod stage;
mod table;
mod verdict;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use cases::{CASES, Case};
use contestants::{CONTESTANTS, Contestant, Installed};
use stage::Stage;
use table::Row;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio::time::sleep;
use verdict::{Mark, Verdict};

/// How many short cells are played at once.
const AT_ONCE: usize = 6;
/// Between the beginnings of the long ones: a program takes its time to start.
const STAGGER: Duration = Duration::from_millis(1500);

fn main() -> ExitCode {
    match place::enter() {
        Ok(Some(status)) => return ExitCode::from(status.code().unwrap_or(1) as u8),
        Ok(None) => {}
        Err(error) => {
            eprintln!("turn-peers: no network namespace: {error}");
            return ExitCode::FAILURE;
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(LocalSet::new().run_until(play())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turn-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Result<(), Box<dyn std::error::Error>> {
    let options = options()?;
    let option = |name: &str| options.get(name).cloned();
    let needed = |name: &str| option(name).ok_or_else(|| format!("--{name} is missing"));
    let installed = Installed {
        python: needed("python")?,
        node: needed("node")?,
        node_modules: needed("node-modules")?,
        chromium: needed("chromium")?,
    };
    let stage = Rc::new(Stage::new(installed, needed("folder")?.into()).await?);
    let has = |text: &str, word: &Option<String>| word.as_ref().is_none_or(|word| text.contains(word.as_str()));
    let (only, with) = (option("only"), option("with"));
    let cases: Vec<Case> = CASES.into_iter().filter(|case| has(case.name(), &only)).collect();
    let contestants: Vec<&'static Contestant> =
        CONTESTANTS.iter().filter(|contestant| has(contestant.name, &with)).collect();

    let versions: Vec<String> = contestants.iter().map(|contestant| contestant.version(stage.installed())).collect();
    let slots = Rc::new(Semaphore::new(AT_ONCE));
    // The long ones begin first, and wait side by side for the lifetime of an allocation to pass.
    let mut order: Vec<Case> = cases.clone();
    order.sort_by_key(|case| !case.is_long());
    let mut plays = Vec::new();
    let mut begins_after = Duration::ZERO;
    for case in order {
        for contestant in contestants.iter().copied() {
            let (stage, slots) = (stage.clone(), slots.clone());
            let delay = begins_after;
            if case.is_long() {
                begins_after += STAGGER;
            }
            let play = tokio::task::spawn_local(async move {
                sleep(delay).await;
                let verdict = twice(&stage, case, contestant, &slots).await;
                eprintln!("{}: {}: {}. {}", case.name(), contestant.name, verdict.mark.word(), verdict.evidence);
                verdict
            });
            plays.push((case, play));
        }
    }
    let mut rows: Vec<Row> = cases.iter().map(|case| Row { case: *case, cells: Vec::new() }).collect();
    for (case, play) in plays {
        let verdict = play.await?;
        if let Some(row) = rows.iter_mut().find(|row| row.case == case) {
            row.cells.push(verdict);
        }
    }
    let page = table::page(&contestants, &versions, &rows);
    match option("page") {
        Some(file) => std::fs::write(file, page)?,
        None => print!("{page}"),
    }
    Ok(())
}

/// Plays a cell; a "no" is played twice, the long ones at the same time.
async fn twice(stage: &Stage, case: Case, contestant: &Contestant, slots: &Semaphore) -> Verdict {
    let once =
        async || case.play(stage, contestant).await.unwrap_or_else(|error| Verdict::new(Mark::No, error.to_string()));
    let (first, second) = if case.is_long() {
        let (first, second) = tokio::join!(once(), once());
        (first, Some(second))
    } else {
        let _slot = slots.acquire().await.expect("nobody closes it");
        let first = once().await;
        let second = if first.mark == Mark::No { Some(once().await) } else { None };
        (first, second)
    };
    match second {
        Some(second) if second.mark != first.mark => {
            let evidence = format!(
                "once {}: {}; once {}: {}",
                first.mark.word(),
                first.evidence,
                second.mark.word(),
                second.evidence
            );
            Verdict::new(Mark::Partly, evidence)
        }
        _ => first,
    }
}

fn options() -> Result<BTreeMap<String, String>, String> {
    let mut options = BTreeMap::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").ok_or_else(|| format!("what is `{word}`?"))?;
        let value = words.next().ok_or_else(|| format!("{word} wants something after it"))?;
        options.insert(name.to_owned(), value);
    }
    Ok(options)
}
