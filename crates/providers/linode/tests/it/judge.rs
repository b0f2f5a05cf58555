//! A second judge: the whole suite once more, and what was said in it through a Prism proxy, which
//! reads the official description with code that others wrote.

use fleetwright_conformance::{CASES, Verdict, run};
use fleetwright_rest::testing::Prism;

use crate::conformance::Conformance;

/// What Prism says that is not the fault of provider or fake: how it begins, and why it does not
/// count.
const WAIVERS: [(&str, &str); 4] = [
    (
        "GET /domains/{domainId}/records: response 200: Response body property data.*.created must \
         match format \"date-time\"",
        NO_ZONE,
    ),
    (
        "GET /domains/{domainId}/records: response 200: Response body property data.*.updated must \
         match format \"date-time\"",
        NO_ZONE,
    ),
    (
        "POST /domains/{domainId}/records: response 200: Response body property created must match \
         format \"date-time\"",
        NO_ZONE,
    ),
    (
        "POST /domains/{domainId}/records: response 200: Response body property updated must match \
         format \"date-time\"",
        NO_ZONE,
    ),
];

/// `"created": "2018-01-02T03:04:05"` in `recorded/TestDomainRecords_List.yaml`.
const NO_ZONE: &str = "Linode's times are in UTC and do not say so, as the recorded sessions show";

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
