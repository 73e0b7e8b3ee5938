//! The example listener as a program of its own.

use undertone::{Result, slack::SLACK_API};

// Buffers of HTTP and TLS, too, held the token.
undertone::wipe_freed_memory!();

// Handlers mostly wait for others' APIs: however many do, one thread is enough.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // Another API that behaves like Slack's, such as https://slack-gov.com/api.
    let api = std::env::var("SLACK_API_URL").unwrap_or_else(|_| SLACK_API.to_owned());
    Ok(undertone::run(slack_notifier::listener_at(&api)).await?)
}
