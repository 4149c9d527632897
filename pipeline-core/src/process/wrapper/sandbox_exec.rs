//! `sandbox-exec`: a profile in the macOS sandbox's own language. Of the rules that match, the last one counts.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use super::reach::Network;
use super::reach::Right;
use super::reach::View;
use crate::process::error::WrapperError;

/// What every confined child sees: programs, libraries, developer tools, and the parts of `/etc` without which they do
/// not run. `/etc`, `/var` and `/tmp` are links into `/private`; the sandbox judges the path behind a link.
pub(super) const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/System",
    "/Library/Apple",
    "/Library/Developer",
    "/Library/Frameworks",
    "/Library/Preferences/Logging",
    "/Applications/Xcode.app",
    "/opt/homebrew",
    "/private/etc/group",
    "/private/etc/hosts",
    "/private/etc/localtime",
    "/private/etc/passwd",
    "/private/etc/protocols",
    "/private/etc/services",
    "/private/etc/shells",
    "/private/etc/ssl",
    "/private/var/db/dyld",
    "/private/var/db/timezone",
    "/private/var/db/xcode_select_link",
    "/private/var/select",
];
const WITH_NETWORK: &[&str] = &[
    "/private/etc/resolv.conf",
    "/private/var/run/resolv.conf",
    "/private/var/run/mDNSResponder",
];

const PREAMBLE: &str = r#"(version 1)
(deny default)
(allow process-fork)
(allow process-exec)
(allow process-info* (target same-sandbox))
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow ipc-posix-sem)
(allow mach-lookup
  (global-name "com.apple.system.logger")
  (global-name "com.apple.system.notification_center")
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.opendirectoryd.membership"))
(allow file-read-metadata)
(allow file-read* (literal "/"))
(allow file-read* file-write-data file-ioctl
  (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty") (literal "/dev/dtracehelper"))
(allow file-read* (literal "/dev/random") (literal "/dev/urandom") (subpath "/dev/fd"))
"#;

const NETWORK: &str = r#"(allow network*)
(allow system-socket)
(allow mach-lookup
  (global-name "com.apple.SystemConfiguration.configd")
  (global-name "com.apple.SystemConfiguration.DNSConfiguration")
  (global-name "com.apple.networkd")
  (global-name "com.apple.trustd.agent")
  (global-name "com.apple.SecurityServer"))
"#;

/// Returns what stands before the child's own command.
pub(super) fn arguments(view: &View) -> Result<Vec<OsString>, WrapperError> {
    Ok(vec!["-p".into(), profile(view)?.into()])
}

fn profile(view: &View) -> Result<String, WrapperError> {
    let mut text = PREAMBLE.to_owned();
    let mut rule = |verb: &str, path: &str| {
        writeln!(text, "({verb} (subpath {path}))").expect("a String takes every write");
    };
    for path in SYSTEM {
        rule("allow file-read*", &quoted(Path::new(path))?);
    }
    if view.network == Network::On {
        for path in WITH_NETWORK {
            rule("allow file-read*", &quoted(Path::new(path))?);
        }
    }
    for (path, right) in &view.paths {
        let path = quoted(path)?;
        match right {
            // Names and sizes are what "out of reach" includes, below a hidden folder.
            Right::Hidden => rule("deny file-read* file-write* process-exec", &path),
            Right::Read => {
                rule("allow file-read* process-exec", &path);
                rule("deny file-write*", &path);
            }
            Right::Write => rule("allow file-read* file-write* process-exec", &path),
        }
    }
    if view.network == Network::On {
        text.push_str(NETWORK);
    }
    Ok(text)
}

/// Writes a path as a string of the profile's language.
fn quoted(path: &Path) -> Result<String, WrapperError> {
    let text = path.to_str().ok_or_else(|| WrapperError::Unwritable {
        path: path.to_owned(),
    })?;
    Ok(format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}
