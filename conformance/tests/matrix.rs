//! The whole matrix, in virtual time.

use frazil_conformance::contestant::Frazil;
use frazil_conformance::gathering::Gatherer;
use frazil_conformance::matrix::Cell;

/// The agent reaches the best path that there is in every cell, and fails in good time and with the right reason where
/// there is none.
#[test]
fn every_cell_comes_out_as_foreseen() {
    let wrong: Vec<String> = Cell::all()
        .filter_map(|cell| {
            let outcome = cell.run::<Gatherer<Frazil>>(1);
            Some(format!("{cell}: {}", outcome.differs_from(&cell.foresee())?))
        })
        .collect();
    assert!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}
