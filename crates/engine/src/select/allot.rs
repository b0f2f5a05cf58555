//! Dividing machines among offers.

use fleetwright_core::{Strategy, Turn};

use super::arrange::Table;
use super::{MOST_OFFERS, Part};

/// So many machines, divided by the strategies of the pool.
pub(super) fn parts(mut table: Table<'_>, count: u32) -> Vec<Part> {
    if count == 0 {
        return Vec::new();
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut part_of: Vec<Option<usize>> = vec![None; table.rivals.len()];
    // Where machines do not change where the next one goes, all go the way of the first.
    let at_once = !table.pool.strategy.contains(Strategy::takes_turns);
    let (rounds, each) = if at_once { (1, count) } else { (count, 1) };
    for _ in 0..rounds {
        let Some(choice) = table.choose() else {
            break;
        };
        let at = if let Some(at) = part_of[choice.rival] {
            at
        } else {
            // What a part falls back on is what comes next as things stand for its first machine.
            let order = table.order();
            debug_assert_eq!(order.first(), Some(&choice.rival));
            parts.push(Part {
                count: 0,
                offers: table.offers(&order, MOST_OFFERS),
                turn: choice
                    .seats
                    .as_ref()
                    .map(|seats| table.turn(choice.rival, seats)),
            });
            parts.len() - 1
        };
        part_of[choice.rival] = Some(at);
        parts[at].count += each;
        table.settle(&choice);
    }
    parts
}

impl Table<'_> {
    fn turn(&self, rival: usize, seats: &[usize]) -> Turn {
        let name = |seat: usize| self.seats.names[seat].clone();
        let weight = |seat: usize| u32::try_from(self.seats.weights[seat]).unwrap_or(u32::MAX);
        Turn {
            seat: name(self.seats.of[rival]),
            among: seats
                .iter()
                .map(|seat| (name(*seat), weight(*seat)))
                .collect(),
        }
    }
}
