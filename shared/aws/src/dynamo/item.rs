//! Items as they lie in the table: every attribute is sealed, together with the key it lies at.
//!
//! The MAC covers whatever attributes there are, so none can be forgotten, and none can be added,
//! taken away or moved to another item. What doesn't fit its type is damage, never a guess.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use undertone_core::seals::{Mac, Seals};

use super::place::Place;

const MAC: &str = "mac";

/// The attributes of an item, its key left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields(HashMap<String, AttributeValue>);

/// An item: its key, and its other attributes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) fields: Fields,
}

/// The attributes aren't those that were sealed, or don't have the right form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edited;

impl Item {
    /// An item to store: its MAC is added.
    pub(super) fn sealed(place: Place, mut fields: Fields, seals: &Seals) -> (Self, Mac) {
        let mac = seals.document(&[&place.pk, &place.sk], &fields.canonical()).mac();
        fields.0.insert(MAC.to_owned(), AttributeValue::B(Blob::new(mac)));
        (Self { place, fields }, mac)
    }

    /// An item that was read. Nothing of it may be believed yet.
    pub(super) fn read(mut attributes: HashMap<String, AttributeValue>) -> Result<Self, Edited> {
        let mut key = |name| match attributes.remove(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            Some(_) | None => Err(Edited),
        };
        let place = Place { pk: key("pk")?, sk: key("sk")? };
        Ok(Self { place, fields: Fields(attributes) })
    }

    /// The attributes, if they are as they were sealed, with their MAC.
    pub(super) fn check(&self, seals: &Seals) -> Result<(&Fields, Mac), Edited> {
        let stored: Mac = self.fields.array(MAC)?;
        let sealed = seals.document(&[&self.place.pk, &self.place.sk], &self.fields.canonical());
        if !sealed.is(&stored) {
            return Err(Edited);
        }
        Ok((&self.fields, stored))
    }

    /// How the table counts its size.
    pub(super) fn size(&self) -> usize {
        let key = "pk".len() + self.place.pk.len() + "sk".len() + self.place.sk.len();
        key + self.fields.size()
    }

    /// All attributes, to be sent.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        let mut attributes = self.fields.0.clone();
        attributes.insert("pk".to_owned(), AttributeValue::S(self.place.pk.clone()));
        attributes.insert("sk".to_owned(), AttributeValue::S(self.place.sk.clone()));
        attributes
    }
}

/// Adding attributes.
impl Fields {
    pub(super) fn with_text(self, name: &str, text: &str) -> Self {
        self.with(name, AttributeValue::S(text.to_owned()))
    }

    pub(super) fn with_number(self, name: &str, number: u64) -> Self {
        self.with(name, AttributeValue::N(number.to_string()))
    }

    pub(super) fn with_flag(self, name: &str, flag: bool) -> Self {
        self.with(name, AttributeValue::Bool(flag))
    }

    pub(super) fn with_bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.with(name, AttributeValue::B(Blob::new(bytes)))
    }

    pub(super) fn with_list(self, name: &str, list: impl Iterator<Item = Vec<u8>>) -> Self {
        self.with(name, AttributeValue::L(list.map(|bytes| AttributeValue::B(Blob::new(bytes))).collect()))
    }

    pub(super) fn with_time(self, name: &str, time: Timestamp) -> Self {
        self.with_text(name, &time.to_string())
    }

    /// No time is no attribute.
    pub(super) fn with_maybe_time(self, name: &str, time: Option<Timestamp>) -> Self {
        match time {
            None => self,
            Some(time) => self.with_time(name, time),
        }
    }

    fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

/// Reading attributes.
impl Fields {
    pub(super) fn text(&self, name: &str) -> Result<&str, Edited> {
        match self.0.get(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            Some(_) | None => Err(Edited),
        }
    }

    pub(super) fn parsed<T: FromStr>(&self, name: &str) -> Result<T, Edited> {
        self.text(name)?.parse().map_err(|_| Edited)
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Edited> {
        match self.0.get(name) {
            Some(AttributeValue::N(number)) => number.parse().map_err(|_| Edited),
            Some(_) | None => Err(Edited),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Edited> {
        match self.0.get(name) {
            Some(AttributeValue::Bool(flag)) => Ok(*flag),
            Some(_) | None => Err(Edited),
        }
    }

    pub(super) fn bytes(&self, name: &str) -> Result<&[u8], Edited> {
        match self.0.get(name) {
            Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref()),
            Some(_) | None => Err(Edited),
        }
    }

    pub(super) fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], Edited> {
        self.bytes(name)?.try_into().map_err(|_| Edited)
    }

    pub(super) fn list(&self, name: &str) -> Result<Vec<&[u8]>, Edited> {
        let Some(AttributeValue::L(list)) = self.0.get(name) else {
            return Err(Edited);
        };
        let bytes = list.iter().map(|value| match value {
            AttributeValue::B(bytes) => Ok(bytes.as_ref()),
            _ => Err(Edited),
        });
        bytes.collect()
    }

    pub(super) fn time(&self, name: &str) -> Result<Timestamp, Edited> {
        self.parsed(name)
    }

    pub(super) fn maybe_time(&self, name: &str) -> Result<Option<Timestamp>, Edited> {
        self.has(name).then(|| self.time(name)).transpose()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What the MAC covers. No two sets of attributes have the same bytes.
    fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size() + 512);
        let sealed: BTreeMap<&String, &AttributeValue> =
            self.0.iter().filter(|(name, _)| *name != MAC).collect();
        write_length(&mut out, sealed.len());
        for (name, value) in sealed {
            write_bytes(&mut out, name.as_bytes());
            write_value(&mut out, value);
        }
        out
    }

    fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value_size(value)).sum()
    }
}

fn write_value(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => {
            out.push(b'S');
            write_bytes(out, text.as_bytes());
        }
        AttributeValue::N(number) => {
            out.push(b'N');
            write_bytes(out, number.as_bytes());
        }
        AttributeValue::B(bytes) => {
            out.push(b'B');
            write_bytes(out, bytes.as_ref());
        }
        AttributeValue::Bool(flag) => out.extend_from_slice(if *flag { b"F1" } else { b"F0" }),
        AttributeValue::L(list) => {
            out.push(b'L');
            write_length(out, list.len());
            list.iter().for_each(|value| write_value(out, value));
        }
        // A kind that is never written: the name before it makes the MAC a wrong one.
        _ => out.push(b'?'),
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).expect("an item is far below 4 GiB").to_be_bytes());
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len() / 2 + 2,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| value_size(value) + 1).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields::default()
            .with_text("text", "a")
            .with_number("number", 7)
            .with_list("list", [b"x".to_vec(), b"yz".to_vec()].into_iter())
            .with_flag("flag", true)
    }

    fn place(sk: &str) -> Place {
        Place { pk: "p".to_owned(), sk: sk.to_owned() }
    }

    #[test]
    fn any_other_attribute_place_or_key_makes_the_mac_a_wrong_one() {
        let seals = Seals::new(&[7; 32]);
        let (item, mac) = Item::sealed(place("s"), fields(), &seals);
        assert_eq!(item.check(&seals).map(|(_, stored)| stored), Ok(mac));
        let set = AttributeValue::Ss(vec!["a".to_owned()]);
        for (what, edited) in [
            ("a text", fields().with_text("text", "b")),
            ("a number", fields().with_number("number", 8)),
            ("another type", fields().with_text("number", "7")),
            ("a list cut elsewhere", fields().with_list("list", [b"xy".to_vec(), b"z".to_vec()].into_iter())),
            ("a flag", fields().with_flag("flag", false)),
            ("one more", fields().with_text("more", "")),
            ("one of an unknown type", fields().with("text", set)),
            ("none", Fields::default()),
        ] {
            let edited = Item { place: place("s"), fields: edited.with_bytes(MAC, &mac) };
            assert_eq!(edited.check(&seals).err(), Some(Edited), "{what}");
        }
        assert!(Item { place: place("t"), ..item.clone() }.check(&seals).is_err(), "it was moved");
        assert!(item.check(&Seals::new(&[8; 32])).is_err(), "another store's");
        assert!(Item { fields: fields(), ..item }.check(&seals).is_err(), "no MAC");
    }

    #[test]
    fn an_item_comes_back_as_it_was_sealed() {
        let seals = Seals::new(&[7; 32]);
        let (item, _) = Item::sealed(place("s"), fields(), &seals);
        assert_eq!(Item::read(item.attributes()), Ok(item.clone()));
        let (fields, _) = item.check(&seals).unwrap();
        assert_eq!((fields.text("text"), fields.number("number")), (Ok("a"), Ok(7)));
        assert_eq!(fields.list("list"), Ok(vec![&b"x"[..], b"yz"]));
        assert_eq!((fields.flag("flag"), fields.maybe_time("none")), (Ok(true), Ok(None)));
        assert_eq!((fields.text("number"), fields.number("text")), (Err(Edited), Err(Edited)));
    }
}
