//! KMS and Secrets Manager in this process, as strict as the real ones or stricter.
//!
//! What these fakes don't know they refuse, also where AWS would ignore it: a test can't pass because of a
//! rule that nobody enforces. Signatures are not verified; only what they are for is looked at.

mod key;
mod kms;
mod labels;
mod listing;
mod protocol;
mod secrets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use kms::FakeKms;
pub use protocol::{Answer, Call};
pub use secrets::FakeSecrets;

use protocol::{JSON, Refusal, Reply, Service};

/// Where everything is.
pub const REGION: &str = "eu-central-1";

/// Whose everything is.
pub const ACCOUNT: &str = "111122223333";

/// A session token that is always out of date.
pub const EXPIRED: &str = "expired";

/// More than any request of these services may hold.
const LONGEST_REQUEST: usize = 4 << 20;

/// Both services on one port, until this is dropped.
pub struct FakeAws {
    address: SocketAddr,
    services: Arc<Services>,
    _running: oneshot::Sender<()>,
}

struct Services {
    kms: Arc<FakeKms>,
    secrets: FakeSecrets,
}

impl FakeAws {
    /// Begins without keys and without secrets.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let kms = Arc::new(FakeKms::default());
        let services = Arc::new(Services { secrets: FakeSecrets::new(kms.clone()), kms });
        let app = Router::new().fallback(answer).with_state(services.clone());
        let (running, dropped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let ended = async move {
                let _ = dropped.await;
            };
            axum::serve(listener, app).with_graceful_shutdown(ended).await
        });
        Self { address, services, _running: running }
    }

    /// The endpoint of both services.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the tests may do to KMS.
    pub fn kms(&self) -> &FakeKms {
        &self.services.kms
    }

    /// What the tests may do to Secrets Manager.
    pub fn secrets(&self) -> &FakeSecrets {
        &self.services.secrets
    }
}

async fn answer(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let reply = match to_bytes(body, LONGEST_REQUEST).await {
        Ok(body) => services.reply(&head.method, &head.headers, &body).unwrap_or_else(Reply::from),
        Err(_) => Refusal::new("RequestEntityTooLargeException", "Request body is too long").into(),
    };
    let response = Response::builder()
        .status(reply.status)
        .header("content-type", &reply.content_type)
        .header("x-amzn-requestid", uuid())
        .body(Body::from(reply.body));
    response.expect("a test's answer is HTTP")
}

impl Services {
    fn reply(&self, method: &Method, headers: &HeaderMap, body: &[u8]) -> Result<Reply, Refusal> {
        let unknown = || Refusal::new("UnknownOperationException", "");
        if method != Method::POST || text(headers, "content-type") != Some(JSON) {
            return Err(unknown());
        }
        let target = text(headers, "x-amz-target").ok_or_else(unknown)?;
        let (service, operation) = target.split_once('.').ok_or_else(unknown)?;
        let (service, scope): (&dyn Service, _) = match service {
            "TrentService" => (self.kms.as_ref(), "kms"),
            "secretsmanager" => (&self.secrets, "secretsmanager"),
            _ => return Err(unknown()),
        };
        authenticate(headers, scope)?;
        protocol::serve(service, operation, body)
    }
}

/// Looks at what the signature is for, and not at the signature.
fn authenticate(headers: &HeaderMap, service: &str) -> Result<(), Refusal> {
    let missing = || Refusal::new("MissingAuthenticationTokenException", "Missing Authentication Token");
    let incomplete = |what: &str| {
        let message = format!("Authorization header requires '{what}' parameter.");
        Refusal::new("IncompleteSignatureException", message)
    };
    let misplaced = |what: String| Refusal::new("InvalidSignatureException", what);
    let authorization = text(headers, "authorization").ok_or_else(missing)?;
    let parameters = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(missing)?;
    let parameter = |name: &str| {
        let mut all = parameters.split(',').filter_map(|one| one.trim().split_once('='));
        all.find(|(found, _)| *found == name).map(|(_, value)| value).ok_or_else(|| incomplete(name))
    };
    parameter("Signature")?;
    parameter("SignedHeaders")?;
    let scope: Vec<&str> = parameter("Credential")?.split('/').collect();
    let [_, _, region, named, "aws4_request"] = scope[..] else {
        return Err(incomplete("Credential"));
    };
    if region != REGION {
        return Err(misplaced("Credential should be scoped to a valid region.".to_owned()));
    }
    if named != service {
        return Err(misplaced(format!("Credential should be scoped to correct service: '{service}'.")));
    }
    if text(headers, "x-amz-security-token") == Some(EXPIRED) {
        let message = "The security token included in the request is expired";
        return Err(Refusal::new("ExpiredTokenException", message));
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

fn uuid() -> String {
    let hex: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Seconds since 1970, as JSON 1.1 has them.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("it is later than 1970").as_millis() as f64 / 1000.0
}

const DAY: f64 = 86_400.0;
