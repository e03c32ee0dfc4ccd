//! The discovery of NAT behaviour: what is found is what was built, or it is not known and the reason is right.

mod built;
mod liar;
mod servers;
mod site;
