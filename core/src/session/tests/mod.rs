//! Two sessions joined by a link in virtual time. `str0m` is tested as the foreign part that it is: each
//! hazard that the rest of the module stands against has a test here.

mod channels;
mod ending;
mod handshake;
mod traffic;
mod world;
