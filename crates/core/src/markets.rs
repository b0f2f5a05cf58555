//! Mixed markets: so many machines on demand, and a share of the rest on the spot market.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the machines of a pool are divided between the markets.
///
/// Counted over the nodes that there are, by the market they were bought on. Only new machines are
/// divided; no node is removed because it is of the other market, except among those that go
/// because the pool has too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Markets {
    /// Machines that are on demand in any case. Default: 0.
    #[serde(default)]
    pub on_demand_base: u32,
    /// Share of the machines above the base that is bought on the spot market, in percent. What
    /// does not come out even is on demand.
    pub spot_percent: u8,
    /// What is done when nobody has spot machines to give. Default: `on-demand`.
    #[serde(default)]
    pub spot_sold_out: SpotSoldOut,
}

/// What is done when nobody has spot machines to give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpotSoldOut {
    /// The machines are bought on demand. They stay; the next machines make up for it.
    #[default]
    OnDemand,
    /// The machines are missing until there are some. Every run tries again.
    Wait,
}

impl Markets {
    /// How many of `size` machines are on demand, and how many on the spot market.
    pub fn targets(&self, size: u32) -> (u32, u32) {
        let rest = size.saturating_sub(self.on_demand_base);
        let percent = u64::from(self.spot_percent.min(100));
        let spot = u64::from(rest) * percent / 100;
        let spot = u32::try_from(spot).unwrap_or(rest);
        (size - spot, spot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_comes_first_and_what_is_uneven_is_on_demand() {
        let markets = |on_demand_base, spot_percent| Markets {
            on_demand_base,
            spot_percent,
            spot_sold_out: SpotSoldOut::OnDemand,
        };
        for (base, percent, size, on_demand, spot) in [
            (0, 0, 5, 5, 0),
            (0, 100, 5, 0, 5),
            (2, 100, 5, 2, 3),
            (2, 70, 12, 5, 7),
            (0, 50, 5, 3, 2),
            (9, 100, 5, 5, 0),
            (0, 33, 1, 1, 0),
            (1, 99, u32::MAX, 42_949_674, 4_252_017_621),
        ] {
            let told = markets(base, percent).targets(size);
            assert_eq!(told, (on_demand, spot), "{base} + {percent} % of {size}");
        }
    }
}
