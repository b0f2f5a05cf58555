//! Images by label: one label has a variant per zone, architecture and kind of volume.

use fleetwright_core::{Error, Kind, Result};

use crate::wire::LocalImage;
use crate::{ScalewayProvider, VolumeKind};

/// The variant to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: String,
    /// Whether it is for a local root volume.
    pub(crate) is_local: bool,
}

impl ScalewayProvider {
    /// The first of these images that fits a type in a zone, by label or id.
    ///
    /// # Errors
    /// `Invalid` if the zone has none that fits, with what there is.
    pub(crate) async fn image(
        &self,
        zone: &str,
        names: &[&str],
        instance_type: &str,
        volume: VolumeKind,
    ) -> Result<Image> {
        let mut first = None;
        for name in names {
            match self.one_image(zone, name, instance_type, volume).await {
                Err(error) if error.kind() == Kind::Invalid => {
                    first.get_or_insert(error);
                }
                found => return found,
            }
        }
        Err(first.unwrap_or_else(|| Error::new(Kind::Invalid, "no image is named")))
    }

    async fn one_image(
        &self,
        zone: &str,
        name: &str,
        instance_type: &str,
        volume: VolumeKind,
    ) -> Result<Image> {
        if uuid::Uuid::try_parse(name).is_ok() {
            return Ok(Image {
                id: name.to_owned(),
                is_local: volume == VolumeKind::Local,
            });
        }
        let unknown = || {
            Error::new(
                Kind::Invalid,
                format!("there is no image `{name}` for `{instance_type}` in zone `{zone}`"),
            )
        };
        // Labels have underscores; people write dashes.
        let label = name.replace('-', "_");
        let variants = match self.api().images(zone, &label).await.complete() {
            Ok(variants) => variants,
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Invalid) => {
                return Err(unknown().with_source(error).with_hint(
                    "name the label of a public image, such as `ubuntu_noble`, or the id of an \
                     image of yours in this zone; `scw marketplace image list` shows the labels",
                ));
            }
            Err(error) => return Err(error),
        };
        choose(&variants, instance_type, volume).ok_or_else(|| {
            let (local, block) = ("instance_local", "instance_sbs");
            let fits = |kind: &str| {
                let mut of_kind = variants.iter().filter(|variant| variant.kind == kind);
                of_kind.any(|variant| is_for(variant, instance_type))
            };
            unknown().with_hint(match (fits(local), fits(block)) {
                (true, false) => "there is one on a local volume: `volume = \"local\"`",
                (false, true) => "there is one on block storage: `volume = \"block\"`",
                _ => "the image exists, but not for this type: another image or type is needed",
            })
        })
    }
}

fn is_for(variant: &LocalImage, instance_type: &str) -> bool {
    let types = &variant.compatible_commercial_types;
    types.iter().any(|known| known == instance_type)
}

fn choose(variants: &[LocalImage], instance_type: &str, volume: VolumeKind) -> Option<Image> {
    let of = |kind: &str| {
        variants
            .iter()
            .find(|variant| variant.kind == kind && is_for(variant, instance_type))
            .map(|variant| Image {
                id: variant.id.clone(),
                is_local: kind == "instance_local",
            })
    };
    let (local, block) = (|| of("instance_local"), || of("instance_sbs"));
    match volume {
        VolumeKind::Auto => local().or_else(block),
        VolumeKind::Local => local(),
        VolumeKind::Block => block(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_disk_that_is_paid_for_goes_first() {
        let variant = |id: &str, kind: &str, types: &[&str]| LocalImage {
            id: id.to_owned(),
            compatible_commercial_types: types.iter().map(|&name| name.to_owned()).collect(),
            kind: kind.to_owned(),
        };
        let variants = [
            variant("arm", "instance_sbs", &["COPARM1-2C-8G"]),
            variant("block", "instance_sbs", &["DEV1-S", "L4-1-24G"]),
            variant("local", "instance_local", &["DEV1-S"]),
        ];
        for (name, volume, wanted) in [
            ("DEV1-S", VolumeKind::Auto, Some("local")),
            ("DEV1-S", VolumeKind::Block, Some("block")),
            ("L4-1-24G", VolumeKind::Auto, Some("block")),
            ("L4-1-24G", VolumeKind::Local, None),
            ("COPARM1-2C-8G", VolumeKind::Auto, Some("arm")),
            ("NO-SUCH", VolumeKind::Auto, None),
        ] {
            let image = choose(&variants, name, volume);
            assert_eq!(image.map(|image| image.id).as_deref(), wanted, "{name}");
        }
    }
}
