//! Targets for Prometheus: a JSON list as `file_sd_configs` and `http_sd_configs` read it.
//!
//! The format: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config>.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use fleetwright_core::keys;
use serde::Serialize;

use super::{Host, plain};

/// A group of targets with the same labels: here always one.
#[derive(Serialize)]
pub(super) struct Group {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// One group per node. A node's own labels begin with `label_`.
pub(super) fn targets(fleet: &str, hosts: &[Host<'_>], port: u16) -> Vec<Group> {
    hosts
        .iter()
        .map(|host| {
            let mut labels = BTreeMap::from([
                ("fleet".to_owned(), fleet.to_owned()),
                ("node".to_owned(), host.record.name.clone()),
            ]);
            for (fact, value) in host.facts() {
                labels.insert(fact.to_owned(), value.to_owned());
            }
            for (key, value) in &host.record.labels {
                if key != keys::MANAGED_BY && !key.starts_with("fleetwright") {
                    labels.insert(format!("label_{}", plain(key)), value.clone());
                }
            }
            Group {
                targets: vec![target(&host.access.host, port)],
                labels,
            }
        })
        .collect()
}

/// `host:port`, with brackets round an IPv6 address.
fn target(host: &str, port: u16) -> String {
    if host.parse::<Ipv6Addr>().is_ok() {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_gets_brackets() {
        assert_eq!(target("fd00::1", 9100), "[fd00::1]:9100");
        assert_eq!(target("10.0.0.1", 9100), "10.0.0.1:9100");
    }
}
