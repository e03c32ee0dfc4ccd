//! What links do to packets.

use super::*;

/// Two hosts in public, the first behind an access with these conditions upwards.
fn pair(up: Conditions) -> (World, [(HostId, SocketAddr); 2]) {
    let mut world = World::new();
    let public = world.internet.public();
    let access = [Access { up, down: Conditions::default() }, Access::default()];
    let ends = [("198.51.100.1", access[0]), ("198.51.100.2", access[1])].map(|(address, access)| {
        let host = world.internet.add_host(Instant::ZERO, |_| Probe::default());
        world.internet.attach(host, public, &[ip(address)], access);
        world.internet.bind(host, at(ip(address), 1000));
        (host, at(ip(address), 1000))
    });
    (world, ends)
}

/// Sends datagrams of `sizes` at once and gives when each arrived, in milliseconds, and what it was.
fn burst(up: Conditions, sizes: &[usize]) -> (Vec<(u64, usize)>, Drops) {
    let (mut world, [(host, from), (_, to)]) = pair(up);
    sizes.iter().for_each(|size| world.send(host, from, to, &vec![0; *size]));
    world.pass(seconds(100));
    let arrived = world.heard.iter().map(|(at, _, heard)| match heard {
        Heard::Datagram(_, datagram) => ((*at - Instant::ZERO).as_millis() as u64, datagram.len()),
        other => panic!("{other:?}"),
    });
    (arrived.collect(), *world.internet.drops())
}

#[test]
fn a_rate_makes_packets_wait_and_a_full_queue_drops_them() {
    // 972 bytes and 28 of headers are 8,000 bits: 10 ms each.
    let up = Conditions { rate: Some(800_000), queue: 3_000, delay: millis(5), ..Conditions::default() };
    let (arrived, drops) = burst(up, &[972; 6]);
    assert_eq!(arrived.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [15, 25, 35]);
    assert_eq!(drops.of(Dropped::QueueFull), 3);
}

#[test]
fn a_rate_is_kept_over_time() {
    let up = Conditions { rate: Some(1_000_000), queue: 1 << 20, ..Conditions::default() };
    let (arrived, _) = burst(up, &[97; 1000]);
    // 1000 times 125 bytes.
    assert_eq!((arrived.len(), arrived[999].0), (1000, 1000));
}

#[test]
fn what_is_larger_than_the_mtu_is_dropped() {
    let up = Conditions { mtu: Some(1280), ..Conditions::default() };
    let (arrived, drops) = burst(up, &[1252, 1253]);
    assert_eq!((arrived, drops.of(Dropped::TooBig)), (vec![(0, 1252)], 1));
}

#[test]
fn reordered_packets_are_overtaken() {
    let reorder = Reorder { chance: PerMille(200), extra_delay: millis(50) };
    let up = Conditions { delay: millis(10), reorder, ..Conditions::default() };
    let (arrived, _) = burst(up, &(0..1000).collect::<Vec<_>>());
    let late = arrived.iter().filter(|(at, _)| *at == 60).count();
    assert_eq!(arrived.iter().filter(|(at, _)| *at == 10).count() + late, 1000);
    assert!((140..=260).contains(&late), "{late} of 1000 at 20 %");
}

#[test]
fn loss_and_copies_are_counted_by_the_link_that_makes_them() {
    let up = Conditions { loss: PerMille(100), duplication: PerMille(100), ..Conditions::default() };
    let (arrived, drops) = burst(up, &[1; 2000]);
    let lost = drops.of(Dropped::Loss) as usize;
    assert!((140..=260).contains(&lost), "{lost} of 2000 at 10 %");
    let copies = arrived.len() + lost - 2000;
    assert!((120..=240).contains(&copies), "{copies} of {} at 10 %", 2000 - lost);
    assert_eq!(drops.total(), drops.of(Dropped::Loss));
}

#[test]
fn delays_of_all_accesses_and_routers_on_the_way_add_up() {
    let mut world = World::new();
    let (_, server) = world.public("198.51.100.1");
    let (_, outer) = world.router(world.internet.public(), &["203.0.113.1"], RouterConfig::full_cone());
    let (_, inner) = world.router(outer, &["10.0.0.1"], RouterConfig::full_cone());
    let (host, address) = world.host(inner, "192.168.0.2");
    world.internet.bind(host, at(address, 5000));
    world.send(host, at(address, 5000), at(server, 1000), b"");
    world.pass(seconds(1));
    // The host's access, two routers', the server's.
    assert_eq!(world.heard[0].0, Instant::ZERO + millis(40));
}

#[test]
fn conditions_can_change() {
    let (mut world, [(host, from), (_, to)]) = pair(Conditions::delay(millis(10)));
    let link = LinkId(0);
    let worse = Conditions::delay(millis(300));
    world.internet.after(millis(100), Scheduled::LinkChanges(link, worse, worse));
    world.send(host, from, to, b"");
    world.pass(millis(100));
    world.send(host, from, to, b"");
    world.pass(seconds(1));
    let times: Vec<Instant> = world.heard.iter().map(|(at, ..)| *at).collect();
    assert_eq!(times, [10, 400].map(Instant::from_millis));
}
