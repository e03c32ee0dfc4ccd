//! The agent in every cell of the matrix, and in networks that nobody has a name for.

mod draw;

use frazil_conformance::gathering::Whole;
use frazil_conformance::matrix::oracle::foresee;
use frazil_conformance::matrix::{Cell, Outcome};
use frazil_conformance::seeds;

/// The agent reaches the best path that there is in every cell, and fails in good time and with the right reason where
/// there is none.
#[test]
fn every_cell_comes_out_as_foreseen() {
    for seed in 0..3 {
        let wrong: Vec<String> = Cell::all()
            .filter_map(|cell| {
                let outcome = cell.run::<Whole>(seed);
                Some(format!("{cell}: {}", outcome.differs_from(&cell.foresee())?))
            })
            .collect();
        assert!(wrong.is_empty(), "with seed {seed} {} cells differ:\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// The same for NATs of any behaviour, behind one another and shared, so that oracle, internet and agent are held
/// against each other where nobody has thought about what must come of it.
#[test]
fn random_networks_come_out_as_foreseen() {
    seeds::check("matrix", "random_networks_come_out_as_foreseen", 1_000, |seed| {
        let topology = draw::topology(seed);
        let verdict = foresee(&topology);
        if seeds::is_replay() {
            eprintln!("{topology:#?}\n{verdict:?}");
        }
        let outcome = Outcome::of::<Whole>(&topology, seed);
        if let Some(how) = outcome.differs_from(&verdict) {
            panic!("{how}");
        }
    });
}
