//! Whether two machines in these networks must find a path.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use frazil_conformance::matrix::oracle::foresee;
use frazil_conformance::matrix::{Kind, Networks, Servers, Topology, Verdict};

use crate::scenario::Scenario;
use crate::stage;

/// Whether some network of one side reaches some network of the other without a relay, where everything works.
pub(crate) fn must_connect(scenario: &Scenario) -> bool {
    if scenario.together {
        return true;
    }
    let kinds = |side: usize| (0..scenario.networks(side).len()).map(move |nth| stage::kind(scenario, side, nth));
    let stun = scenario.servers != Servers::None;
    kinds(0).any(|a| kinds(1).any(|b| reach_each_other(a, b, stun)))
}

fn reach_each_other(a: Kind, b: Kind, stun: bool) -> bool {
    static KNOWN: Mutex<BTreeMap<(Kind, Kind, bool), bool>> = Mutex::new(BTreeMap::new());
    // What can be foretold of ports is over once a NAT has forgotten its mappings.
    let plain = |kind| if kind == Kind::SymmetricSequential { Kind::Symmetric } else { kind };
    let key = (plain(a), plain(b), stun);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&known) = known().get(&key) {
        return known;
    }
    let servers = if stun { Servers::Stun } else { Servers::None };
    let connects = matches!(foresee(&Topology::new(Networks::Apart(key.0, key.1), servers)), Verdict::Connects(_));
    known().insert(key, connects);
    connects
}
