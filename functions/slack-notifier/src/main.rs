//! The example listener as a program of its own.

use undertone::{Result, slack::SLACK_API};

/// Wipes every block of memory when it is freed: buffers of HTTP and TLS, too, held the token.
#[global_allocator]
static MEMORY: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

#[tokio::main]
async fn main() -> Result<()> {
    // Another API that behaves like Slack's, such as https://slack-gov.com/api.
    let api = std::env::var("SLACK_API_URL").unwrap_or_else(|_| SLACK_API.to_owned());
    Ok(undertone::run(slack_notifier::listener_at(&api)).await?)
}
