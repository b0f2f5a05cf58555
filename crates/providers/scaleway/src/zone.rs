//! Zones and regions: `fr-par-1` is a zone of `fr-par`.

use fleetwright_core::{Error, Kind, NodeId, Result};

/// The zones that have instances, by the vendor's own list. Others are named in the configuration.
/// <https://www.scaleway.com/en/developers/api/instances/#availability-zones>
pub(crate) const KNOWN: [&str; 10] = [
    "fr-par-1", "fr-par-2", "fr-par-3", "nl-ams-1", "nl-ams-2", "nl-ams-3", "pl-waw-1", "pl-waw-2",
    "pl-waw-3", "it-mil-1",
];

/// The region of a zone, or `None` if this is not the name of a zone.
pub(crate) fn region_of(zone: &str) -> Option<&str> {
    let (region, number) = zone.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && is_region(region)).then_some(region)
}

/// Whether this can be the name of a region: `fr-par`.
pub(crate) fn is_region(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    text.split_once('-')
        .is_some_and(|(country, city)| is_word(country) && is_word(city))
}

/// Where an instance is, and its own id: the native id of a node is `zone/id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerId {
    pub(crate) zone: String,
    pub(crate) id: String,
}

impl ServerId {
    /// Reads it from the id of a node.
    ///
    /// # Errors
    /// `Invalid` if no instance can have this id.
    pub(crate) fn of(node: &NodeId) -> Result<Self> {
        let parts = node.native().split_once('/');
        let parts = parts.filter(|(zone, id)| {
            // One way of writing only: others would be other nodes.
            let is_id = uuid::Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == *id);
            region_of(zone).is_some() && is_id
        });
        let Some((zone, id)) = parts else {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "`{}` is not the id of an instance",
                    node.native().escape_debug()
                ),
            )
            .with_hint("it reads `fr-par-1/11111111-2222-3333-4444-555555555555`"));
        };
        Ok(Self {
            zone: zone.to_owned(),
            id: id.to_owned(),
        })
    }

    /// Whether its zone is one of this region: no instance of another can be there.
    pub(crate) fn is_in(&self, region: &str) -> bool {
        region_of(&self.zone) == Some(region)
    }

    /// The id of the node.
    ///
    /// # Errors
    /// `Unexpected` if the zone that the vendor named is none.
    pub(crate) fn node(&self, provider: &str) -> Result<NodeId> {
        let region = region_of(&self.zone).ok_or_else(|| {
            Error::new(
                Kind::Unexpected,
                format!("an instance is in `{}`, which is not a zone", self.zone),
            )
        })?;
        NodeId::new(provider, region, &format!("{}/{}", self.zone, self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_ends_with_a_number() {
        for (zone, region) in [
            ("fr-par-1", Some("fr-par")),
            ("it-mil-12", Some("it-mil")),
            ("fr-par", None),
            ("fr-par-", None),
            ("fr-par-x", None),
            ("par-1", None),
            ("a-b-c-1", None),
            ("", None),
        ] {
            assert_eq!(region_of(zone), region, "{zone}");
        }
        assert!(KNOWN.iter().all(|zone| region_of(zone).is_some()));
    }

    #[test]
    fn the_id_of_a_node_is_read_in_one_way_only() {
        let id = "d1ed4b6d-697a-42ca-97b9-16c053f98cca";
        let node: NodeId = format!("scw/fr-par/fr-par-2/{id}").parse().unwrap();
        let server = ServerId::of(&node).unwrap();
        assert_eq!((&*server.zone, &*server.id), ("fr-par-2", id));
        assert_eq!(server.node("scw").unwrap(), node);
        for odd in [
            id.to_owned(),
            format!("fr-par-1/{}", id.to_uppercase()),
            format!("fr-par-1/{}", id.replace('-', "")),
            format!("fr-par-1/{{{id}}}"),
            format!("fr-par-1/{id}/action"),
            format!("../{id}"),
            "fr-par-1/..".to_owned(),
        ] {
            let node = NodeId::new("scw", "fr-par", &odd).unwrap();
            assert_eq!(
                ServerId::of(&node).unwrap_err().kind(),
                Kind::Invalid,
                "{odd}"
            );
        }
    }
}
