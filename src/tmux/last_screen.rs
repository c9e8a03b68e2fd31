//! What a pane shows.

use std::time::Duration;

use tmux_interface::CapturePane;
use tokio::time::sleep;

use super::{Error, Tmux};
use crate::model::Token;

impl Tmux {
    /// The visible rows of the pane that carries that mark, wrapped lines joined; `None` when
    /// there is no such pane. Waits up to a second for a pane whose process has just ended to have
    /// shown all of it.
    ///
    /// # Errors
    /// When tmux does not answer.
    pub async fn last_screen(&self, token: &Token) -> Result<Option<String>, Error> {
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 0] {
            let panes = self.list().await?;
            let Some(pane) = panes.into_iter().find(|pane| pane.token.as_ref() == Some(token))
            else {
                return Ok(None);
            };
            if pane.dead || pause == 0 {
                let capture = CapturePane::new().stdout().join().target_pane(pane.pane);
                return self.capture(capture).await.map(Some);
            }
            self.nudge();
            sleep(Duration::from_millis(pause)).await;
        }
        Ok(None)
    }

    async fn capture(&self, capture: CapturePane<'_>) -> Result<String, Error> {
        let output = self.run(&[capture.build()]).await?.pop().unwrap_or_default();
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }
}
