//! How this process reaches AWS: region, credentials, endpoint, timeouts, one client per service.
//!
//! Credentials come from the environment, a profile, a container, a web identity or the instance,
//! when a call first needs them; in programs that are built for Lambda only, from the environment or
//! the address that it names. Nothing here asks the network, except that a program without any region
//! in its settings asks the instance for one; Lambda always sets one.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::config::{IdentityCache, SharedHttpClient};
use aws_smithy_types::retry::ReconnectMode;
use undertone_core::pace::Pace;
use undertone_core::{Clock, SystemClock};

use crate::answers::LongestAnswer;
use crate::environment;
use crate::http::Http;
use crate::kms::KmsStats;

/// The longest answer of KMS: a wrapped key has at most 6,144 bytes, as base64.
const LONGEST_OF_KMS: usize = 64 << 10;
/// The longest answer of Secrets Manager: 20 secrets of 64 KiB, as JSON.
const LONGEST_OF_SECRETS_MANAGER: usize = 16 << 20;
/// The longest answer of DynamoDB: 16 MB of items, with binary fields as base64.
const LONGEST_OF_DYNAMODB: usize = 32 << 20;

/// How long is waited for AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For one try of a call, its connection included.
    pub attempt: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(1), attempt: Duration::from_secs(3) }
    }
}

/// The way to AWS that all adapters of a process share.
pub struct Connection {
    config: SdkConfig,
    kms: Mutex<aws_sdk_kms::Client>,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    secrets_manager: OnceLock<aws_sdk_secretsmanager::Client>,
    pace: Arc<Pace>,
    stats: Arc<KmsStats>,
    http: Http,
}

impl Connection {
    /// From the settings that AWS's own programs read, `AWS_ENDPOINT_URL` included. A region or
    /// profile that is given here is stronger.
    pub async fn load(region: Option<&str>, profile: Option<&str>) -> Self {
        Self::load_with(region, profile, Timeouts::default()).await
    }

    /// Likewise, with other timeouts.
    pub async fn load_with(region: Option<&str>, profile: Option<&str>, timeouts: Timeouts) -> Self {
        let loader = aws_config::defaults(behavior()).timeout_config(timeout_config(timeouts));
        let http = Http::default();
        let mut loader = loader.http_client(http.clone());
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        Self::over(http, loader.load().await, Arc::new(SystemClock::default()))
    }

    /// From the variables that Lambda sets, and from nothing else.
    pub fn from_environment() -> Self {
        let http = Http::default();
        let config = environment::config(SharedHttpClient::new(http.clone()));
        Self::over(http, config, Arc::new(SystemClock::default()))
    }

    /// From settings that were made elsewhere. Timeouts that they don't have get their usual length.
    pub fn new(config: SdkConfig, clock: Arc<dyn Clock>) -> Self {
        Self::over(Http::default(), config, clock)
    }

    fn over(http: Http, config: SdkConfig, clock: Arc<dyn Clock>) -> Self {
        let mut timeouts = config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled);
        timeouts.take_defaults_from(&timeout_config(Timeouts::default()));
        let config = config
            .into_builder()
            .http_client(http.clone())
            .behavior_version(behavior())
            .timeout_config(timeouts)
            .retry_config(tries(RetryConfig::standard().with_max_attempts(3)))
            .build();
        let kms = Mutex::new(kms_client(&config));
        let pace = Arc::new(Pace::new(clock));
        let (dynamodb, secrets_manager) = (OnceLock::new(), OnceLock::new());
        Self { config, kms, dynamodb, secrets_manager, pace, stats: Arc::default(), http }
    }

    /// The region, if one is set.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// The settings as the SDK has them.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// How the calls of KMS went, over all adapters of this connection.
    pub fn kms_stats(&self) -> &Arc<KmsStats> {
        &self.stats
    }

    /// The client of KMS. It never tries again by itself: what asks KMS keeps to a pace.
    pub fn kms(&self) -> aws_sdk_kms::Client {
        self.kms.lock().expect("no holder of this lock panics").clone()
    }

    /// A client of DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let made = self.dynamodb.get_or_init(|| {
            let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
                .interceptor(LongestAnswer(LONGEST_OF_DYNAMODB))
                .build();
            aws_sdk_dynamodb::Client::from_conf(config)
        });
        made.clone()
    }

    /// A client of Secrets Manager.
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let made = self.secrets_manager.get_or_init(|| {
            let config = aws_sdk_secretsmanager::config::Builder::from(&self.config)
                .interceptor(LongestAnswer(LONGEST_OF_SECRETS_MANAGER))
                .build();
            aws_sdk_secretsmanager::Client::from_conf(config)
        });
        made.clone()
    }

    /// Connects anew from now on. A copy of this process must not go on in this one's connections.
    pub(crate) fn forget_connections(&self) {
        self.http.forget();
    }

    /// Lets the next call of KMS fetch credentials anew, though those that are known look valid.
    pub(crate) fn forget_credentials(&self) {
        let mut client = self.kms.lock().expect("no holder of this lock panics");
        let config = client.config().to_builder().identity_cache(IdentityCache::lazy().build());
        *client = aws_sdk_kms::Client::from_conf(config.build());
    }

    pub(crate) fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }
}

/// Named, so that an update of the SDK changes nothing by itself.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

fn timeout_config(timeouts: Timeouts) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(timeouts.connect)
        .operation_attempt_timeout(timeouts.attempt)
        .build()
}

/// The HTTP client has no way to close one connection on request. Asked for it, the SDK would write an
/// error about that after each answer that it tries again.
pub(crate) fn tries(config: RetryConfig) -> RetryConfig {
    config.with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

fn kms_client(config: &SdkConfig) -> aws_sdk_kms::Client {
    let config = aws_sdk_kms::config::Builder::from(config)
        .retry_config(tries(RetryConfig::disabled()))
        .interceptor(LongestAnswer(LONGEST_OF_KMS))
        .build();
    aws_sdk_kms::Client::from_conf(config)
}
