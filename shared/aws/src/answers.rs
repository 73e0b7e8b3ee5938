//! A limit on how much of an answer is read. The SDK has none: it takes an answer as long as it comes.

use aws_sdk_kms::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_kms::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kms::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// So many bytes and no more; a longer answer fails the call.
#[derive(Debug)]
pub(crate) struct LongestAnswer(pub(crate) usize);

impl Intercept for LongestAnswer {
    fn name(&self) -> &'static str {
        "LongestAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let unlimited = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(unlimited, self.0));
        Ok(())
    }
}
