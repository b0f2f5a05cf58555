//! `drift`, on real nodes of this machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::bed::{Bed, local};

/// The environment of a Nix store of its own, in a folder.
fn nix_store(folder: &Path) -> Vec<(&'static str, String)> {
    let at = |name: &str| folder.join(name).display().to_string();
    vec![
        ("NIX_STORE_DIR", at("store")),
        ("NIX_STATE_DIR", at("state")),
        ("NIX_LOG_DIR", at("log")),
        ("NIX_CONF_DIR", at("conf")),
        ("NIX_REMOTE", String::new()),
        (
            "NIX_CONFIG",
            "build-users-group =\nsandbox = false\nsubstituters =\n\
             experimental-features = nix-command flakes"
                .to_owned(),
        ),
    ]
}

/// `drift --json` with its status.
fn drift(bed: &Bed, status: i32, further: &[&str]) -> Value {
    let mut arguments = vec!["drift", "--json"];
    arguments.extend(further);
    let ran = bed.must(status, &arguments);
    serde_json::from_str(&ran.stdout).expect("stdout is JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

/// The verdicts on the first node, by probe.
fn verdicts(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["nodes"][0]["findings"].as_array().expect("a list");
    findings
        .iter()
        .map(|one| (text(&one["probe"]), text(&one["verdict"]["is"])))
        .collect()
}

#[test]
fn drift_is_seen_with_its_age_and_goes_when_it_is_mended() {
    let bed = Bed::local(2);
    std::fs::write(bed.path("motd"), "welcome\n").expect("it is writable");
    let motd = bed.path("deployed");
    bed.configure(&format!(
        "{}\n\
         [[pools.web.probes]]\nname = \"motd\"\nseverity = \"high\"\n\
         [pools.web.probes.check.file]\npath = \"{motd}\"\nsource = \"motd\"\nmode = \"0644\"\n\
         [[pools.web.probes]]\nname = \"kernel\"\n\
         [pools.web.probes.check.command]\nrun = \"uname -s\"\noutput = \"Linux\"\n",
        local(2),
        motd = motd.display()
    ));
    bed.must(0, &["up", "--yes"]);
    let names = bed.names();
    bed.must(
        0,
        &[
            "exec",
            "--",
            &format!("umask 022; echo welcome > {}", motd.display()),
        ],
    );
    let clean = drift(&bed, 0, &[]);
    assert_eq!(clean["summary"]["congruent"], 2, "{clean}");
    assert_eq!(verdicts(&clean), [("motd", "agrees"), ("kernel", "agrees")]);
    let shown = bed.must(0, &["drift"]);
    assert_eq!(shown.stdout, "", "nothing to report");
    assert_eq!(
        shown.stderr.trim_end(),
        "2 nodes: 2 congruent, 0 with drift, 0 unknown, 0 unreachable"
    );
    let shown = bed.must(0, &["drift", "--all", "-t", &names[1]]);
    assert_eq!(shown.stdout.lines().count(), 3, "{}", shown.stdout);

    bed.must(
        0,
        &[
            "exec",
            "--on",
            &format!("name={}", names[0]),
            "--",
            &format!("echo evil >> {}", motd.display()),
        ],
    );
    let first = drift(&bed, 26, &[]);
    assert_eq!(
        first["summary"]["drift"], 2,
        "local nodes share their files"
    );
    let node = &first["nodes"][0];
    assert_eq!(
        (&node["condition"], &node["severity"]),
        (&"drift".into(), &"high".into())
    );
    let finding = &node["findings"][0];
    assert_eq!(finding["verdict"]["reason"], "it holds something else");
    assert_ne!(finding["expected"], finding["actual"]);
    let second = drift(&bed, 26, &[]);
    let again = &second["nodes"][0]["findings"];
    assert_eq!(
        again[0]["since"], finding["since"],
        "it is as old as it was"
    );
    assert_ne!(again[0]["at"], finding["at"]);
    assert_eq!(
        again[1]["since"], clean["nodes"][0]["findings"][1]["since"],
        "what agrees has an age, too"
    );
    // A look that only asks for worse finds nothing.
    let worse = drift(&bed, 0, &["--severity", "critical"]);
    assert_eq!(worse["summary"]["congruent"], 2);
    let shown = bed.must(26, &["drift", "web"]);
    assert!(shown.stdout.contains("sha256:"), "{}", shown.stdout);
    assert!(
        shown.stderr.contains("motd: it holds something else"),
        "{}",
        shown.stderr
    );
    assert!(shown.stderr.contains("drift: 2 high"), "{}", shown.stderr);
    let status = bed.run(&["status"]);
    assert!(
        status.stderr.contains("2 nodes differ"),
        "{}",
        status.stderr
    );

    // What is expected changes here, and counts at once.
    std::fs::write(bed.path("motd"), "welcome\nevil\n").expect("it is writable");
    let mended = drift(&bed, 0, &[]);
    assert_eq!(verdicts(&mended)[0], ("motd", "agrees"));
    assert_ne!(mended["nodes"][0]["findings"][0]["since"], finding["since"]);
}

#[test]
fn a_node_without_anything_is_critical_and_unknown_is_no_drift() {
    let bed = Bed::local(1);
    let probes = |second: &str| {
        format!(
            "{}\n\
             [[pools.web.probes]]\nname = \"a\"\nseverity = \"low\"\n\
             check.file = {{ path = \"{nothing}\", content = \"x\" }}\n\
             [[pools.web.probes]]\nname = \"b\"\nseverity = \"low\"\ntimeout = \"1s\"\n{second}\n",
            local(1),
            nothing = bed.path("nothing").display()
        )
    };
    bed.configure(&probes(
        "check.nix = { path = \"/nix/store/abc-system\", profile = \"/nowhere/system\" }",
    ));
    bed.must(0, &["up", "--yes"]);
    let bare = drift(&bed, 26, &[]);
    assert_eq!(bare["nodes"][0]["severity"], "critical", "{bare}");
    bed.configure(&probes("check.command = { run = \"sleep 60\" }"));
    let hangs = drift(&bed, 26, &["--severity", "low"]);
    assert_eq!(verdicts(&hangs), [("a", "missing"), ("b", "unknown")]);
    assert_eq!(hangs["nodes"][0]["severity"], "low");
    assert_eq!(
        hangs["nodes"][0]["findings"][1]["verdict"]["reason"],
        "it did not end within 1s"
    );
    std::fs::write(bed.path("nothing"), "x").expect("it is writable");
    let unknown = drift(&bed, 20, &[]);
    assert_eq!(unknown["summary"]["unknown"], 1);
    assert_eq!(unknown["nodes"][0]["condition"], "unknown");
}

#[test]
fn nodes_that_cannot_be_reached_are_a_thing_of_their_own() {
    let bed = Bed::local(1);
    bed.configure(&format!(
        "{}\n[[pools.web.probes]]\nname = \"a\"\ncheck.command = {{ run = \"true\" }}\n\
         [targets.edge]\nhosts = [\"nobody@127.0.0.1:1\"]\n\
         [[targets.edge.probes]]\nname = \"a\"\ncheck.command = {{ run = \"true\" }}\n",
        local(1)
    ));
    bed.must(0, &["up", "--yes"]);
    let report = drift(&bed, 27, &[]);
    assert_eq!(report["summary"]["unreachable"], 1, "{report}");
    assert_eq!(report["summary"]["congruent"], 1);
    let edge = &report["nodes"][1];
    assert_eq!(edge["condition"], "unreachable");
    assert_eq!(edge["group"], "targets.edge");
    assert_eq!(edge["findings"], Value::Array(Vec::new()));
    assert_eq!(edge["error"]["kind"], "unavailable");
    let again = drift(&bed, 27, &["-t", "nobody@127.0.0.1:1"]);
    assert_eq!(again["nodes"][0]["since"], edge["since"]);
    drift(&bed, 0, &["web"]);
    bed.must(7, &["drift", "nothing"]);
    bed.must(3, &["drift", "-t", "unknown.example.com"]);
    bed.must(2, &["drift", "--severity", "awful"]);
    bed.configure(&local(1));
    let nothing = bed.must(3, &["drift"]);
    assert!(
        nothing.stderr.contains("nothing is expected of 1 node"),
        "{}",
        nothing.stderr
    );
}

#[test]
fn probes_that_contradict_themselves_are_refused() {
    let bed = Bed::new("");
    let text = format!(
        "{}\n[[pools.web.probes]]\nname = \"a\"\ncheck.nix = {{ path = \"relative\", file = \"x.nix\" }}\n\
         [[pools.web.probes]]\nname = \"a\"\ncheck.file = {{ path = \"/a\", sha256 = \"abc\", mode = \"888\" }}\n\
         [[pools.web.probes]]\nname = \"b\"\ncheck.package = {{ name = \"a*\" }}\n",
        local(1)
    );
    bed.configure(&text);
    let refused = bed.must(3, &["drift"]);
    for problem in [
        "the expected store path is given twice",
        "`relative` is not the absolute path of a store path",
        "a second probe is named `a`",
        "this is no SHA-256",
        "`888` is no mode",
        "`a*` is no name of a package",
    ] {
        assert!(
            refused.stderr.contains(problem),
            "{problem}: {}",
            refused.stderr
        );
    }
}

#[test]
fn without_nix_here_the_command_says_so_and_the_rest_is_measured() {
    let bed = Bed::local(1);
    bed.configure(&format!(
        "{}\n[[pools.web.probes]]\nname = \"system\"\ncheck.nix = {{ file = \"system.nix\" }}\n\
         [[pools.web.probes]]\nname = \"kernel\"\ncheck.command = {{ run = \"uname -s\", output = \"Linux\" }}\n",
        local(1)
    ));
    bed.must(0, &["up", "--yes"]);
    // A `PATH` with what the command itself needs, and no Nix.
    let folder = bed.path("programs");
    std::fs::create_dir(&folder).expect("it is writable");
    let ran: crate::bed::Ran = bed
        .command(&["drift", "--json"])
        .env("PATH", &folder)
        .output()
        .expect("the program can be started")
        .into();
    assert_eq!(ran.status, Some(15), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("Nix is not installed here"),
        "{}",
        ran.stderr
    );
    let report: Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
    assert_eq!(
        verdicts(&report),
        [("system", "unknown"), ("kernel", "agrees")]
    );
    assert_eq!(report["nodes"][0]["findings"][0]["expected"], Value::Null);
    assert_eq!(report["errors"][0]["error"]["kind"], "unsupported");
}

/// A store for what is built here, and a node with Nix, whose store is the one that
/// [`use_store`](Self::use_store) says.
struct WithNix {
    bed: Bed,
}

impl WithNix {
    /// Nothing if there is no Nix on this machine.
    fn new() -> Option<Self> {
        // Set by the task that installs it; else where Debian has it.
        let folder = std::env::var("FLEETWRIGHT_TEST_NIX").unwrap_or_else(|_| "/usr/bin".into());
        let program = Path::new(&folder).join("nix-store");
        if !program.is_file() {
            println!("skipped: there is no Nix on this machine (Debian package `nix-bin`)");
            return None;
        }
        let mut bed = Bed::local(1);
        for (name, value) in nix_store(&bed.path("nix")) {
            bed = bed.with(name, &value);
        }
        let with = Self { bed };
        let bed = &with.bed;
        // The node's own Nix: a node knows nothing of the variables of this process.
        let programs = bed.path("programs");
        std::fs::create_dir(&programs).expect("it is writable");
        for name in ["nix-store", "nix-build"] {
            let script = format!(
                "#!/bin/sh\n. '{}'\nexec '{folder}/{name}' \"$@\"\n",
                bed.path("node.env").display(),
            );
            std::fs::write(programs.join(name), script).expect("it is writable");
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(programs.join(name), mode).expect("it is writable");
        }
        with.use_store("nix");
        let path = std::env::var("PATH").unwrap_or_default();
        let up = bed
            .command(&["up", "--yes"])
            .env("PATH", format!("{}:{path}", programs.display()))
            .output()
            .expect("the program can be started");
        assert!(
            up.status.success(),
            "{}",
            String::from_utf8_lossy(&up.stderr)
        );
        Some(with)
    }

    /// From now on the node has this store.
    fn use_store(&self, name: &str) {
        let lines: Vec<String> = nix_store(&self.bed.path(name))
            .iter()
            .map(|(name, value)| format!("export {name}='{value}'\n"))
            .collect();
        std::fs::write(self.bed.path("node.env"), lines.concat()).expect("it is writable");
    }

    /// What is to be built: a path that refers to another.
    fn write(&self, text: &str) {
        let derivation = format!(
            "let make = name: script: derivation {{ inherit name; system = builtins.currentSystem; \
             builder = \"/bin/sh\"; args = [ \"-c\" script ]; }};\n\
             in {{ system = make \"system\" \"echo {text} ${{make \"part\" \"echo part > $out\"}} > $out\"; }}\n"
        );
        std::fs::write(self.bed.path("system.nix"), derivation).expect("it is writable");
    }

    fn configure(&self, further: &str) {
        self.bed.configure(&format!(
            "{}\n[[pools.web.probes]]\nname = \"system\"\nseverity = \"critical\"\n\
             check.nix = {{ file = \"system.nix\", attribute = \"system\", profile = \"{}\"{further} }}\n\
             fix = '''{}'''\n[pools.web.healing.limits.fix]\ncool_down = \"0s\"\n",
            local(1),
            self.bed.path("profiles/system").display(),
            self.switch()
        ));
    }

    /// A command that builds the configuration on the node and makes it the one in use, as
    /// `nixos-rebuild switch` does. What was tampered with is built anew.
    fn switch(&self) -> String {
        let folder = self.bed.path("profiles");
        let (folder, file) = (folder.display(), self.bed.path("system.nix"));
        format!(
            "mkdir -p '{folder}' && built=$(nix-build --repair --no-out-link --attr system '{}') && \
             ln -sfn \"$built\" '{folder}/system'",
            file.display()
        )
    }

    /// Gives the node this configuration, by a command on it.
    fn activate(&self, path: &str) {
        let folder = self.bed.path("profiles");
        let folder = folder.display();
        let line = format!("mkdir -p '{folder}' && ln -sfn '{path}' '{folder}/system'");
        self.bed.must(0, &["exec", "--", &line]);
    }

    /// Builds what is written into this store.
    fn build(&self, store: &str) -> String {
        let output = Command::new("nix-build")
            .args(["--no-out-link", "--attr", "system"])
            .arg(self.bed.path("system.nix"))
            .env("HOME", self.bed.path(""))
            .envs(nix_store(&self.bed.path(store)))
            .output()
            .expect("the program can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

#[test]
fn a_nix_profile_is_built_compared_and_verified() {
    let Some(nix) = WithNix::new() else { return };
    let bed = &nix.bed;
    nix.write("first");
    nix.configure(", verify = true");
    let missing = drift(bed, 26, &[]);
    assert_eq!(verdicts(&missing), [("system", "missing")], "{missing}");
    let first = text(&missing["nodes"][0]["findings"][0]["expected"]).to_owned();
    assert!(Path::new(&first).is_file(), "it was built here: {first}");
    nix.activate(&first);
    let good = drift(bed, 0, &[]);
    assert_eq!(verdicts(&good), [("system", "agrees")], "{good}");

    // What is built here changes: the node is behind.
    nix.write("second");
    let behind = drift(bed, 26, &[]);
    let finding = &behind["nodes"][0]["findings"][0];
    assert_eq!(text(&finding["actual"]), first);
    let second = text(&finding["expected"]).to_owned();
    assert_ne!(second, first);
    assert_eq!(behind["nodes"][0]["severity"], "critical");
    nix.activate(&second);
    drift(bed, 0, &[]);

    // The path stays right, its content does not: there, or in what it refers to.
    let built = std::fs::read_to_string(&second).expect("it was built");
    let part = built.split_whitespace().nth(1).expect("it refers to one");
    for path in [part, &second] {
        let spoil = format!("chmod u+w '{path}' && echo evil >> '{path}'");
        bed.must(0, &["exec", "--", &spoil]);
        let tampered = drift(bed, 26, &[]);
        let reason = text(&tampered["nodes"][0]["findings"][0]["verdict"]["reason"]);
        assert!(reason.starts_with("somebody has changed `"), "{reason}");
        if path == part {
            assert!(reason.contains(part), "{reason}");
        }
    }
    nix.configure("");
    let unseen = drift(bed, 0, &[]);
    assert_eq!(
        verdicts(&unseen),
        [("system", "agrees")],
        "only `verify` reads it"
    );
}

#[test]
fn what_nix_finds_wrong_is_healed_and_measured_again() {
    let Some(nix) = WithNix::new() else { return };
    let bed = &nix.bed;
    nix.write("first");
    nix.configure(", verify = true");
    let ends = || {
        let ran = bed.must(0, &["watch", "--once", "--json"]);
        let report: Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
        let closed = report["closed"].as_array().expect("a list").clone();
        let ends = closed
            .iter()
            .map(|case| text(&case["closed"]["how"]).to_owned());
        ends.collect::<Vec<String>>()
    };
    assert_eq!(ends(), ["healed"], "the node had none");
    assert!(ends().is_empty(), "nothing is left to do");
    nix.write("second");
    assert_eq!(ends(), ["healed"], "the node was behind");

    let good = drift(bed, 0, &[]);
    let path = text(&good["nodes"][0]["findings"][0]["actual"]).to_owned();
    let spoil = format!("chmod u+w '{path}' && echo evil >> '{path}'");
    bed.must(0, &["exec", "--", &spoil]);
    drift(bed, 26, &[]);
    assert_eq!(ends(), ["healed"], "it was tampered with");
    drift(bed, 0, &[]);
    let content = std::fs::read_to_string(&path).expect("it is there");
    assert!(!content.contains("evil"), "{content}");
}

#[test]
fn contents_are_compared_across_nix_stores_and_a_flake_is_built() {
    let Some(nix) = WithNix::new() else { return };
    let bed = &nix.bed;
    // Without references the content is the same in every store.
    let derivation = |text: &str| {
        format!(
            "derivation {{ name = \"system\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; \
             args = [ \"-c\" \"echo {text} > $out\" ]; }}"
        )
    };
    let write = |text: &str| {
        let all = format!("{{ system = {}; }}\n", derivation(text));
        std::fs::write(bed.path("system.nix"), all).expect("it is writable");
    };
    if std::env::consts::ARCH != "x86_64" {
        println!("skipped: the derivations of this test are for x86_64");
        return;
    }
    write("same");
    nix.configure(", compare = \"nar-hash\"");
    nix.use_store("other");
    let elsewhere = nix.build("other");
    nix.activate(&elsewhere);
    let same = drift(bed, 0, &[]);
    let finding = &same["nodes"][0]["findings"][0];
    assert_eq!(finding["expected"], finding["actual"]);
    assert!(text(&finding["actual"]).starts_with("sha256:"), "{finding}");
    nix.configure("");
    let by_path = drift(bed, 26, &[]);
    assert_eq!(
        text(&by_path["nodes"][0]["findings"][0]["actual"]),
        elsewhere
    );

    // A store that does not know the path tells no hash.
    nix.configure(", compare = \"nar-hash\"");
    nix.use_store("empty");
    assert_eq!(verdicts(&drift(bed, 20, &[])), [("system", "unknown")]);

    nix.use_store("other");
    std::fs::create_dir(bed.path("flake")).expect("it is writable");
    let flake = format!(
        "{{ outputs = {{ self }}: {{ system = {}; }}; }}\n",
        derivation("flake")
    );
    std::fs::write(bed.path("flake/flake.nix"), flake).expect("it is writable");
    let text = std::fs::read_to_string(bed.path("fleetwright.toml")).expect("the bed has one");
    bed.configure(&text.replace(
        "file = \"system.nix\", attribute = \"system\"",
        "flake = \"path:./flake#system\"",
    ));
    let other = drift(bed, 26, &[]);
    assert_eq!(verdicts(&other), [("system", "differs")]);
    write("flake");
    nix.activate(&nix.build("other"));
    drift(bed, 0, &[]);

    // A build that fails says why, and nothing is known then.
    bed.configure(&text);
    std::fs::write(
        bed.path("system.nix"),
        "{ system = throw \"no such luck\"; }",
    )
    .expect("it is writable");
    let failed = bed.must(3, &["drift"]);
    assert!(failed.stderr.contains("no such luck"), "{}", failed.stderr);
}
