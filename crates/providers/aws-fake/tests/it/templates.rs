//! Launch templates.

use fleetwright_aws_fake::{Fake, FakeConfig};

use crate::client::{Reply, call};

fn create(fake: &Fake, name: &str, kind: &str, token: &str) -> Reply {
    let image = &fake.images("us-east-1")[0];
    let parameters = [
        ("LaunchTemplateName", name),
        ("ClientToken", token),
        ("LaunchTemplateData.ImageId", image.as_str()),
        ("LaunchTemplateData.InstanceType", kind),
        (
            "LaunchTemplateData.TagSpecification.1.ResourceType",
            "instance",
        ),
        ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "from"),
        (
            "LaunchTemplateData.TagSpecification.1.Tag.1.Value",
            "template",
        ),
    ];
    call(fake, "CreateLaunchTemplate", &parameters)
}

#[test]
fn a_template_is_made_once_for_a_token_and_once_for_a_name() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    let first = create(&fake, "web", "t3.micro", "a");
    assert_eq!(first.status, 200, "{}", first.body);
    let again = create(&fake, "web", "t3.micro", "a");
    assert_eq!(
        again.first("launchTemplateId"),
        first.first("launchTemplateId")
    );
    let other = create(&fake, "web", "t3.small", "a");
    assert_eq!(other.code(), "IdempotentParameterMismatch");
    let taken = create(&fake, "web", "t3.micro", "b");
    assert_eq!(
        taken.code(),
        "InvalidLaunchTemplateName.AlreadyExistsException"
    );
    assert_eq!(fake.leftovers().len(), 1, "{:?}", fake.leftovers());
}

#[test]
fn a_template_is_found_and_deleted_by_name_or_id() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    let web = create(&fake, "web", "t3.micro", "a");
    create(&fake, "other", "t3.micro", "b");
    let id = web.first("launchTemplateId").unwrap();
    let by_name = call(
        &fake,
        "DescribeLaunchTemplates",
        &[("LaunchTemplateName.1", "web")],
    );
    assert_eq!(by_name.all("launchTemplateId"), [id]);
    let pattern = [
        ("Filter.1.Name", "launch-template-name"),
        ("Filter.1.Value.1", "o*"),
    ];
    let filtered = call(&fake, "DescribeLaunchTemplates", &pattern);
    assert_eq!(filtered.all("launchTemplateName"), ["other"]);

    assert_eq!(
        call(&fake, "DeleteLaunchTemplate", &[("LaunchTemplateId", id)]).status,
        200
    );
    let named = [("LaunchTemplateName", "other")];
    assert_eq!(call(&fake, "DeleteLaunchTemplate", &named).status, 200);
    assert_eq!(fake.leftovers(), Vec::<String>::new());
    for (action, parameters, code) in [
        (
            "DeleteLaunchTemplate",
            [("LaunchTemplateId", id)],
            "InvalidLaunchTemplateId.NotFound",
        ),
        (
            "DeleteLaunchTemplate",
            [("LaunchTemplateName", "web")],
            "InvalidLaunchTemplateName.NotFoundException",
        ),
        (
            "DescribeLaunchTemplates",
            [("LaunchTemplateName.1", "web")],
            "InvalidLaunchTemplateName.NotFoundException",
        ),
    ] {
        assert_eq!(call(&fake, action, &parameters).code(), code);
    }
}

#[test]
fn a_launch_takes_the_template_and_what_it_says_itself_wins() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    create(&fake, "web", "t3.micro", "a");
    let parameters = [
        ("LaunchTemplate.LaunchTemplateName", "web"),
        ("InstanceType", "t3.small"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "own"),
        ("TagSpecification.1.Tag.1.Value", "yes"),
    ];
    let reply = call(&fake, "RunInstances", &parameters);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let instances = fake.instances();
    assert_eq!(instances[0].instance_type, "t3.small");
    let tags: Vec<_> = instances[0]
        .tags
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(tags, [("from", "template"), ("own", "yes")]);
}

#[test]
fn versions_are_numbered_and_named() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    create(&fake, "web", "t3.micro", "a");
    let next = [
        ("LaunchTemplateName", "web"),
        ("SourceVersion", "1"),
        ("LaunchTemplateData.InstanceType", "m5.large"),
    ];
    let reply = call(&fake, "CreateLaunchTemplateVersion", &next);
    assert_eq!(reply.first("versionNumber"), Some("2"));
    for (version, kind) in [
        ("$Default", "t3.micro"),
        ("$Latest", "m5.large"),
        ("2", "m5.large"),
    ] {
        let parameters = [
            ("LaunchTemplate.LaunchTemplateName", "web"),
            ("LaunchTemplate.Version", version),
            ("MinCount", "1"),
            ("MaxCount", "1"),
        ];
        let reply = call(&fake, "RunInstances", &parameters);
        assert_eq!(reply.first("instanceType"), Some(kind), "{}", reply.body);
    }
    let missing = [
        ("LaunchTemplate.LaunchTemplateName", "web"),
        ("LaunchTemplate.Version", "3"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
    ];
    let refused = call(&fake, "RunInstances", &missing);
    assert_eq!(refused.code(), "InvalidLaunchTemplateId.VersionNotFound");
}
