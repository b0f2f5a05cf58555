//! The command on AWS: our own fake of its wire protocols, and moto.

mod kill;
mod login;
mod moto;
mod shown;
mod unfinished;

use fleetwright_aws_fake::{Fake, Instance, State};

use crate::bed::{Bed, FLEET};

/// The variables that a login with the standard chain finds.
pub(crate) fn credentials(bed: Bed) -> Bed {
    bed.with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests")
        .with("AWS_EC2_METADATA_DISABLED", "true")
}

/// A configuration with one provider and these pools.
pub(crate) fn configuration(endpoint: &str, pools: &str) -> String {
    format!(
        "fleet = \"{FLEET}\"\n\
         [safety]\nage_floor = \"1s\"\n\
         [providers.cloud]\nkind = \"aws\"\nregions = [\"us-east-1\", \"eu-west-1\"]\n\
         endpoint = \"{endpoint}\"\nssh = false\nlisting_lag = \"150ms\"\nfulfil_within = \"5s\"\n\
         {pools}"
    )
}

/// A pool of so many machines.
pub(crate) fn pool(name: &str, region: &str, desired: u32, options: &str) -> String {
    format!(
        "[pools.{name}]\ndesired = {desired}\noptions = {options}\n\
         candidates = [{{ provider = \"cloud\", region = \"{region}\", type = \"t3.micro\" }}]\n"
    )
}

/// The machines of a pool that are not gone or going.
pub(crate) fn alive(fake: &Fake, pool: &str) -> Vec<Instance> {
    let mut all = fake.all_instances();
    all.retain(|instance| {
        matches!(instance.state, State::Pending | State::Running)
            && instance
                .tags
                .get("fleetwright-pool")
                .is_some_and(|name| name == pool)
    });
    all
}
