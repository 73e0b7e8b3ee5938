//! The example listener as a program of its own.

use undertone::Result;

#[tokio::main]
async fn main() -> Result<()> {
    Ok(undertone::run(slack_notifier::listener()).await?)
}
