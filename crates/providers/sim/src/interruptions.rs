//! Notice before a spot machine is taken back.

use async_trait::async_trait;
use fleetwright_core::ability::{Interruption, InterruptionKind};
use fleetwright_core::{Interruptions, NodeId, Operation, Result};

use crate::provider::SimProvider;
use crate::world::machine;

#[async_trait]
impl Interruptions for SimProvider {
    async fn pending(&self) -> Result<Vec<Interruption>> {
        self.ask(Operation::Read, None, |step| {
            let now = step.now();
            step.state()
                .live(now)
                .filter_map(|(number, machine, batch)| Some((number, machine.notice?, batch)))
                .filter(|(_, notice, _)| notice.given_at <= now)
                .map(|(number, notice, batch)| {
                    Ok(Interruption {
                        node: NodeId::new(
                            step.provider(),
                            &batch.region,
                            &machine::native(number),
                        )?,
                        kind: InterruptionKind::Reclaim,
                        at: Some(notice.gone_at),
                    })
                })
                .collect()
        })
        .await
    }
}
