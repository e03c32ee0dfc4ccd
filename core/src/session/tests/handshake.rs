//! From two descriptions to an open channel.

use super::world::*;

#[test]
fn connects_and_speaks() {
    let (mut world, ours, theirs) = World::connected(1, Link::GOOD);
    let took = world.now - crate::Instant::from_millis(1_000);
    println!("open after {took:?}, {:?} datagrams", world.sent);
    world.send(A, ours, "hello");
    world.send(B, theirs, "hello yourself");
    world.run_for(SECOND);
    assert_eq!(world.texts(B, theirs), ["hello"]);
    assert_eq!(world.texts(A, ours), ["hello yourself"]);
}
