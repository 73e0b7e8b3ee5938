//! A name server that answers as it is told, also like a hostile one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use undertone_runtime::egress::Lookup;

/// Answers to lookups, and which were made.
#[derive(Default)]
pub struct Network {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Network {
    /// What the host resolves to: one list of addresses per lookup, and the last one ever after.
    pub fn answer(&self, host: &str, answers: &[&[&str]]) {
        let parse = |address: &&str| address.parse().expect("an address of a test is one");
        let answers = answers.iter().map(|list| list.iter().map(parse).collect()).collect();
        self.answers.lock().expect("no test panics with this lock").insert(host.to_owned(), answers);
    }

    /// Every lookup so far, by host.
    pub fn lookups(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics with this lock").clone()
    }

    fn next(&self, host: &str) -> Option<Vec<IpAddr>> {
        self.asked.lock().expect("no test panics with this lock").push(host.to_owned());
        let mut answers = self.answers.lock().expect("no test panics with this lock");
        let answers = answers.get_mut(host)?;
        match answers.len() {
            0 | 1 => answers.first().cloned(),
            _ => Some(answers.remove(0)),
        }
    }
}

impl Lookup for Network {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        let unknown = || std::io::Error::new(std::io::ErrorKind::NotFound, "no such host");
        let answer = self.next(&host).ok_or_else(unknown);
        let addresses = |answer: Vec<IpAddr>| answer.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
        Box::pin(async move { answer.map(addresses) })
    }
}
