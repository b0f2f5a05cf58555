//! A signal that nobody has to send: the average load of a pool's nodes, over SSH.

use std::time::Duration;

use fleetwright_core::{
    Command, Error, Exit, Kind, NoOutput, NodeRecord, Quantity, Remote, Result,
};
use futures::StreamExt;
use futures::stream;

use crate::Engine;

/// Nodes asked at the same time.
const LOOKS: usize = 32;
/// Limit of one look: login and script.
const LOOK_LIMIT: Duration = Duration::from_secs(15);
/// The load over one minute, and the number of processors.
const SCRIPT: &str = "read -r one _ </proc/loadavg && echo \"$one $(nproc)\"";

impl Engine {
    /// The load average of the pool's ready nodes over one minute, in percent of their processors.
    ///
    /// # Errors
    /// `Unavailable` if no node is ready, or if half of them or more give no answer: then nobody
    /// can tell.
    pub(crate) async fn node_load(&self, pool: &str, records: &[NodeRecord]) -> Result<Quantity> {
        let ready: Vec<&NodeRecord> = records
            .iter()
            .filter(|record| record.pool == pool && record.life.is_ready())
            .collect();
        let Some(remote) = self.remote.as_deref() else {
            return Err(Error::new(
                Kind::Unsupported,
                "nodes cannot be logged in to",
            ));
        };
        if ready.is_empty() {
            return Err(Error::new(
                Kind::Unavailable,
                "no node of the pool is ready",
            ));
        }
        let answers: Vec<Result<u64>> = stream::iter(ready.iter().copied())
            .map(|record| load_of(remote, record))
            .buffer_unordered(LOOKS)
            .collect()
            .await;
        average(answers)
    }
}

/// The load of one node in millionths of a percent.
async fn load_of(remote: &dyn Remote, record: &NodeRecord) -> Result<u64> {
    let name = &record.name;
    let access = record
        .access
        .as_ref()
        .ok_or_else(|| Error::new(Kind::Unavailable, format!("`{name}` has no address")))?;
    let command = Command::new(SCRIPT).with_timeout(LOOK_LIMIT);
    let output = remote.run(access, &command, &NoOutput).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let told = match output.exit {
        Exit::Status { code: 0 } => read(&said),
        _ => None,
    };
    told.ok_or_else(|| {
        Error::new(Kind::Unexpected, format!("`{name}` does not tell its load"))
            .with_context("it said", said.trim().to_owned())
    })
}

/// `0.50 4` as 12.5 percent, in millionths.
fn read(said: &str) -> Option<u64> {
    let (load, processors) = said.trim().split_once(' ')?;
    let load: Quantity = load.parse().ok()?;
    let processors: u64 = processors.parse().ok().filter(|count| *count > 0)?;
    load.as_micros().checked_mul(100)?.checked_div(processors)
}

fn average(answers: Vec<Result<u64>>) -> Result<Quantity> {
    let asked = answers.len();
    let mut known = Vec::new();
    let mut failure = None;
    for answer in answers {
        match answer {
            Ok(load) => known.push(load),
            Err(error) => failure = Some(error),
        }
    }
    if let Some(error) = failure
        && known.len() * 2 <= asked
    {
        let silent = asked - known.len();
        return Err(Error::new(
            Kind::Unavailable,
            format!("{silent} of {asked} nodes do not tell their load"),
        )
        .with_source(error));
    }
    let count = u64::try_from(known.len()).unwrap_or(u64::MAX);
    let sum = known
        .iter()
        .fold(0_u64, |sum, load| sum.saturating_add(*load));
    sum.checked_div(count)
        .and_then(Quantity::from_micros)
        .ok_or_else(|| Error::new(Kind::Unexpected, "the nodes tell an impossible load"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_a_share_of_the_processors() {
        for (said, percent) in [
            ("0.50 4\n", Some("12.5")),
            ("3.00 2", Some("150")),
            ("0.00 1", Some("0")),
            ("0.50 0", None),
            ("0.50", None),
            ("unknown 4", None),
            ("-1 4", None),
        ] {
            let told = read(said).and_then(Quantity::from_micros);
            assert_eq!(
                told.map(|load| load.to_string()).as_deref(),
                percent,
                "{said}"
            );
        }
    }

    #[test]
    fn an_average_needs_more_than_half_of_the_nodes() {
        let silent = || Err(Error::new(Kind::Timeout, "no answer"));
        let load = |percent: u64| Ok(percent * 1_000_000);
        let average = |answers| average(answers).map(|load| load.to_string()).ok();
        assert_eq!(average(vec![load(10), load(20)]).as_deref(), Some("15"));
        let most = vec![load(10), load(20), silent()];
        assert_eq!(average(most).as_deref(), Some("15"));
        assert_eq!(average(vec![load(10), silent()]), None);
        assert_eq!(average(vec![silent()]), None);
    }
}
