//! A second judge: the whole suite once more, and what was said in it through a Prism proxy, which
//! reads the official description with code that others wrote.

use fleetwright_conformance::{CASES, Verdict, run};
use fleetwright_rest::testing::Prism;

use crate::conformance::Conformance;

/// What Prism says that is not the fault of provider or fake: how it begins, and why it does not
/// count.
const WAIVERS: [(&str, &str); 0] = [];

#[tokio::test]
async fn the_suite_passes_under_a_second_judge() {
    let any = Conformance::new();
    let Some(prism) = Prism::start(any.server().description()).await else {
        return;
    };
    let mut failures = Vec::new();
    for case in CASES {
        let subject = Conformance::new();
        if let Verdict::Failed(failure) = run(case, &subject).await {
            failures.push(failure.to_string());
        }
        prism.judge(&subject.server().exchanges()).await;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    prism.finish(&WAIVERS);
}
