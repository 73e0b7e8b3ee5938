//! The way to AWS as the environment of a function names it: region, endpoints, credentials.
//!
//! Lambda sets all that a function needs as variables, or names in them where it is asked for. So no
//! file is read here and no other address asked; a program that reaches AWS only in this way links
//! none of the code that would, half a megabyte of profiles, web identities and instances.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_kms::config::{
    AsyncSleep, IdentityCache, Region, SharedAsyncSleep, SharedCredentialsProvider, SharedHttpClient, Sleep,
};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

/// Settings from the environment. Nothing is asked yet.
pub(crate) fn config(http: SharedHttpClient) -> SdkConfig {
    let sleep = SharedAsyncSleep::new(Tokio);
    let mut builder = SdkConfig::builder();
    builder.set_region(variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).map(Region::new));
    builder.set_use_fips(switch("AWS_USE_FIPS_ENDPOINT"));
    builder.set_use_dual_stack(switch("AWS_USE_DUALSTACK_ENDPOINT"));
    builder.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
    builder
        .service_config(Variables)
        .credentials_provider(SharedCredentialsProvider::new(credentials(http.clone(), sleep.clone())))
        .http_client(http)
        .sleep_impl(sleep)
        // One for all services: a container is asked once for all of them.
        .identity_cache(IdentityCache::lazy().build())
        .build()
}

/// Those that Lambda sets, or, with SnapStart and on managed instances, those of the address that it
/// names: what was in a snapshot would have expired.
fn credentials(http: SharedHttpClient, sleep: SharedAsyncSleep) -> CredentialsProviderChain {
    let config = ProviderConfig::empty().with_http_client(http).with_sleep_impl(sleep);
    CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(&config).build())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn switch(name: &str) -> Option<bool> {
    Some(variable(name)?.eq_ignore_ascii_case("true"))
}

/// What is set for one service, such as `AWS_ENDPOINT_URL_KMS`.
#[derive(Debug)]
struct Variables;

impl LoadServiceConfig for Variables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        variable(&format!("{}_{service}", key.env()))
    }
}

#[derive(Debug)]
struct Tokio;

impl AsyncSleep for Tokio {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(duration))
    }
}
