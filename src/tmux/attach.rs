//! How a person gets in: the command that shows a window in their terminal. Pure.

use std::path::Path;

use super::Config;

/// Where a person looks from, by their `$TMUX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looker {
    /// From a plain terminal.
    Terminal,
    /// From a window of our own server.
    Inside,
    /// From a window of another tmux server, which has to be forgotten before attaching.
    Elsewhere,
}

impl Looker {
    /// Reads `$TMUX`: `socket,pid,session`.
    pub fn of(tmux: Option<&str>, config: &Config) -> Self {
        let Some(value) = tmux.filter(|value| !value.is_empty()) else { return Self::Terminal };
        let socket = value.rsplitn(3, ',').nth(2).unwrap_or(value);
        if same_file(Path::new(socket), &config.socket) { Self::Inside } else { Self::Elsewhere }
    }
}

fn same_file(one: &Path, two: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(two)
}

/// The command that shows a session, or one window of it (an id such as `@7`, or a name).
pub fn attach_argv(
    config: &Config,
    session: &str,
    window: Option<&str>,
    looker: Looker,
) -> Vec<String> {
    let target = match window {
        None => format!("={session}:"),
        Some(id) if id.starts_with('@') => format!("={session}:{id}"),
        Some(name) => format!("={session}:={name}"),
    };
    let socket = config.socket.to_string_lossy();
    let words: &[&str] = match looker {
        Looker::Terminal => &["tmux", "-S", &socket, "attach-session", "-t", &target],
        Looker::Inside => &["tmux", "-S", &socket, "switch-client", "-t", &target],
        Looker::Elsewhere => {
            &["env", "-u", "TMUX", "tmux", "-S", &socket, "attach-session", "-t", &target]
        }
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_in_depends_on_where_one_stands() {
        let config = Config::new(Path::new("/h,1/run"), []);
        let way = |tmux: Option<&str>| {
            let looker = Looker::of(tmux, &config);
            attach_argv(&config, "agents", Some("@7"), looker).join(" ")
        };
        let plain = "tmux -S /h,1/run/tmux.sock attach-session -t =agents:@7";
        assert_eq!(way(None), plain);
        assert_eq!(way(Some("")), plain);
        assert_eq!(
            way(Some("/h,1/run/tmux.sock,12,0")),
            "tmux -S /h,1/run/tmux.sock switch-client -t =agents:@7"
        );
        assert_eq!(way(Some("/tmp/tmux-0/default,12,0")), format!("env -u TMUX {plain}"));
    }
}
