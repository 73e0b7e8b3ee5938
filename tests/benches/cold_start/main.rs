//! What a new process of slack-notifier costs until its first event is answered, beside the least
//! that answers an invocation and the least that makes the same calls.
//!
//! `cargo bench -p undertone-tests --bench cold_start`, with `-- --check` to fail if a target is missed.
//!
//! The event needs two secrets of one Environment, from Secrets Manager under KMS, and posts with
//! them. AWS and Slack are played on loopback, and so is Lambda. What waits for AWS and Slack, a
//! handshake of TLS included, is the network's time and subtracted; with TLS the process trusts the
//! machine's root certificates and one more, as many as on Lambda.

#[path = "../ratio.rs"]
mod ratio;

mod front;
mod installation;
mod process;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use undertone_tests::certificates::{Authority, Shown};
use undertone_tests::fake_aws::{FakeAws, REGION};
use undertone_tests::servers::{Answer, Server};

use front::{Front, together};
use process::{Start, start};

const ROUNDS: usize = 21;
/// Where systems keep the certificates that they trust.
const ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// What is started.
struct Program {
    name: &'static str,
    path: PathBuf,
    variables: Vec<(&'static str, String)>,
    fronts: Vec<Front>,
    starts: Vec<(Start, Duration)>,
}

#[tokio::main]
async fn main() {
    let [notifier, bare, calls] = built();
    let aws = FakeAws::start().await;
    let made = installation::set_up(&aws).await;
    let slack = Server::plain(|_| {
        let posted = json!({ "ok": true, "channel": "C0123456789", "ts": "1700000000.000100" });
        Answer::new(200, &[("content-type", "application/json")], posted.to_string())
    });
    let slack = slack.await;
    let authority = Authority::default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, trusted(&authority)).expect("a temporary file can be written");

    let event = json!({
        "id": "evt_1", "topic": "job:completed", "context": { "environmentId": "dev", "spaceId": "sp_acme" },
        "payload": { "job": "import", "status": "complete" },
    });
    let mut programs = vec![Program {
        name: "bare lambda_runtime",
        path: bare,
        variables: Vec::new(),
        fronts: Vec::new(),
        starts: Vec::new(),
    }];
    let (aws_at, slack_at) = (address(&aws.url()), address(&slack.url("")));
    for (name, path, tls) in [
        ("the calls alone, plain", &calls, None),
        ("slack-notifier, plain", &notifier, None),
        ("the calls alone, TLS", &calls, Some(&authority)),
        ("slack-notifier, TLS", &notifier, Some(&authority)),
    ] {
        let roots = roots.display().to_string();
        programs.push(Program::over(name, path.clone(), tls, &made, aws_at, slack_at, roots).await);
    }
    for round in 0..=ROUNDS {
        for program in &mut programs {
            let start = program.start(&event).await;
            // The first is for the disk's cache.
            if 0 < round {
                program.starts.push(start);
            }
        }
    }
    report(&programs);
}

impl Program {
    /// A program over AWS.
    async fn over(
        name: &'static str,
        path: PathBuf,
        tls: Option<&Authority>,
        made: &installation::Made,
        aws: SocketAddr,
        slack: SocketAddr,
        roots: String,
    ) -> Self {
        let acceptor = || tls.map(|authority| authority.acceptor(Shown::Right));
        // Two hosts, as in AWS: they share no connection.
        let kms = Front::before(aws, acceptor()).await;
        let secrets = Front::before(aws, acceptor()).await;
        let slack = Front::before(slack, None).await;
        let text = str::to_owned;
        let variables = vec![
            ("AWS_REGION", text(REGION)),
            ("AWS_ACCESS_KEY_ID", text("AKIDBENCH")),
            ("AWS_SECRET_ACCESS_KEY", text("bench")),
            ("AWS_SESSION_TOKEN", text("bench")),
            ("AWS_ENDPOINT_URL_KMS", text(kms.url())),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", text(secrets.url())),
            ("SLACK_API_URL", text(slack.url())),
            ("SSL_CERT_FILE", roots),
            ("UNDERTONE_STORE", text("secrets-manager")),
            ("UNDERTONE_PREFIX", text(installation::PREFIX)),
            ("UNDERTONE_KMS_KEY", text(&made.key)),
            ("BARE_KMS_KEY", text(&made.key)),
            ("BARE_CIPHERTEXT", text(&made.ciphertext)),
            ("BARE_SECRETS", text(&made.secrets)),
            ("UNDERTONE_AUDIT", text("log")),
        ];
        Self { name, path, variables, fronts: vec![kms, secrets, slack], starts: Vec::new() }
    }

    /// One start, and for how long of it the network was waited for.
    async fn start(&self, event: &Value) -> (Start, Duration) {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let start = start(&self.path, &variables, event).await;
        (start, together(self.fronts.iter().flat_map(Front::waited).collect()))
    }

    fn median<T: Ord>(&self, of: impl Fn(&(Start, Duration)) -> T) -> T {
        let mut all: Vec<T> = self.starts.iter().map(of).collect();
        all.sort();
        all.swap_remove(self.starts.len() / 2)
    }

    /// What the process itself took.
    fn own(&self) -> Duration {
        self.median(|(start, network)| start.whole.saturating_sub(*network))
    }
}

fn report(programs: &[Program]) {
    println!("medians of {ROUNDS} starts, in turn");
    println!(
        "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9}",
        "", "whole", "network", "own", "init", "CPU", "resident", "peak"
    );
    for program in programs {
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        println!(
            "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9}",
            program.name,
            ms(program.median(|(start, _)| start.whole)),
            ms(program.median(|(_, network)| *network)),
            ms(program.own()),
            ms(program.median(|(start, _)| start.init)),
            ms(program.median(|(start, _)| start.cpu)),
            mib(program.median(|(start, _)| start.resident)),
            mib(program.median(|(start, _)| start.peak)),
        );
    }
    let [bare, calls_plain, plain, calls_tls, tls] = programs else { unreachable!("five are started") };
    let mut met = true;
    for (program, calls) in [(plain, calls_plain), (tls, calls_tls)] {
        let over = |other: &Program| program.own().as_secs_f64() / other.own().as_secs_f64();
        met &= ratio::report(&format!("{}: start over the calls alone", program.name), over(calls), 1.3);
        ratio::note(&format!("{}: start over bare", program.name), over(bare));
    }
    let cpu = |program: &Program| program.median(|(start, _)| start.cpu).as_secs_f64();
    met &= ratio::report(
        "CPU to the first answer over TLS, over the calls alone",
        cpu(tls) / cpu(calls_tls),
        1.3,
    );
    let resident = tls.median(|(start, _)| start.resident);
    met &= ratio::memory("resident after the first answer over TLS", resident, 12.0);
    ratio::end(met);
}

/// The programs in the profile for functions.
fn built() -> [PathBuf; 3] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let features = ["--no-default-features", "--features", "aws,lambda"];
    let programs = [
        ("slack-notifier", "slack-notifier", &features[..]),
        ("bare-lambda", "bare-lambda", &[]),
        ("bare-lambda", "bare-calls", &[]),
    ];
    programs.map(|(package, name, features)| {
        let mut build = Command::new(&cargo);
        build.args([
            "build",
            "--locked",
            "--profile",
            "function",
            "--message-format=json",
            "--package",
            package,
            "--bin",
            name,
        ]);
        build.args(features).current_dir(&root).stderr(std::process::Stdio::inherit());
        let built = build.output().expect("cargo runs");
        assert!(built.status.success(), "{name} doesn't build");
        let messages = String::from_utf8(built.stdout).expect("cargo writes UTF-8");
        let executable = |line: &str| {
            let message: Value = serde_json::from_str(line).ok()?;
            message["executable"].as_str().map(PathBuf::from)
        };
        let path = messages.lines().find_map(executable);
        path.unwrap_or_else(|| panic!("cargo doesn't say where {name} is"))
    })
}

/// The machine's root certificates, and this one.
fn trusted(authority: &Authority) -> String {
    let machine = ROOTS.iter().find_map(|path| std::fs::read_to_string(path).ok());
    machine.unwrap_or_default() + &authority.root_pem()
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().expect("a server on loopback is an address and a port")
}
