//! Images: by id, or the newest of a label.

use std::sync::Arc;

use fleetwright_core::{Error, Kind, Result};

use crate::provider::LinodeProvider;
use crate::wire::Image;

impl LinodeProvider {
    /// The id of an image. What reads like an id is taken as it is: "Official Linode Images start
    /// with `linode/`, while your Account's Images start with `private/`."
    pub(crate) async fn image_id(&self, image: &str) -> Result<String> {
        if is_id(image) {
            return Ok(image.to_owned());
        }
        let all = self.all_images().await?;
        newest(&all, image).map(|image| image.id.clone())
    }

    /// All images. Listing them "has a dedicated rate limit of 20 requests per minute", so what
    /// was read is used again.
    pub(crate) async fn all_images(&self) -> Result<Arc<Vec<Image>>> {
        let read = self.api().all(&["images"], None);
        self.images()
            .or_read(self.clock().now(), self.catalog_age(), read)
            .await
    }

    /// The image that a request means, looked at.
    pub(crate) async fn image(&self, image: &str) -> Result<Image> {
        let all = self.all_images().await?;
        if !is_id(image) {
            return newest(&all, image).cloned();
        }
        let found = all.iter().find(|known| known.id == image);
        found.cloned().ok_or_else(|| unknown(image, &all))
    }
}

fn is_id(image: &str) -> bool {
    image.contains('/')
}

fn newest<'a>(all: &'a [Image], label: &str) -> Result<&'a Image> {
    let same = all.iter().filter(|image| image.label == label);
    same.filter(|image| is_usable(image))
        .max_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)))
        .ok_or_else(|| unknown(label, all))
}

/// "Only Images in an `available` status can be deployed."
pub(crate) fn is_usable(image: &Image) -> bool {
    image
        .status
        .as_deref()
        .is_none_or(|status| status == "available")
}

fn unknown(image: &str, all: &[Image]) -> Error {
    let some: Vec<&str> = all
        .iter()
        .filter(|image| is_usable(image) && !image.deprecated)
        .map(|image| {
            if image.id.starts_with("linode/") {
                &*image.id
            } else {
                &*image.label
            }
        })
        .take(8)
        .collect();
    Error::new(Kind::Invalid, format!("there is no image `{image}`"))
        .with_hint(format!("some that there are: {}", some.join(", ")))
}
