//! Files that we write, and that several processes write at once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use fleetwright_core::Kind;
use fleetwright_remote::known_hosts::{KnownHosts, Standing};
use fleetwright_remote::{HostKey, generate_identity, pin_host_keys, unpin_host_keys};
use tempfile::TempDir;

use crate::peer::output_of;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn keys(count: usize) -> (TempDir, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let keys = (0..count)
        .map(|n| generate_identity(&folder.path().join(n.to_string()), "host").unwrap())
        .collect();
    (folder, keys)
}

#[test]
fn a_generated_identity_is_what_ssh_keygen_expects_and_is_not_made_twice() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deep/er/id");
    let line = generate_identity(&path, "me and my fleet").unwrap();
    assert!(line.starts_with("ssh-ed25519 "), "{line}");
    assert!(line.ends_with(" me and my fleet"), "{line}");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let derived = output_of("ssh-keygen", &["-y", "-f", path.to_str().unwrap()]);
    assert_eq!(derived.trim(), line);
    let public = folder.path().join("deep/er/id.pub");
    assert_eq!(fs::read_to_string(&public).unwrap().trim(), line);

    assert_eq!(generate_identity(&path, "other").unwrap(), line);
    fs::remove_file(&public).unwrap();
    assert_eq!(generate_identity(&path, "other").unwrap(), line);
    assert_eq!(fs::read_to_string(&public).unwrap().trim(), line);
}

#[test]
fn many_that_generate_at_once_end_with_one_pair_and_no_litter() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("id");
    let lines: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let path = &path;
                scope.spawn(move || generate_identity(path, &format!("by {n}")).unwrap())
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(lines.iter().all(|line| *line == lines[0]), "{lines:?}");
    let public = fs::read_to_string(folder.path().join("id.pub")).unwrap();
    assert_eq!(public.trim(), lines[0]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_is_no_key_is_not_overwritten() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("id");
    fs::write(&path, "precious").unwrap();
    let error = generate_identity(&path, "x").unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn pinning_replaces_the_keys_of_that_server_only() {
    let (folder, keys) = keys(3);
    let file = folder.path().join("state/known_hosts");
    pin_host_keys(&file, "10.0.0.1", 22, &keys[..1]).unwrap();
    pin_host_keys(&file, "10.0.0.1", 2222, &keys[1..2]).unwrap();
    pin_host_keys(&file, "10.0.0.1", 22, &keys[1..]).unwrap();
    let standing = |port, key: &str| {
        let text = fs::read_to_string(&file).unwrap();
        KnownHosts::parse(&file, &text).standing("10.0.0.1", port, &HostKey::parse(key).unwrap())
    };
    assert!(matches!(standing(22, &keys[0]), Standing::Other(_)));
    assert_eq!(standing(22, &keys[1]), Standing::Known);
    assert_eq!(standing(22, &keys[2]), Standing::Known);
    assert_eq!(standing(2222, &keys[1]), Standing::Known);
    assert_eq!(mode(&file), 0o600);
    // The real thing reads it the same way.
    let name = "[10.0.0.1]:2222";
    let found = output_of("ssh-keygen", &["-F", name, "-f", file.to_str().unwrap()]);
    assert_eq!(
        found.lines().filter(|line| line.starts_with(name)).count(),
        1,
        "{found}"
    );

    unpin_host_keys(&file, "10.0.0.1", 22).unwrap();
    assert!(matches!(standing(22, &keys[1]), Standing::Unknown { .. }));
    assert_eq!(standing(2222, &keys[1]), Standing::Known);
}

#[test]
fn pinning_what_is_pinned_writes_nothing_and_no_key_forgets_none() {
    let (folder, keys) = keys(1);
    let file = folder.path().join("known_hosts");
    pin_host_keys(&file, "web", 22, &keys).unwrap();
    let before = fs::read_to_string(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    pin_host_keys(&file, "web", 22, &keys).unwrap();
    pin_host_keys(&file, "web", 22, &[]).unwrap();
    assert_eq!(mode(&file), 0o400, "a rewritten file would have mode 0600");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let error = pin_host_keys(&file, "web", 22, &["nonsense".to_owned()]).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[test]
fn many_that_pin_at_once_lose_nothing() {
    let (folder, keys) = keys(4);
    let file = folder.path().join("known_hosts");
    thread::scope(|scope| {
        for worker in 0..8_u16 {
            let (file, keys) = (&file, &keys);
            scope.spawn(move || {
                for n in 0..10_u16 {
                    let key = &keys[usize::from(n) % 4..=usize::from(n) % 4];
                    pin_host_keys(file, "127.0.0.1", 2000 + worker * 10 + n, key).unwrap();
                }
            });
        }
    });
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 80);
    let hosts = KnownHosts::parse(&file, &text);
    for port in 2000..2080 {
        assert_eq!(hosts.keys_of("127.0.0.1", port).len(), 1, "port {port}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    // A file where a folder should be: refused to every user, root too.
    let path = file.join("id");
    let error = generate_identity(&path, "x").unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
}
