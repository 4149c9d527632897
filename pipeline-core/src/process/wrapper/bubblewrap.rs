//! bubblewrap: a mount and process namespace of its own, from `bwrap` 0.5 on.

use std::ffi::OsString;
use std::path::Path;

use super::reach::Network;
use super::reach::Right;
use super::reach::View;

/// What every confined child sees: programs, libraries, and the parts of `/etc` without which they do not run.
pub(super) const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];
/// What name resolution needs, where there is a network at all.
const WITH_NETWORK: &[&str] = &["/etc/resolv.conf", "/etc/host.conf", "/etc/gai.conf"];

/// The first process inside, which runs the child's own command.
///
/// bubblewrap's own first process would not be waited for: `bwrap` exits while what the child left behind is still being
/// cleared away, and could still write into the workspace. The end of this one is waited for, and the kernel lets it end
/// only after everybody else in its namespace has.
const FIRST_PROCESS: &str = r#""$@"; exit $?"#;

/// Returns what stands before the child's own command.
pub(super) fn arguments(view: &View, directory: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    let mut add = |words: &[&dyn AsRef<std::ffi::OsStr>]| {
        args.extend(words.iter().map(|word| word.as_ref().to_owned()));
    };
    add(&[&"--unshare-all"]);
    if view.network == Network::On {
        add(&[&"--share-net"]);
    }
    // A session of its own keeps the child from typing into the user's terminal.
    add(&[
        &"--die-with-parent",
        &"--new-session",
        &"--cap-drop",
        &"ALL",
    ]);
    add(&[
        &"--proc",
        &"/proc",
        &"--dev",
        &"/dev",
        &"--tmpfs",
        &"/tmp",
        &"--tmpfs",
        &"/var/tmp",
    ]);
    for path in SYSTEM {
        add(&[&"--ro-bind-try", path, path]);
    }
    if view.network == Network::On {
        for path in WITH_NETWORK {
            add(&[&"--ro-bind-try", path, path]);
        }
    }
    for (path, right) in &view.paths {
        match right {
            Right::Hidden => add(&[&"--tmpfs", path]),
            Right::Read => add(&[&"--ro-bind", path, path]),
            Right::Write => add(&[&"--bind", path, path]),
        }
    }
    // Only now, since what is shown inside a hidden folder needed a place there. What a child writes where nothing of it
    // can last fails instead of seeming to work.
    for path in view.having(Right::Hidden) {
        add(&[&"--remount-ro", &path]);
    }
    add(&[&"--remount-ro", &"/"]);
    add(&[&"--chdir", &directory, &"--as-pid-1", &"--"]);
    add(&[&"/bin/sh", &"-c", &FIRST_PROCESS, &"sh"]);
    args
}
