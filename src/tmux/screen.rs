//! What a pane shows just now, and whether a person is busy with it.

use tmux_interface::{CapturePane, DisplayMessage, ListClients, TmuxCommand};

use super::{Error, Tmux};

/// Who is at a pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Whether it is in copy mode or another mode of tmux.
    pub in_mode: bool,
    /// When a terminal that shows its window was last used, in seconds since 1970.
    pub used_s: Option<i64>,
}

impl Tmux {
    /// The visible screen, without scrollback and without blanks at the end of its rows; and who is
    /// there. In copy mode it is still what the program shows.
    ///
    /// # Errors
    /// When the pane is gone or tmux does not answer.
    pub async fn screen(&self, pane: &str, window: &str) -> Result<(String, Looked), Error> {
        let capture = CapturePane::new().stdout().target_pane(pane).build();
        let [mode, clients] = who(pane);
        let mut outputs = self.run(&[capture, mode, clients]).await?.into_iter();
        let text = outputs.next().unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok((text, looked(outputs, window)))
    }

    /// Only who is there.
    ///
    /// # Errors
    /// As [`Tmux::screen`].
    pub async fn looked_at(&self, pane: &str, window: &str) -> Result<Looked, Error> {
        Ok(looked(self.run(&who(pane)).await?.into_iter(), window))
    }
}

fn who(pane: &str) -> [TmuxCommand<'_>; 2] {
    let mode = DisplayMessage::new().print().target_pane(pane).message("#{pane_in_mode}");
    let format = "#{client_control_mode} #{window_id} #{client_activity}";
    [mode.build(), ListClients::new().format(format).build()]
}

fn looked(mut outputs: impl Iterator<Item = Vec<u8>>, window: &str) -> Looked {
    let mut next = || String::from_utf8_lossy(&outputs.next().unwrap_or_default()).into_owned();
    // A number: modes can lie upon each other.
    let in_mode = !matches!(next().trim(), "" | "0");
    let used = |line: &str| {
        let mut words = line.split(' ');
        let ours = words.next() == Some("0") && words.next() == Some(window);
        words.next().filter(|_| ours)?.parse().ok()
    };
    Looked { in_mode, used_s: next().lines().filter_map(used).max() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_terminals_that_show_the_window_count() {
        let said =
            |mode: &str, clients: &str| looked([mode.into(), clients.into()].into_iter(), "@7");
        let clients = "1 @7 900\n0 @8 800\n0 @7 500\n0 @7 600\n";
        assert_eq!(said("0\n", clients), Looked { in_mode: false, used_s: Some(600) });
        assert_eq!(said("1\n", ""), Looked { in_mode: true, used_s: None });
        assert_eq!(said("", ""), Looked::default());
    }
}
