//! Lines of audit in a log: how they are written, and how exported ones are checked.
//!
//! A line is `{"audit":BODY,"writer":"..","sequence":N,"mac":".."}`. BODY is the text that the MAC
//! covers, byte for byte; so lines are taken apart as text and not as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use undertone_core::AuditError;
use undertone_core::audit::{AuditRow, CHAIN_START, ChainCheck, Verified};

use super::AuditFault;
use super::segment::WriterId;
use crate::StoreKey;

const START: &str = "{\"audit\":";
const WRITER: &str = ",\"writer\":\"";
const SEQUENCE: &str = "\",\"sequence\":";
const MAC: &str = ",\"mac\":\"";
const END: &str = "\"}";

pub(super) fn line(body: &str, writer: WriterId, sequence: u64, mac: &[u8; 32]) -> String {
    let mut line = format!("{START}{body}{WRITER}{writer}{SEQUENCE}{sequence}{MAC}");
    mac.iter().for_each(|byte| write!(line, "{byte:02x}").expect("a String takes everything"));
    line + END + "\n"
}

/// Checks exported lines: for every writer found whether its rows are as they were written, from
/// its first on. Other lines of the log are passed over, and so is what stands before a row in its
/// line; order doesn't matter, nor do doubles.
///
/// A log has no seal at its end: that a writer's last rows are missing isn't found.
///
/// # Errors
/// If the store key can't be unwrapped.
pub async fn verify_lines<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    store_key: &StoreKey,
) -> Result<Vec<(WriterId, Verified)>, AuditError> {
    let mut writers: BTreeMap<WriterId, Vec<AuditRow>> = BTreeMap::new();
    for (writer, row) in lines.into_iter().filter_map(read) {
        writers.entry(writer).or_default().push(row);
    }
    let derived = store_key.derived().await.map_err(AuditFault::from)?;
    let verified = writers.into_iter().map(|(writer, mut rows)| {
        rows.sort_by(|one, other| {
            (one.sequence, &one.body, one.mac).cmp(&(other.sequence, &other.body, other.mac))
        });
        rows.dedup();
        let chain = writer.chain(&derived.chain);
        let mut check = ChainCheck::new(&chain);
        let broken = rows.iter().find_map(|row| check.row(row).err());
        let rows = rows.last().map_or(0, |last| last.sequence);
        (writer, broken.unwrap_or(Verified::Intact { rows }))
    });
    Ok(verified.collect())
}

/// A line that holds a row. A row with a field that can't be read was edited: in its stead stands
/// one that no MAC fits.
fn read(line: &str) -> Option<(WriterId, AuditRow)> {
    let (_, row) = line.split_once(START)?;
    let (body, row) = row.rsplit_once(WRITER)?;
    let (writer, row) = row.split_once(SEQUENCE)?;
    let (sequence, row) = row.split_once(MAC)?;
    let (mac, _) = row.split_once(END)?;
    let row = AuditRow {
        sequence: sequence.parse().unwrap_or(0),
        body: body.to_owned(),
        mac: bytes(mac).unwrap_or(CHAIN_START),
    };
    Some((writer.parse().ok()?, row))
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let pairs = hex.as_bytes().chunks(2);
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
