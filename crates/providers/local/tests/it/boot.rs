//! User data: what it does, and what is kept of it.

use fleetwright_core::{Boot, Kind, NodeSpec, Provider as _};

use crate::support::{World, request_for};

#[tokio::test]
async fn without_user_data_the_boot_log_says_so() {
    let world = World::new();
    let node = world.one().await;
    assert_eq!(world.booted(&node).await, Boot::Succeeded);
    let log = world.says(&node, "cat ~/.fleetwright/boot.log").await;
    assert!(log.contains("booted `web-0`"), "{log}");
    assert!(log.contains("no user data"), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[tokio::test]
async fn a_script_runs_in_the_home_and_its_words_are_kept() {
    let world = World::new();
    let script = "#!/bin/sh\necho to stdout\necho to stderr >&2\necho $HOME > where\n";
    let node = world.one_with(Some(script)).await;
    assert_eq!(world.booted(&node).await, Boot::Succeeded);
    let log = world.says(&node, "cat ~/.fleetwright/boot.log").await;
    assert!(log.contains("to stdout\nto stderr\n"), "{log}");
    assert_eq!(
        world.says(&node, "cat where").await,
        world.says(&node, "pwd").await
    );
}

#[tokio::test]
async fn a_script_that_fails_keeps_its_status_and_last_words() {
    let world = World::new();
    let script = "#!/bin/sh\nseq 100\necho this is why >&2\nexit 42\n";
    let node = world.one_with(Some(script)).await;
    let Boot::Failed {
        exit_status,
        log_tail,
    } = world.booted(&node).await
    else {
        panic!("the boot did not fail");
    };
    assert_eq!(exit_status, Some(42));
    assert!(
        log_tail.contains("this is why") && log_tail.contains("status 42"),
        "{log_tail}"
    );
    assert!(
        !log_tail.contains("\n10\n") && log_tail.lines().count() <= 20,
        "{log_tail}"
    );
    // The node itself is well.
    assert_eq!(world.says(&node, "echo here").await, "here\n");
}

#[tokio::test]
async fn a_script_that_a_signal_ends_has_no_status() {
    let world = World::new();
    let node = world.one_with(Some("#!/bin/sh\nkill -9 $$\n")).await;
    let boot = world.booted(&node).await;
    assert!(
        matches!(&boot, Boot::Failed { exit_status: None, log_tail } if log_tail.contains("signal 9")),
        "{boot:?}"
    );
}

#[tokio::test]
async fn a_script_without_its_interpreter_fails_like_in_a_shell() {
    let world = World::new();
    let node = world.one_with(Some("#!/no/such/shell\n")).await;
    let boot = world.booted(&node).await;
    assert!(
        matches!(
            &boot,
            Boot::Failed {
                exit_status: Some(127),
                ..
            }
        ),
        "{boot:?}"
    );
}

#[tokio::test]
async fn logins_are_served_while_the_boot_runs() {
    let world = World::new();
    let script = "#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.01; done\n";
    let node = world.one_with(Some(script)).await;
    world.says(&node, "true").await;
    assert_eq!(world.look(&node.id).await.boot, Some(Boot::Running));
    world.says(&node, "touch go").await;
    assert_eq!(world.booted(&node).await, Boot::Succeeded);
}

#[tokio::test]
async fn a_cloud_config_writes_its_files_and_runs_its_commands() {
    let world = World::new();
    let config = "#cloud-config\n\
        write_files:\n\
        - path: ~/bin/hello\n  permissions: '0755'\n  content: |\n    #!/bin/sh\n    echo hello\n\
        - path: data\n  encoding: b64\n  content: AAECAw==\n\
        runcmd:\n\
        - ~/bin/hello > greeting\n\
        - [sh, -c, 'echo $1 >> greeting', x, two words]\n";
    let node = world.one_with(Some(config)).await;
    assert_eq!(world.booted(&node).await, Boot::Succeeded);
    assert_eq!(
        world.says(&node, "cat greeting").await,
        "hello\ntwo words\n"
    );
    let output = world
        .run(&node, "cat data; stat -c %a bin/hello data")
        .await;
    assert_eq!(output.stdout, b"\x00\x01\x02\x03755\n644\n");
}

#[tokio::test]
async fn every_command_of_a_cloud_config_runs_and_the_first_failure_counts() {
    let world = World::new();
    let config = "#cloud-config\nruncmd: [exit 3, exit 4, touch last]\n";
    let node = world.one_with(Some(config)).await;
    let boot = world.booted(&node).await;
    assert!(
        matches!(
            &boot,
            Boot::Failed {
                exit_status: Some(3),
                ..
            }
        ),
        "{boot:?}"
    );
    world.says(&node, "ls last").await;
}

#[tokio::test]
async fn user_data_that_cannot_be_done_is_refused_before_anything_is_made() {
    let world = World::new();
    for (user_data, named) in [
        ("#cloud-config\npackages: [git]\n".to_owned(), "`packages`"),
        (
            "#cloud-config\nwrite_files: [{path: /etc/motd}]\n".to_owned(),
            "`/etc/motd`",
        ),
        ("hello".to_owned(), "script"),
        (format!("#!{}", "x".repeat(1 << 20)), "1048578 bytes"),
    ] {
        let spec = NodeSpec {
            user_data: Some(user_data),
            ..world.spec()
        };
        let request = request_for(1, spec);
        let error = world.provider.create(&request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(named), "{error}");
    }
    assert!(!world.root().exists());
}

#[tokio::test]
async fn a_daemon_of_the_boot_goes_on_and_its_script_is_done() {
    let world = World::new();
    let script = "#!/bin/sh\nsetsid sleep 1000 &\necho $! > pid\n";
    let node = world.one_with(Some(script)).await;
    assert_eq!(world.booted(&node).await, Boot::Succeeded);
    world.says(&node, "kill -0 $(cat pid)").await;
}
