//! The discovery of NAT behaviour: what is found is what was built, or it is not known and the reason is right.

mod built;
#[cfg(target_os = "linux")]
mod coturn;
mod liar;
#[cfg(target_os = "linux")]
mod machine;
mod servers;
mod site;
