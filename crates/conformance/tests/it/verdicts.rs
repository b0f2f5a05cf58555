//! What the suite says: of waivers, of what it cannot judge, of what it found.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Ability, CASES, Case, Subject, Verdict, Waiver, run};
use fleetwright_core::{
    Balancers, Catalog, Checked, CreateRequest, Created, Deletion, Dns, Groups, Idempotency,
    Interruptions, ListRequest, Listing, Node, NodeId, NodeSpec, Provider, ProviderInfo, Quotas,
    Requests, Result,
};

use crate::memory::{Flaw, MemorySubject};

/// A provider with no ability but the core.
#[derive(Debug)]
struct Core(Arc<dyn Provider>);

#[async_trait]
impl Provider for Core {
    fn info(&self) -> &ProviderInfo {
        self.0.info()
    }

    async fn check(&self) -> Result<Checked> {
        self.0.check().await
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.0.create(request).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.0.list(request).await
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.0.get(id).await
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        self.0.delete(id).await
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        None
    }

    fn groups(&self) -> Option<&dyn Groups> {
        None
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        None
    }

    fn dns(&self) -> Option<&dyn Dns> {
        None
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        None
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        None
    }

    fn requests(&self) -> Option<&dyn Requests> {
        None
    }
}

/// A subject with no hook but the ones that must be written.
struct Bare {
    memory: MemorySubject,
    waivers: Vec<Waiver>,
}

impl Bare {
    fn new(waivers: Vec<Waiver>) -> Self {
        Self {
            memory: MemorySubject::new(Idempotency::LabelThenList),
            waivers,
        }
    }
}

#[async_trait]
impl Subject for Bare {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(Core(self.memory.provider()))
    }

    fn spec(&self) -> NodeSpec {
        self.memory.spec()
    }

    async fn settle(&self, wanted: Duration) {
        self.memory.settle(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        self.memory.truth().await
    }

    fn waivers(&self) -> Vec<Waiver> {
        self.waivers.clone()
    }
}

fn case(name: &str) -> &'static Case {
    CASES
        .iter()
        .find(|case| case.name == name)
        .unwrap_or_else(|| panic!("`{name}` is not a case"))
}

#[test]
fn every_case_has_a_name_of_its_own_and_says_what_it_judges() {
    let names: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len());
    assert!(CASES.iter().all(|case| !case.what.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_judged_is_named_with_its_reason() {
    let mut lines = Vec::new();
    for case in CASES.iter().filter(|case| case.ability == Ability::Core) {
        match run(case, &Bare::new(Vec::new())).await {
            Verdict::Passed => {}
            Verdict::NotApplicable { why, waived } => {
                assert!(!waived);
                lines.push(format!("{}: {why}", case.name));
            }
            Verdict::Failed(failure) => panic!("{failure}"),
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn an_ability_that_is_not_there_is_not_judged() {
    for case in CASES.iter().filter(|case| case.ability != Ability::Core) {
        let verdict = run(case, &Bare::new(Vec::new())).await;
        let why = format!("the provider has no {}", case.ability.as_str());
        assert_eq!(verdict, Verdict::NotApplicable { why, waived: false });
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiver_is_told_with_its_reason() {
    let waiver = Waiver::new("every_label_is_kept", "this cloud has no labels");
    let verdict = run(case(waiver.case), &Bare::new(vec![waiver])).await;
    let why = "this cloud has no labels".to_owned();
    assert_eq!(verdict, Verdict::NotApplicable { why, waived: true });
}

#[tokio::test(start_paused = true)]
async fn a_waiver_of_no_case_fails_every_case() {
    for case in CASES {
        let subject = Bare::new(vec![Waiver::new("every_label_is_lost", "a slip")]);
        let verdict = run(case, &subject).await;
        assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_quotes_the_contract_and_says_what_was_seen() {
    let subject = MemorySubject::with_flaw(Idempotency::NativeToken, Flaw::DropsLabels);
    let Verdict::Failed(failure) = run(case("every_label_is_kept"), &subject).await else {
        panic!("a cloud that drops labels passes");
    };
    insta::assert_snapshot!(failure, @"
    conformance: every_label_is_kept failed
      contract: a node carries every label of its request, in `create`, `list` and `get`
      seen:     `memory/north/m-0001` has `fleetwright-generation` = None instead of `0a1b2c3d`
    ");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "conformance: every_page_is_listed failed")]
async fn a_test_of_the_suite_fails_with_the_failure() {
    let subject = MemorySubject::with_flaw(Idempotency::NativeToken, Flaw::DropsTheSecondPage);
    fleetwright_conformance::judge("every_page_is_listed", &subject).await;
}

#[tokio::test(start_paused = true)]
async fn a_case_that_failed_removes_what_it_made() {
    for flaw in [Flaw::ForgetsTheToken, Flaw::MakesOneTooManyOnReplay] {
        let subject = MemorySubject::with_flaw(Idempotency::NativeToken, flaw);
        let verdict = run(case("the_same_token_gives_the_same_nodes"), &subject).await;
        assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
        subject.settle(subject.patience()).await;
        assert_eq!(subject.truth().await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_with_a_secret_fails_any_case_that_sees_it() {
    let subject = MemorySubject::with_flaw(Idempotency::NativeToken, Flaw::ShowsItsKeyInErrors);
    let name = "a_lost_request_is_put_right_by_a_replay";
    let Verdict::Failed(failure) = run(case(name), &subject).await else {
        panic!("an error with a secret passes");
    };
    assert!(
        !failure.to_string().contains(&subject.secrets()[0]),
        "{failure}"
    );
    assert!(
        failure.contract.starts_with("no error shows a secret"),
        "{failure}"
    );
}
