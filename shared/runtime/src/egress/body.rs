//! Injection: opened values into headers, query and body, in buffers that are wiped.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use undertone_core::Revealed;
use url::Url;
use zeroize::Zeroizing;

use super::error::EgressError;
use super::request::{Injection, Place};

/// What is sent, with the secrets in it.
pub(super) struct Wire {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// Plain headers, checked.
pub(super) fn plain_headers(headers: &[(String, String)]) -> Result<HeaderMap, EgressError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = header_name(name)?;
        let value = HeaderValue::from_str(value).map_err(|_| bad_header(name.as_str()))?;
        map.append(name, value);
    }
    Ok(map)
}

/// Puts the opened values in their places.
pub(super) fn inject(
    mut url: Url,
    mut headers: HeaderMap,
    body: Option<&Value>,
    injections: &[Injection<'_>],
    values: &[Revealed],
) -> Result<Wire, EgressError> {
    let mut fields: Vec<(&str, &[u8])> = Vec::new();
    for (injection, value) in injections.iter().zip(values) {
        let value = value.expose();
        match &injection.place {
            Place::Bearer => put(&mut headers, AUTHORIZATION, &[b"Bearer ", value])?,
            Place::Basic { user } => {
                let pair = joined(&[user.as_bytes(), b":", value]);
                let mut encoded = Zeroizing::new(vec![0; pair.len().div_ceil(3) * 4]);
                let length =
                    STANDARD.encode_slice(pair.as_slice(), &mut encoded).expect("base64 fits in 4/3");
                put(&mut headers, AUTHORIZATION, &[b"Basic ", &encoded[..length]])?;
            }
            Place::Header { name } => put(&mut headers, header_name(name)?, &[value])?,
            Place::HeaderTemplate { name, before, after } => {
                put(&mut headers, header_name(name)?, &[before.as_bytes(), value, after.as_bytes()])?;
            }
            Place::Query { name } => {
                let text = text(value, "a secret that isn't UTF-8 can't go in a query")?;
                url.query_pairs_mut().append_pair(name, text);
            }
            Place::JsonField { pointer } => fields.push((pointer, value)),
        }
    }
    let body = json_body(body, &fields)?;
    if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(Wire { url, headers, body })
}

/// The body as bytes. A secret is spliced into the serialised text where a placeholder stands, so
/// that it never becomes part of a `Value`, whose strings aren't wiped.
fn json_body(body: Option<&Value>, fields: &[(&str, &[u8])]) -> Result<Option<Bytes>, EgressError> {
    if body.is_none() && fields.is_empty() {
        return Ok(None);
    }
    let mut body = body.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let mut holes: HashMap<String, Zeroizing<String>> = HashMap::new();
    for (pointer, value) in fields {
        let text = text(value, "a secret that isn't UTF-8 can't go in a JSON field")?;
        let hole = format!("{:032x}", u128::from_be_bytes(undertone_core::random_bytes()));
        set_at(&mut body, pointer, Value::String(hole.clone()))?;
        let quoted = Zeroizing::new(serde_json::to_string(text).expect("texts serialise"));
        holes.insert(hole, quoted);
    }
    let text = serde_json::to_string(&body).expect("values serialise");
    let room: usize = holes.values().map(|quoted| quoted.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + room));
    let mut rest = text.as_str();
    // Every hole stands in quotes; 128 random bits stand nowhere else.
    while let Some((at, hole)) = next_hole(rest, &holes) {
        out.extend_from_slice(&rest.as_bytes()[..at - 1]);
        out.extend_from_slice(holes[hole].as_bytes());
        rest = &rest[at + hole.len() + 1..];
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(Some(Bytes::from_owner(out)))
}

fn next_hole<'h>(text: &str, holes: &'h HashMap<String, Zeroizing<String>>) -> Option<(usize, &'h str)> {
    holes.keys().filter_map(|hole| Some((text.find(hole.as_str())?, hole.as_str()))).min()
}

fn set_at(body: &mut Value, pointer: &str, value: Value) -> Result<(), EgressError> {
    let (parent, leaf) = pointer.rsplit_once('/').expect("a pointer starts with a slash");
    let leaf = leaf.replace("~1", "/").replace("~0", "~");
    let parent = body.pointer_mut(parent);
    match parent {
        Some(Value::Object(fields)) => {
            fields.insert(leaf, value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            match leaf.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => {
                    *item = value;
                    Ok(())
                }
                None => Err(EgressError::BadBody("the secret's JSON pointer leads to no element")),
            }
        }
        _ => Err(EgressError::BadBody("the secret's JSON pointer has no parent in the body")),
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, parts: &[&[u8]]) -> Result<(), EgressError> {
    // The value keeps this buffer, which wipes itself when the request is dropped.
    let bytes = Bytes::from_owner(joined(parts));
    let mut value = HeaderValue::from_maybe_shared(bytes).map_err(|_| bad_header(name.as_str()))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

fn header_name(name: &str) -> Result<HeaderName, EgressError> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad_header(name))?;
    let framing = ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"];
    if framing.contains(&name.as_str()) {
        return Err(bad_header(name.as_str()));
    }
    Ok(name)
}

fn bad_header(name: &str) -> EgressError {
    EgressError::BadHeader(undertone_core::escaped(name))
}

fn text<'v>(value: &'v [u8], problem: &'static str) -> Result<&'v str, EgressError> {
    std::str::from_utf8(value).map_err(|_| EgressError::BadBody(problem))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_lands_in_the_body_as_one_json_string() {
        for (body, pointer, value, want) in [
            (json!({"a": 1}), "/token", "s3cret", json!({"a": 1, "token": "s3cret"})),
            (json!({"a": {"b": null}}), "/a/b", "x\"y\\z\n", json!({"a": {"b": "x\"y\\z\n"}})),
            (json!({"a": [1, 2]}), "/a/1", "é", json!({"a": [1, "é"]})),
            (json!({}), "/a~1b", "v", json!({"a/b": "v"})),
        ] {
            let bytes = json_body(Some(&body), &[(pointer, value.as_bytes())]).unwrap().unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), want);
        }
        let two = json_body(None, &[("/a", b"1"), ("/b", b"2")]).unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&two).unwrap(), json!({"a": "1", "b": "2"}));
    }

    #[test]
    fn a_pointer_to_nowhere_is_refused() {
        for (body, pointer) in
            [(json!({}), "/a/b"), (json!([1]), "/1"), (json!("x"), "/a"), (json!({"a": 1}), "/a/b")]
        {
            assert!(json_body(Some(&body), &[(pointer, b"v")]).is_err(), "{pointer}");
        }
    }

    #[test]
    fn headers_can_not_be_split_or_framed_anew() {
        for (name, value) in [
            ("X", "a\r\nY: b"),
            ("X", "a\0"),
            ("X Y", "a"),
            ("X\n", "a"),
            ("Host", "evil"),
            ("Content-Length", "0"),
            ("Transfer-Encoding", "chunked"),
        ] {
            assert!(plain_headers(&[(name.to_owned(), value.to_owned())]).is_err(), "{name:?}: {value:?}");
        }
        let mut headers = HeaderMap::new();
        assert!(put(&mut headers, AUTHORIZATION, &[b"Bearer ", b"a\r\nX: b"]).is_err());
    }
}
