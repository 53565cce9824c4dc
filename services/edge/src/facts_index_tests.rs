use kit_link::Durable;

use super::*;

fn unit(name: &str) -> UnitId {
    name.parse().unwrap()
}

fn seen(name: &str, seq: u64, offset: i64) -> Seen {
    let id = Uuid::from_u128(u128::from(seq));
    Seen { unit: unit(name), seq: UnitSeq::new(1, seq), id, offset }
}

fn on(seq: u64, offset: i64) -> OnLog {
    let durable = Durable { seq: UnitSeq::new(1, seq), id: Uuid::from_u128(u128::from(seq)) };
    OnLog { durable, offset }
}

#[test]
fn one_pass_learns_every_unit_and_keeps_the_readers_rule_of_holes() {
    let mut pass = Pass::begin(0);
    for (name, seq, offset) in [("a-1", 1, 0), ("b-1", 1, 1), ("a-1", 2, 2), ("b-1", 3, 3)] {
        pass.saw(seen(name, seq, offset), |_| None, 0);
    }
    assert_eq!(pass.of(&unit("a-1")), Some(on(2, 2)));
    assert_eq!(pass.of(&unit("b-1")), Some(on(1, 1)), "3 stands above a hole");
    assert_eq!(pass.of(&unit("c-1")), None);
    assert!(pass.covers(&unit("c-1"), 0));
    pass.saw(seen("b-1", 2, 4), |_| None, 0);
    assert_eq!(pass.of(&unit("b-1")), Some(on(3, 4)));
}

#[test]
fn a_pass_that_began_late_knows_only_units_that_were_sighted_where_it_began_or_later() {
    let mut pass = Pass::begin(100);
    let sighted = |of: &UnitId| match of.as_str() {
        "early-1" => Some(on(7, 40)),
        "there-1" => Some(on(7, 99)),
        "later-1" => Some(on(9, 120)),
        _ => None,
    };
    for name in ["early-1", "there-1", "later-1", "never-1"] {
        pass.saw(seen(name, 8, 110), sighted, 0);
    }
    assert!(!pass.covers(&unit("early-1"), 100), "what lies between 41 and 99 was not seen");
    assert!(!pass.covers(&unit("never-1"), 100));
    assert_eq!(pass.of(&unit("there-1")), Some(on(8, 110)));
    assert_eq!(pass.of(&unit("later-1")), Some(on(9, 120)), "its fact is below what is known");
    pass.saw(seen("later-1", 9, 120), |_| None, 0);
    assert_eq!(pass.of(&unit("later-1")), Some(on(9, 120)), "nor is it forgotten there");
    assert!(pass.covers(&unit("later-1"), 121));
    assert!(!pass.covers(&unit("there-1"), 99), "the pass began after that");
    pass.saw(seen("later-1", 10, 130), sighted, 0);
    assert_eq!(pass.of(&unit("later-1")), Some(on(10, 130)));
}
