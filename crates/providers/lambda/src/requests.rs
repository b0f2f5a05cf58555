//! Whether a launch would be taken, and giving one up.

use async_trait::async_trait;
use fleetwright_core::{CreateRequest, Error, Kind, Requests, Result};

use crate::LambdaProvider;

#[async_trait]
impl Requests for LambdaProvider {
    /// Lambda has no dry run: what a launch names is looked up, as before a real one, and the
    /// type, too. No key is registered for it.
    async fn preflight(&self, request: &CreateRequest) -> Result<()> {
        let spec = &request.spec;
        let options = self.refuse_early(request)?;
        let types = self.api.instance_types().await?;
        if !types.contains_key(&spec.instance_type) {
            let known: Vec<&str> = types.keys().map(String::as_str).collect();
            let message = format!("there is no instance type `{}`", spec.instance_type);
            return Err(Error::new(Kind::Invalid, message)
                .with_hint(format!("known: {}", known.join(", "))));
        }
        if let Some(name) = &options.ssh_key {
            self.known_key(name).await?;
        }
        self.image(spec, &options).await?;
        self.rulesets(spec, &options).await?;
        self.file_systems(spec, &options).await?;
        Ok(())
    }

    /// A launch has happened or not when it is answered; nothing comes of it later.
    async fn give_up(&self, _request: &CreateRequest) -> Result<()> {
        Ok(())
    }
}
