//! What descriptions tell of pacing and of nominating again.

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Offers from a side that paces at `a` to one that paces at `b`, and gives both texts and what each agent is told.
fn settle(a: Duration, b: Duration, change: impl Fn(&str) -> String) -> ([Description; 2], [IceStart; 2]) {
    let mut sides = [Side::paced("a", a), Side::paced("b", b)];
    let [offerer, answerer] = &mut sides;
    offerer.negotiation.want_data();
    let offer = offerer.offer();
    let _ = answerer.set_remote(&Description { sdp: change(&offer.sdp), ..offer.clone() });
    let (answer, at_answerer) = answerer.answer();
    let at_offerer = offerer.set_remote(&answer);
    ([offer, answer], [at_offerer.ice.unwrap(), at_answerer.ice.unwrap()])
}

#[test]
fn each_side_tells_its_pace_unless_it_is_the_one_that_everyone_assumes() {
    for (a, b) in [(20, 50), (50, 5), (100, 200), (50, 50)] {
        let ([offer, answer], [at_offerer, at_answerer]) = settle(MS(a), MS(b), str::to_owned);
        for (description, own) in [(&offer, a), (&answer, b)] {
            let line = description.sdp.lines().find(|line| line.starts_with("a=ice-pacing:"));
            assert_eq!(line.map(str::to_owned), (own != 50).then(|| format!("a=ice-pacing:{own}")));
            let parsed = parse(description);
            assert!(parsed.media()[0].attributes().iter().all(|a| !a.to_string().starts_with("ice-pacing")));
        }
        assert_eq!((at_offerer.remote_pacing, at_answerer.remote_pacing), (MS(b), MS(a)));
    }
}

#[test]
fn a_pace_between_milliseconds_is_told_as_the_slower_one() {
    let ([offer, _], _) = settle(Duration::from_micros(5_001), MS(50), str::to_owned);
    assert!(offer.sdp.contains("a=ice-pacing:6\r\n"));
    let ([offer, _], _) = settle(Duration::MAX, MS(50), str::to_owned);
    assert!(offer.sdp.contains("a=ice-pacing:9999999999\r\n"));
}

#[test]
fn a_lite_side_tells_no_pace() {
    let mut side = Side::with("a", MS(20), true);
    side.negotiation.want_data();
    assert!(!side.offer().sdp.contains("ice-pacing"));
}

#[test]
fn a_pace_that_is_none_is_refused() {
    let (mut a, b) = pair();
    let offer = a.create(Offer).unwrap();
    for bad in ["", "-5", "5.5", "fast", "12345678901"] {
        let sdp = offer.sdp.replace("a=group", &format!("a=ice-pacing:{bad}\r\na=group"));
        let error = refused(&b, |negotiation| negotiation.set_remote(&description(Offer, &sdp)));
        assert!(error.to_string().contains("ice-pacing"), "{error}");
    }
    let twice = offer.sdp.replace("a=group", "a=ice-pacing:5\r\na=ice-pacing:6\r\na=group");
    refused(&b, |negotiation| negotiation.set_remote(&description(Offer, &twice)));
}

#[test]
fn nominating_again_needs_both_sides() {
    let ([offer, answer], [at_offerer, at_answerer]) = settle(MS(50), MS(50), str::to_owned);
    for description in [&offer, &answer] {
        assert!(description.sdp.contains("a=ice-options:trickle ice2 renomination\r\n"));
    }
    assert!(at_offerer.renomination && at_answerer.renomination);

    let without = |sdp: &str| sdp.replace(" renomination", "");
    let ([_, answer], [at_offerer, at_answerer]) = settle(MS(50), MS(50), without);
    assert!(answer.sdp.contains("a=ice-options:trickle ice2\r\n"));
    assert!(!at_offerer.renomination && !at_answerer.renomination);
}
