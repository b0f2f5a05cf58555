//! Running a hook: on the machine, or here.

use std::process::Stdio;

use fleetwright_core::{
    Command, Effect, Error, Exit, Hook, HookPlace, Kind, NoOutput, Remote, Result, Target,
};

/// Most bytes of what a hook says that an error repeats.
const WORDS: usize = 400;

/// Runs a hook to its end.
///
/// # Errors
/// If it ends with another status than 0, does not end in time, or cannot be run.
pub(super) async fn run(
    remote: Option<&dyn Remote>,
    name: &str,
    hook: &Hook,
    target: &Target,
    reason: &str,
) -> Result<()> {
    match hook.on {
        HookPlace::Node => on_machine(remote, name, hook, target, reason).await,
        HookPlace::Here => here(name, hook, target, reason).await,
    }
}

/// What a hook is told.
fn variables(target: &Target, reason: &str) -> [(&'static str, String); 4] {
    [
        ("FLEETWRIGHT_NODE", target.name.clone()),
        ("FLEETWRIGHT_HOST", target.access.host.clone()),
        (
            "FLEETWRIGHT_GROUP",
            target.group_label().unwrap_or_default(),
        ),
        ("FLEETWRIGHT_REASON", reason.to_owned()),
    ]
}

async fn on_machine(
    remote: Option<&dyn Remote>,
    name: &str,
    hook: &Hook,
    target: &Target,
    reason: &str,
) -> Result<()> {
    let remote = remote.ok_or_else(|| {
        Error::new(Kind::Unsupported, "there is no way to log in from here")
            .with_effect(Effect::None)
    })?;
    let mut words = vec!["env".to_owned()];
    for (variable, value) in variables(target, reason) {
        words.push(format!("{variable}={}", quoted(&value)));
    }
    words.push(format!("sh -c {}", quoted(&hook.run)));
    let line = words.join(" ");
    let command = Command::new(line).with_timeout(hook.timeout.0);
    let output = remote.run(&target.access, &command, &NoOutput).await?;
    match &output.exit {
        Exit::Status { code: 0 } => Ok(()),
        Exit::Status { code } => Err(failed(
            name,
            target,
            &format!("status {code}"),
            &output.stderr,
        )),
        Exit::Signal { name: signal } => Err(failed(
            name,
            target,
            &format!("signal {signal}"),
            &output.stderr,
        )),
    }
}

async fn here(name: &str, hook: &Hook, target: &Target, reason: &str) -> Result<()> {
    let child = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(&hook.run)
        .envs(variables(target, reason))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Whoever waits for it no longer wants it.
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            Error::new(Kind::Config, format!("the hook `{name}` cannot be started"))
                .with_effect(Effect::None)
                .with_source(error)
        })?;
    let output = match tokio::time::timeout(hook.timeout.0, child.wait_with_output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(Error::new(
                Kind::Unexpected,
                format!("the hook `{name}` cannot be waited for"),
            )
            .with_source(error));
        }
        Err(_) => {
            return Err(Error::new(
                Kind::Timeout,
                format!(
                    "the hook `{name}` for `{}` did not end within {}",
                    target.name, hook.timeout
                ),
            ));
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let how = match output.status.code() {
        Some(code) => format!("status {code}"),
        None => "a signal".to_owned(),
    };
    Err(failed(name, target, &how, &output.stderr))
}

fn failed(name: &str, target: &Target, how: &str, stderr: &[u8]) -> Error {
    let from = stderr.len().saturating_sub(WORDS);
    let words = String::from_utf8_lossy(stderr.get(from..).unwrap_or_default());
    let error = Error::new(
        Kind::Unexpected,
        format!("the hook `{name}` for `{}` ended with {how}", target.name),
    );
    match words.trim() {
        "" => error,
        words => error.with_context("stderr", words.to_owned()),
    }
}

/// A word as a Bourne shell takes it for one.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
