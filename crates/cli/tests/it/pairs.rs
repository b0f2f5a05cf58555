//! `validate` finds what cannot be had together before anybody is asked.

use crate::bed::Bed;

/// A simulated cloud with a type that only the north sells, and one pool.
fn with_pool(pool: &str) -> Bed {
    Bed::new(&format!(
        "[providers.cloud]\nkind = \"sim\"\n\
         regions = [{{ name = \"north\", zones = [\"north-a\"] }}, \
         {{ name = \"south\", zones = [\"south-a\"] }}]\n\
         [[providers.cloud.types]]\nname = \"cpu\"\nvcpus = 8\nmemory_mib = 16384\n\
         price = \"$0.30/h\"\n\
         [[providers.cloud.types]]\nname = \"gpu\"\nvcpus = 8\nmemory_mib = 65536\ngpus = 1\n\
         gpu_model = \"A100\"\nprice = \"$3.00/h\"\nregions = [\"north\"]\n\
         [providers.here]\nkind = \"local\"\n\
         [pools.web]\ndesired = 1\n{pool}\n"
    ))
}

#[test]
fn impossible_pairs_are_found_offline_each_with_what_is_possible() {
    let mut told = Vec::new();
    for pool in [
        "candidates = [{ provider = \"cloud\", region = \"south\", type = \"gpu\" }]",
        "candidates = [{ provider = \"cloud\", region = \"north\", type = \"gqu\" }]",
        "candidates = [{ provider = \"cloud\", region = \"north\", zone = \"south-a\", type = \"cpu\" }]",
        "candidates = [{ provider = \"cloud\", region = \"north\", zone = \"north-z\" }]",
        "candidates = [{ provider = \"cloud\", region = \"nort\", type = \"gpu\" }]",
        "candidates = [{ provider = \"cloud\", type = \"cpu\" }]\nrequirements = { gpus = 1 }",
        "candidates = [{ provider = \"here\", type = \"small\", market = \"spot\" }]",
        "candidates = [{ provider = \"here\", type = \"small\" }]\nimage = \"ubuntu\"",
        "candidates = [{ provider = \"cloud\", type = \"gpu\" }]\nlimits = { idle_after = \"30m\" }",
        "candidates = [{ provider = \"here\" }]\nlimits = { max_runtime = \"0s\" }",
        "candidates = [{ provider = \"here\" }]\nlimits = { idle_after = \"1h\" }\n\
         idle = { signals = [] }",
    ] {
        let bed = with_pool(pool);
        let ran = bed.must(3, &["validate"]);
        let directory = bed.path("").display().to_string();
        told.push(ran.stderr.replace(&directory, ""));
        assert!(!bed.path("state").exists(), "something was written");
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_goes_together_is_valid() {
    for pool in [
        "candidates = [{ provider = \"cloud\", region = \"north\", zone = \"north-a\", type = \"gpu\" }]",
        "candidates = [{ provider = \"cloud\", type = \"gpu\", market = \"spot\" }]",
        "candidates = [{ provider = \"here\" }, { provider = \"cloud\" }]",
        "candidates = [{ provider = \"here\" }]\n\
         limits = { max_runtime = \"8h\", extend_to = \"8h\", idle_after = \"30m\" }",
    ] {
        let bed = with_pool(pool);
        bed.must(0, &["validate"]);
        bed.must(0, &["validate", "--online"]);
    }
}
