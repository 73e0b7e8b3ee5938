//! The proxy of the process's environment is nobody's word.

use undertone_tests::child::{is_child, run_again};
use undertone_tests::servers::{Answer, Server};

use super::{kind, send, server, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_in_the_environment_are_ignored() {
    if is_child() {
        return as_child().await;
    }
    let proxy = Server::plain(|_| Answer::new(200, &[], "from the proxy")).await;
    let direct = server().await;
    let (proxy_url, target) = (proxy.url(""), direct.url("/"));
    let variables: Vec<(&str, &str)> =
        ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"]
            .into_iter()
            .map(|name| (name, proxy_url.as_str()))
            .chain([("NO_PROXY", ""), ("no_proxy", ""), ("TARGET", target.as_str())])
            .collect();
    let test = "proxies::proxies_in_the_environment_are_ignored";
    let output = tokio::task::block_in_place(|| run_again(test, &variables));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // The child's first request, of a client that believes its environment, went to the proxy.
    assert_eq!((proxy.requests().len(), direct.requests().len()), (1, 1));
    assert_eq!(proxy.requests()[0].header("x-who"), Some(&b"believer"[..]));
}

async fn as_child() {
    let target = std::env::var("TARGET").unwrap();
    let believer = reqwest::Client::new().get(&target).header("x-who", "believer").send().await.unwrap();
    assert_eq!(believer.text().await.unwrap(), "from the proxy");
    let world = world().await;
    let result = send(&world, "dev", move |http, token| http.post(&target).bearer(token)).await;
    assert_eq!(kind(&result), "200");
    assert_eq!(result.unwrap().bytes(), b"fine");
}
