//! The TURN client against another implementation's server, in the virtual internet.

mod coturn;
mod hostile;
mod relay;
mod site;
mod troubles;
