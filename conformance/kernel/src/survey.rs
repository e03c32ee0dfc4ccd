//! Each kind of network measured, so that the table's words are true.

use std::collections::BTreeMap;

use frazil_conformance::matrix;
use frazil_internet::Hairpinning;

use crate::drawing::{Behaviour, KINDS, Networks, name_of};
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
    /// Measures all kinds. `numbers` gives each a place on the public internet.
    pub(crate) fn run(lab: &Lab, mut number: impl FnMut() -> u8) -> Result<Self, LabError> {
        let mut survey = Self { behaviours: BTreeMap::new(), lines: Vec::new(), wrong: Vec::new(), measured: 0 };
        for kind in KINDS {
            let networks = Networks::Known(matrix::Networks::Apart(kind, kind));
            let drawing = networks.drawing(matrix::Servers::Stun);
            let site = lab.lay(&drawing, number())?;
            let (drawn, measured) = (drawing.behaviour(0), behaviour(lab, &site.machines[0])?);
            survey.behaviours.insert(name_of(kind), measured);
            survey.note(name_of(kind), &drawn.to_string(), &measured.to_string());
        }
        for networks in Networks::together() {
            let drawing = networks.drawing(matrix::Servers::Stun);
            let site = lab.lay(&drawing, number())?;
            let [name, _] = networks.names();
            let (drawn, measured) = (drawing.behaviour(0), behaviour(lab, &site.machines[0])?);
            survey.behaviours.insert(name, measured);
            let words = |behaviour: Behaviour, meeting: Meeting| {
                let meet = match (meeting.inside, meeting.outside) {
                    (true, true) => "meet inside and outside",
                    (true, false) => "meet inside",
                    (false, true) => "meet outside",
                    (false, false) => "do not meet",
                };
                format!("{behaviour}, the two {meet}")
            };
            let in_one_realm = drawing.topology.machines[0].realm == drawing.topology.machines[1].realm;
            let expected = Meeting {
                inside: in_one_realm && !drawing.isolated,
                // A NAT that shows the inside source does not get past what the other home has asked for.
                outside: drawing.hairpinning() == Hairpinning::ExternalSource,
            };
            survey.note(name, &words(drawn, expected), &words(measured, meeting(&site)?));
        }
        Ok(survey)
    }

    /// How this network was measured to map and filter.
    pub(crate) fn behaviour(&self, name: &str) -> String {
        self.behaviours.get(name).map_or_else(String::new, Behaviour::to_string)
    }

    fn note(&mut self, name: &str, drawn: &str, measured: &str) {
        self.measured += 1;
        self.lines.push(format!("{name:<18}{measured}"));
        if drawn != measured {
            self.wrong.push(format!("{name}: drawn as {drawn}, measured as {measured}"));
        }
    }
}
