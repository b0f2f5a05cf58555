//! Turns: where the candidates of a pool stand that are asked in rotation, for all processes.

use std::collections::BTreeMap;

use fleetwright_core::{Result, Turn};

use crate::Store;
use crate::transaction::{Transaction, column};

impl Store {
    /// The credits of all that take turns, by pool. Who has never had a turn has none.
    pub async fn turns(&self) -> Result<BTreeMap<String, BTreeMap<String, i64>>> {
        let rows = self
            .rows(sqlx::query("SELECT pool, seat, credit FROM turns"))
            .await?;
        let mut all: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for row in &rows {
            let pool: String = column(self.path(), row, 0)?;
            let seat: String = column(self.path(), row, 1)?;
            let credit: i64 = column(self.path(), row, 2)?;
            all.entry(pool).or_default().insert(seat, credit);
        }
        Ok(all)
    }
}

impl Transaction<'_> {
    /// Moves the credits of a pool on, by so many machines. Changes add up, so it does not matter
    /// in which order several claims of one plan are written.
    pub(crate) async fn take_turn(&mut self, pool: &str, turn: &Turn, machines: u32) -> Result<()> {
        for (seat, change) in turn.credits(machines) {
            self.run(
                sqlx::query(
                    "INSERT INTO turns (pool, seat, credit) VALUES ($1, $2, $3) \
                     ON CONFLICT (pool, seat) DO UPDATE SET credit = turns.credit + excluded.credit",
                )
                .bind(pool)
                .bind(seat)
                .bind(change),
            )
            .await?;
        }
        Ok(())
    }
}
