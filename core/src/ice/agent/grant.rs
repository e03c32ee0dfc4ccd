//! Checks that wait for a grant, where many agents share one pace.

use super::Agent;
use crate::ice::Pace;
use crate::time::Instant;

impl Agent {
    /// From when on the agent may send a check, or ask a server, by its own Ta, which may be past; none if it has none to send or keeps
    /// [its own pace](Pace::Own). Any other call may change it.
    #[must_use]
    pub fn wants_check(&self) -> Option<Instant> {
        let granted = self.config.pace == Pace::Granted && !self.is_over();
        self.turn_due().filter(|_| granted).map(|at| self.line.to_callers(at))
    }

    /// Grants one check or question to a server, which is sent at once. Gives whether there was one to send; its own Ta holds even so.
    pub fn grant_check(&mut self, now: Instant) -> bool {
        let now = self.line.advance(now);
        let sent = self.config.pace == Pace::Granted && !self.is_over() && self.take_turn(now);
        self.settle(now);
        sent
    }
}
