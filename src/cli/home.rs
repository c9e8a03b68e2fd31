//! Where everything is: the home of the daemon that is meant, and its configuration file
//! (design §3 and §10).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::scope;
use super::shell::Shell;
use crate::control::{Failure, FailureKind};
use crate::daemon::Home;

/// The home of the daemon that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its directories.
    pub(crate) home: Home,
    /// Whether `--home` or `MUXVISOR_HOME` named it.
    pub(crate) named: bool,
    /// Whether its daemon may get a systemd scope of its own.
    pub(crate) scoped: bool,
}

/// The configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    /// Where it is, or would be.
    pub(crate) path: PathBuf,
    /// Whether a person named it, so that it must exist.
    pub(crate) named: bool,
}

impl Place {
    /// The home that flag and variables mean.
    pub(crate) fn resolve(flag: Option<&Path>, shell: &Shell) -> Result<Self, Failure> {
        if let Some(named) = flag.or_else(|| shell.get("MUXVISOR_HOME")) {
            let home = Home::under(&shell.absolute(named));
            return Ok(Self { home, named: true, scoped: scope::is_offered(shell) });
        }
        let state = xdg(shell, "XDG_STATE_HOME", ".local/state")?.join("muxvisor");
        // Without the variable (cron, sudo) the same directory must be found as with it.
        let usual = PathBuf::from(format!("/run/user/{}", geteuid()));
        let runtime = absolute(shell, "XDG_RUNTIME_DIR").unwrap_or(usual);
        let ours = fs::metadata(&runtime)
            .is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
        let runtime = if ours { runtime.join("muxvisor") } else { state.join("run") };
        let home = Home::split(state, runtime);
        Ok(Self { home, named: false, scoped: scope::is_offered(shell) })
    }

    /// Held while a client starts the daemon.
    pub(crate) fn start_lock(&self) -> PathBuf {
        self.home.daemon_lock().with_file_name("start.lock")
    }

    /// Makes the directories, or says who could get at them.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        self.home.prepare().map_err(|error| {
            Failure::new(FailureKind::Usage, error.to_string())
                .hint("`--home DIR` or MUXVISOR_HOME names another home")
        })
    }
}

impl ConfigFile {
    /// The file that flag, variables and home mean.
    pub(crate) fn resolve(
        flag: Option<&Path>,
        place: &Place,
        shell: &Shell,
    ) -> Result<Self, Failure> {
        if let Some(named) = flag.or_else(|| shell.get("MUXVISOR_CONFIG")) {
            return Ok(Self { path: shell.absolute(named), named: true });
        }
        let path = if place.named {
            place.home.state().join("muxvisor.toml")
        } else {
            xdg(shell, "XDG_CONFIG_HOME", ".config")?.join("muxvisor/muxvisor.toml")
        };
        Ok(Self { path, named: false })
    }
}

/// A variable that holds an absolute path; others are to be ignored, says the XDG specification.
fn absolute(shell: &Shell, name: &str) -> Option<PathBuf> {
    shell.get(name).filter(|path| path.is_absolute()).map(Path::to_owned)
}

fn xdg(shell: &Shell, name: &str, below_home: &str) -> Result<PathBuf, Failure> {
    absolute(shell, name)
        .or_else(|| absolute(shell, "HOME").map(|home| home.join(below_home)))
        .ok_or_else(|| {
            let message = format!("neither {name} nor HOME names a directory");
            Failure::new(FailureKind::Usage, message).hint("name a home with --home DIR")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(flag: Option<&str>, variables: &[(&'static str, &str)]) -> Home {
        Place::resolve(flag.map(Path::new), &Shell::of(variables)).unwrap().home
    }

    /// Design §3: a named home holds everything; the flag beats the variable.
    #[test]
    fn a_named_home_holds_everything() {
        let seen = home(Some("h"), &[("MUXVISOR_HOME", "/other"), ("XDG_RUNTIME_DIR", "/tmp")]);
        assert_eq!(seen.daemon_socket(), Path::new("/here/h/run/daemon.sock"));
        assert_eq!(seen.daemon_lock(), Path::new("/here/h/run/daemon.lock"));
        assert_eq!(seen.ledger(), Path::new("/here/h/ledger.db"));
        assert_eq!(home(None, &[("MUXVISOR_HOME", "/other")]).state(), Path::new("/other"));
    }

    #[test]
    fn without_a_name_the_usual_directories_are_used() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = directory.path().to_str().unwrap();
        let seen = home(None, &[("HOME", "/h/me"), ("XDG_RUNTIME_DIR", runtime)]);
        assert_eq!(seen.state(), Path::new("/h/me/.local/state/muxvisor"));
        assert_eq!(seen.runtime(), directory.path().join("muxvisor"));
        let gone = home(None, &[("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", "/no/such")]);
        assert_eq!(gone.runtime(), Path::new("/s/muxvisor/run"));
        let nowhere = Place::resolve(None, &Shell::of(&[("HOME", "relative")]));
        assert_eq!(nowhere.unwrap_err().kind, FailureKind::Usage);
    }

    /// Design §10: flag, variable, home, XDG, in this order.
    #[test]
    fn the_configuration_is_looked_for_in_four_places() {
        let variables = [("HOME", "/h/me"), ("MUXVISOR_CONFIG", "/variable.toml")];
        let file = |flag: Option<&str>, at: Option<&str>, variables: &[(&'static str, &str)]| {
            let shell = Shell::of(variables);
            let place = Place::resolve(at.map(Path::new), &shell).unwrap();
            ConfigFile::resolve(flag.map(Path::new), &place, &shell).unwrap()
        };
        let named = |path: &str| ConfigFile { path: path.into(), named: true };
        let found = |path: &str| ConfigFile { path: path.into(), named: false };
        assert_eq!(file(Some("f.toml"), Some("/h"), &variables), named("/here/f.toml"));
        assert_eq!(file(None, Some("/h"), &variables), named("/variable.toml"));
        assert_eq!(file(None, Some("/h"), &variables[..1]), found("/h/muxvisor.toml"));
        let usual = found("/h/me/.config/muxvisor/muxvisor.toml");
        assert_eq!(file(None, None, &variables[..1]), usual);
    }
}
