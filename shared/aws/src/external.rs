//! The port `ExternalSource` over Secrets Manager: secrets that AWS keeps and rotates.
//!
//! Always the version that is current: asked for by its label, since that is what rotation moves.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use undertone_core::pace::Pace;
use undertone_core::{Clock, ExternalError, ExternalSource, ExternalValue, LARGEST_VALUE};
use zeroize::Zeroizing;

use crate::connect::tries;
use crate::fault::{Fault, fault, is_expired, is_outdated};

/// How often a secret is asked for when the service is away, and when it isn't there: one that was
/// made a moment ago may not be everywhere yet. A reference to nothing costs these calls at each lookup.
const TRIES: u32 = 3;
/// The pause before the second try is at most this, before the third twice this.
const PAUSE: Duration = Duration::from_millis(100);

/// Secrets of Secrets Manager, by ARN or name.
pub struct SecretsManagerSource {
    client: Client,
    /// The same, and asking once. Made when it is first needed, which for most listeners is never.
    once: OnceLock<Client>,
    pace: Pace,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SourceFault {
    Call(Fault),
    Unfit(&'static str),
}

impl From<SourceFault> for ExternalError {
    fn from(fault: SourceFault) -> Self {
        match fault {
            SourceFault::Call(Fault::Unavailable(problem)) => ExternalError::Unavailable(problem),
            SourceFault::Call(Fault::Denied(problem) | Fault::Code(problem)) => {
                ExternalError::Denied(problem)
            }
            SourceFault::Call(Fault::Garbled(_)) => {
                ExternalError::Unfit("Secrets Manager's answer can't be read")
            }
            SourceFault::Unfit(problem) => ExternalError::Unfit(problem),
        }
    }
}

impl SecretsManagerSource {
    /// Fetches by this client. While the service is away it is asked as seldom as [`Pace`] says; so
    /// it is asked again here, and not by the client itself.
    pub fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { client, once: OnceLock::new(), pace: Pace::new(clock) }
    }

    fn client(&self) -> &Client {
        self.once.get_or_init(|| {
            let config = self.client.config().to_builder();
            Client::from_conf(config.retry_config(tries(RetryConfig::disabled())).build())
        })
    }

    async fn current(&self, id: &str) -> Result<GetSecretValueOutput, Fault> {
        let mut attempt = 1;
        loop {
            let place = self.pace.place().await.map_err(|held| Fault::Unavailable(held.to_string()))?;
            let call = self.client().get_secret_value().secret_id(id).version_stage("AWSCURRENT");
            let error = match call.send().await {
                Ok(answer) => {
                    place.succeeded();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let fault = fault("GetSecretValue", &error);
            let may_pass = match &fault {
                Fault::Unavailable(_) => true,
                Fault::Code(code) => code == "ResourceNotFoundException",
                Fault::Denied(_) => is_outdated(&error) && !is_expired(&error),
                Fault::Garbled(_) => false,
            };
            // Whoever says no is there: a wrong reference of one Space holds no other Space back.
            match fault {
                Fault::Unavailable(_) => drop(place),
                Fault::Denied(_) | Fault::Garbled(_) | Fault::Code(_) => place.succeeded(),
            }
            if TRIES <= attempt || !may_pass {
                return Err(fault);
            }
            tokio::time::sleep((PAUSE * attempt).mul_f64(fastrand::f64())).await;
            attempt += 1;
        }
    }
}

#[async_trait]
impl ExternalSource for SecretsManagerSource {
    async fn fetch(&self, id: &str) -> Result<ExternalValue, ExternalError> {
        let answer = self.current(id).await.map_err(SourceFault::Call)?;
        Ok(value(id, answer)?)
    }
}

/// Takes the value out of the SDK's hands without a copy. What the SDK read it from, the answer's
/// text, is freed and not wiped.
fn value(id: &str, answer: GetSecretValueOutput) -> Result<ExternalValue, SourceFault> {
    let text = answer.secret_string.map(|text| Zeroizing::new(text.into_bytes()));
    let binary = answer.secret_binary.map(|blob| Zeroizing::new(blob.into_inner()));
    let bytes = text.or(binary).ok_or(SourceFault::Unfit("it has no value"))?;
    let is_meant = match id.strip_prefix("arn:") {
        // An ARN may be given without the random letters at its end.
        Some(_) => answer.arn.is_some_and(|arn| arn.starts_with(id)),
        None => answer.name.is_some_and(|name| name == id),
    };
    if !is_meant {
        return Err(SourceFault::Unfit("Secrets Manager answered with another secret"));
    }
    if LARGEST_VALUE < bytes.len() {
        return Err(SourceFault::Unfit("it is longer than a secret may be"));
    }
    let version = answer.version_id.ok_or(SourceFault::Unfit("its version has no id"))?;
    Ok(ExternalValue { bytes, version: version.into() })
}
