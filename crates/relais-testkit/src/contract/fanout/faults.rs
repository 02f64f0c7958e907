//! Delivery on a bad day: the bus between the nodes loses, repeats and shuffles.

use std::sync::Arc;

use relais_core::event::Record;

use super::{FILLED_WITHIN, FanoutHarness, Stage};

/// A bus that delivers at least once.
pub async fn records_that_come_twice_are_given_once(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a"]).await;
    let records = stage.commit(&["a"; 4]).await;
    stage.publish(&records[..2]);
    stage.publish(&records[..2]);
    stage.publish(&records[1..]);
    stage.publish(&records);
    assert_eq!(stage.settled("s").await, [1, 2, 3, 4]);
}

/// A hub applies position p + 1 only: what comes behind a hole waits for the log.
pub async fn a_lost_record_is_read_from_the_log_before_the_next_is_given(
    harness: &dyn FanoutHarness,
) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a"]).await;
    let records = stage.commit(&["a", "b", "a", "a"]).await;
    stage.publish(&records[..1]);
    stage.publish(&records[3..]);
    assert_eq!(stage.settled("s").await, [1, 3, 4]);
    let next = stage.commit(&["a"]).await;
    stage.publish(&next);
    assert_eq!(stage.settled("s").await, [1, 3, 4, 5]);
}

/// Nothing comes behind it that would show the hole; the hub compares itself with the head of the log.
pub async fn a_lost_record_with_nothing_behind_it_is_found_in_time(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a"]).await;
    let records = stage.commit(&["a", "a"]).await;
    stage.publish(&records[..1]);
    assert_eq!(stage.settled("s").await, [1, 2]);
}

/// Two paths of different length.
pub async fn records_that_come_in_the_wrong_order_are_given_in_the_right_one(
    harness: &dyn FanoutHarness,
) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a"]).await;
    let records = stage.commit(&["a"; 6]).await;
    for index in [2, 0, 5, 1, 4, 3] {
        stage.publish(&records[index..=index]);
    }
    assert_eq!(stage.settled("s").await, [1, 2, 3, 4, 5, 6]);
}

/// A message that was held up comes when the log has long filled its hole.
pub async fn records_that_come_late_are_not_given_again(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a"]).await;
    let records = stage.commit(&["a"; 3]).await;
    stage.publish(&records[2..]);
    assert_eq!(stage.settled("s").await, [1, 2, 3]);
    stage.publish(&records[..2]);
    stage.hub.advance(FILLED_WITHIN * 5).await;
    assert_eq!(stage.settled("s").await, [1, 2, 3]);
}

/// The bus is down: the log alone is enough, for more than one page of it.
pub async fn when_all_is_lost_the_log_gives_all(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a"]).await;
    let records = stage.commit(&["a"; 2_500]).await;
    assert_eq!(records.len(), 2_500);
    assert_eq!(stage.settled("s").await, (1..=2_500).collect::<Vec<_>>());
}

/// A node that starts does not tell its sessions what happened before they came.
pub async fn a_hub_that_starts_behind_a_filled_log_begins_at_its_head(harness: &dyn FanoutHarness) {
    let mut stage = Stage::new(harness).await;
    let before = stage.commit(&["a"; 30]).await;
    stage.hub = harness.hub(stage.store.clone()).await;
    stage.subscribe("s", &["a"]).await;
    stage.publish(&before[25..]);
    let after = stage.commit(&["a", "a"]).await;
    stage.publish(&after[1..]);
    assert_eq!(stage.settled("s").await, [31, 32]);
}

/// Everything at once, forty times, each time another way; the seed is in the message of a failure.
pub async fn any_mixture_of_loss_repetition_and_disorder_gives_each_record_once_ascending(
    harness: &dyn FanoutHarness,
) {
    for seed in 1..=40 {
        let stage = Stage::new(harness).await;
        let mut chance = Chance(seed);
        stage.subscribe("in-a", &["a"]).await;
        stage.subscribe("in-both", &["a", "b"]).await;
        let rooms: Vec<_> = (0..60).map(|_| ["a", "b", "c"][chance.below(3)]).collect();
        let mut position = 0;
        while position < rooms.len() {
            let count = (1 + chance.below(8)).min(rooms.len() - position);
            let records = stage.commit(&rooms[position..position + count]).await;
            position += count;
            for record in spoiled(records, &mut chance) {
                stage.publish(&[record]);
            }
            if chance.below(4) == 0 {
                stage.hub.advance(FILLED_WITHIN / 10).await;
            }
        }
        let of = |wanted: &[&str]| {
            let numbered = (1..).zip(&rooms);
            let heard = numbered.filter(|(_, room)| wanted.contains(room));
            heard.map(|(position, _)| position).collect::<Vec<u64>>()
        };
        assert_eq!(stage.settled("in-a").await, of(&["a"]), "seed {seed}");
        let both = stage.settled("in-both").await;
        assert_eq!(both, of(&["a", "b"]), "seed {seed}");
    }
}

/// Loses a fifth, repeats a fifth, and shuffles neighbours.
fn spoiled(records: Vec<Arc<Record>>, chance: &mut Chance) -> Vec<Arc<Record>> {
    let mut spoiled = Vec::new();
    for record in records {
        match chance.below(5) {
            0 => {}
            1 => spoiled.extend([record.clone(), record]),
            _ => spoiled.push(record),
        }
    }
    for index in 1..spoiled.len() {
        if chance.below(3) == 0 {
            spoiled.swap(index - 1, index);
        }
    }
    spoiled
}

/// Numbers that look random and are the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
