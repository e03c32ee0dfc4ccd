//! The discovery of NAT behaviour: what is found is what was built, or it is not known and the reason is right.

#[cfg(target_os = "linux")]
#[path = "../turn/coturn/answers.rs"]
mod answers;
mod built;
#[cfg(target_os = "linux")]
mod coturn;
mod liar;
#[cfg(target_os = "linux")]
mod machine;
mod servers;
mod site;
