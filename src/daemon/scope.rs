//! Whether the tmux server is to get a systemd scope of its own: when the daemon is a service of
//! the user's systemd, whose restart should be no business of the server's (design §3).

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::cgroup::Place;
use crate::tmux::Scope;

/// Variables by which `systemd-run --user` finds the user's systemd.
const MANAGER: [&str; 2] = ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// The scope, if one is wanted.
pub(super) fn for_tmux(env: &[(String, String)]) -> Option<Scope> {
    let place = Place::of_this_process().ok().flatten()?;
    let runtime = env.iter().find(|(name, _)| name == MANAGER[0])?;
    let manager = Path::new(&runtime.1).join("systemd/private");
    let is_there = std::fs::metadata(manager).is_ok_and(|found| found.file_type().is_socket());
    let manager = env.iter().filter(|(name, _)| MANAGER.contains(&name.as_str())).cloned();
    (is_there && is_in_service(&place.dir)).then(|| Scope {
        unit: format!("muxvisor-tmux-{}.scope", std::process::id()),
        manager: manager.collect(),
    })
}

/// Whether a group is that of a service; the user's whole systemd is none.
fn is_in_service(group: &Path) -> bool {
    let parts = group.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let mut services = parts.filter(|part| part.ends_with(".service"));
    services.any(|part| !part.starts_with("user@"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_needs_a_scope() {
        let slice = "/sys/fs/cgroup/user.slice/user-1.slice/user@1.service/app.slice";
        assert!(is_in_service(Path::new(&format!("{slice}/muxvisor.service/daemon"))));
        assert!(!is_in_service(Path::new(&format!("{slice}/muxvisor-12.scope"))));
        assert!(!is_in_service(Path::new("/sys/fs/cgroup")));
    }
}
