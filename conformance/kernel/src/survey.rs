//! Each kind of network measured, so that the table's words are true.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;

use frazil_conformance::matrix;
use frazil_internet::Hairpinning;

use crate::drawing::{Behaviour, KINDS, Networks};
use crate::error::LabError;
use crate::lab::Lab;
use crate::probe::{Meeting, behaviour, meeting};

/// What was measured, by the name of the network.
pub(crate) struct Survey {
    behaviours: BTreeMap<&'static str, Behaviour>,
    /// Lines for people.
    pub(crate) lines: Vec<String>,
    /// What is not as it was drawn.
    pub(crate) wrong: Vec<String>,
    /// How many were measured.
    pub(crate) measured: usize,
}

impl Survey {
    /// Measures all kinds at once. `number` gives each a place on the public internet.
    pub(crate) fn run(lab: &Lab, mut number: impl FnMut() -> u8) -> Result<Self, LabError> {
        let alone = KINDS.map(|kind| Networks::Known(matrix::Networks::Apart(kind, kind)));
        let networks: Vec<Networks> = alone.into_iter().chain(Networks::together()).collect();
        let measured: Vec<_> = thread::scope(|scope| {
            let measure = |networks: Networks| {
                let number = number();
                scope.spawn(move || measure(lab, networks, number))
            };
            let running: Vec<_> = networks.iter().copied().map(measure).collect();
            running.into_iter().map(|thread| thread.join().expect("measuring does not panic")).collect()
        });
        let mut survey = Self { behaviours: BTreeMap::new(), lines: Vec::new(), wrong: Vec::new(), measured: 0 };
        for (networks, measured) in networks.into_iter().zip(measured) {
            survey.note(networks, measured?);
        }
        Ok(survey)
    }

    /// How this network was measured to map and filter.
    pub(crate) fn behaviour(&self, name: &str) -> String {
        self.behaviours.get(name).map_or_else(String::new, Behaviour::to_string)
    }

    fn note(&mut self, networks: Networks, measured: Measured) {
        let [name, _] = networks.names();
        let drawing = networks.drawing(matrix::Servers::Stun);
        let drawn = Measured {
            behaviour: drawing.behaviour(0),
            meeting: measured.meeting.map(|_| Meeting {
                inside: drawing.topology.machines[0].realm == drawing.topology.machines[1].realm && !drawing.isolated,
                // A NAT that shows the inside source does not get past what the other home has asked for.
                outside: drawing.hairpinning() == Hairpinning::ExternalSource,
            }),
        };
        self.measured += 1;
        self.behaviours.insert(name, measured.behaviour);
        self.lines.push(format!("{name:<18}{measured}"));
        if drawn != measured {
            self.wrong.push(format!("{name}: drawn as {drawn}, measured as {measured}"));
        }
    }
}

/// What a network does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Measured {
    behaviour: Behaviour,
    /// Of two machines that share it.
    meeting: Option<Meeting>,
}

fn measure(lab: &Lab, networks: Networks, number: u8) -> Result<Measured, LabError> {
    let site = lab.lay(&networks.drawing(matrix::Servers::Stun), number)?;
    let meeting = if networks.is_shared() { Some(meeting(&site)?) } else { None };
    Ok(Measured { behaviour: behaviour(lab, &site.machines[0])?, meeting })
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { behaviour, meeting } = self;
        behaviour.fmt(f)?;
        let Some(Meeting { inside, outside }) = meeting else { return Ok(()) };
        f.write_str(match (inside, outside) {
            (true, true) => ", the two meet inside and outside",
            (true, false) => ", the two meet inside",
            (false, true) => ", the two meet outside",
            (false, false) => ", the two do not meet",
        })
    }
}
