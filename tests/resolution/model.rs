//! The rules of resolution written a second time, as plainly as they can be said: one map of rows.
//!
//! Nothing here is shared with the product but the words of an [`Answer`]. Time is in seconds.

use std::collections::BTreeMap;

use undertone_tests::world::scope;

use crate::lookup::Answer;

/// A scope, as `live` or `live/red`.
pub type Place = &'static str;
/// One of a few names.
pub type Name = &'static str;

/// The Environment that is marked as one of development.
const DEVELOPMENT: &str = "dev";

/// Everything that was ever said, and what time it is.
#[derive(Default)]
pub struct Model {
    rows: BTreeMap<(Place, Name), Row>,
    now: u64,
    lives: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Active,
    Unset,
    /// At that time.
    Deleted(u64),
    Destroyed,
}

/// For so long what was deleted can be restored.
const RESTORABLE: u64 = 30 * 24 * 60 * 60;

#[derive(Clone)]
struct Row {
    standing: Standing,
    versions: BTreeMap<u64, Version>,
    current: u64,
    latest: u64,
    disabled: bool,
    locked: bool,
    expires_at: Option<u64>,
    /// Which of the lives of the name it is; a new one begins after `destroy`.
    life: u64,
}

#[derive(Clone)]
struct Version {
    /// `None` blocks.
    value: Option<Vec<u8>>,
    hosts: Option<&'static [&'static str]>,
    revoked: bool,
}

/// Why a verb did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NoRow,
    NoVersion,
    VersionRevoked,
    NotLockable,
}

/// What one scope of a chain says and what became of it, in the words of the explanation, and
/// whether it is locked.
pub type Layer = (&'static str, &'static str, bool);

/// What a handle remembers.
#[derive(Clone)]
pub struct Pinned {
    place: Place,
    name: Name,
    version: u64,
    value: Vec<u8>,
    life: u64,
    expires_at: Option<u64>,
    hosts: Vec<&'static [&'static str]>,
}

impl Model {
    pub fn wait(&mut self, seconds: u64) {
        self.now += seconds;
    }

    pub fn set(
        &mut self,
        place: Place,
        name: Name,
        value: Vec<u8>,
        hosts: Option<&'static [&'static str]>,
        expires_in: Option<u64>,
    ) -> u64 {
        let expires_at = expires_in.map(|seconds| self.now + seconds);
        self.add(place, name, Version { value: Some(value), hosts, revoked: false }, expires_at)
    }

    pub fn block(&mut self, place: Place, name: Name) -> u64 {
        self.add(place, name, Version { value: None, hosts: None, revoked: false }, None)
    }

    fn add(&mut self, place: Place, name: Name, version: Version, expires_at: Option<u64>) -> u64 {
        self.lives += 1;
        let life = self.lives;
        let row = self.rows.entry((place, name)).or_insert_with(|| Row {
            standing: Standing::Active,
            versions: BTreeMap::new(),
            current: 0,
            latest: 0,
            disabled: false,
            locked: false,
            expires_at: None,
            life,
        });
        if row.standing == Standing::Destroyed {
            row.life = life;
        }
        row.standing = Standing::Active;
        row.latest += 1;
        row.current = row.latest;
        row.expires_at = expires_at;
        row.versions.insert(row.latest, version);
        row.latest
    }

    pub fn unset(&mut self, place: Place, name: Name) -> Result<(), Refused> {
        let row = self.active(place, name)?;
        row.standing = Standing::Unset;
        row.locked = false;
        Ok(())
    }

    pub fn delete(&mut self, place: Place, name: Name) -> Result<(), Refused> {
        let now = self.now;
        let row = self.known(place, name)?;
        row.standing = Standing::Deleted(now);
        row.locked = false;
        Ok(())
    }

    pub fn destroy(&mut self, place: Place, name: Name) -> Result<(), Refused> {
        let row = self.known(place, name)?;
        let (latest, life) = (row.latest, row.life);
        *row = Row {
            standing: Standing::Destroyed,
            versions: BTreeMap::new(),
            current: 0,
            latest,
            disabled: false,
            locked: false,
            expires_at: None,
            life,
        };
        Ok(())
    }

    /// Destroys what can't be restored any more.
    pub fn purge(&mut self, place: Place) -> Vec<Name> {
        let over = |row: &Row| matches!(row.standing, Standing::Deleted(at) if at + RESTORABLE <= self.now);
        let due: Vec<Name> = self
            .rows
            .iter()
            .filter(|((at, _), row)| *at == place && over(row))
            .map(|((_, name), _)| *name)
            .collect();
        for name in &due {
            self.destroy(place, name).expect("a deleted row can be destroyed");
        }
        due
    }

    pub fn restore(&mut self, place: Place, name: Name, number: u64) -> Result<(), Refused> {
        let row = self.rows.get_mut(&(place, name)).ok_or(Refused::NoRow)?;
        if row.versions.get(&number).ok_or(Refused::NoVersion)?.revoked {
            return Err(Refused::VersionRevoked);
        }
        if matches!(row.standing, Standing::Deleted(at) if at + RESTORABLE <= self.now) {
            return Err(Refused::NoRow);
        }
        row.standing = Standing::Active;
        row.current = number;
        Ok(())
    }

    pub fn revoke(&mut self, place: Place, name: Name, number: u64) -> Result<(), Refused> {
        let row = self.rows.get_mut(&(place, name)).ok_or(Refused::NoRow)?;
        row.versions.get_mut(&number).ok_or(Refused::NoVersion)?.revoked = true;
        Ok(())
    }

    pub fn set_disabled(&mut self, place: Place, name: Name, disabled: bool) -> Result<(), Refused> {
        self.active(place, name)?.disabled = disabled;
        Ok(())
    }

    pub fn set_locked(&mut self, place: Place, name: Name, locked: bool) -> Result<(), Refused> {
        if locked && place.contains('/') {
            return Err(Refused::NotLockable);
        }
        self.active(place, name)?.locked = locked;
        Ok(())
    }

    fn known(&mut self, place: Place, name: Name) -> Result<&mut Row, Refused> {
        let row = self.rows.get_mut(&(place, name));
        row.filter(|row| row.standing != Standing::Destroyed).ok_or(Refused::NoRow)
    }

    fn active(&mut self, place: Place, name: Name) -> Result<&mut Row, Refused> {
        let row = self.rows.get_mut(&(place, name));
        row.filter(|row| row.standing == Standing::Active).ok_or(Refused::NoRow)
    }

    /// The highest version number that was ever given.
    pub fn latest(&self, place: Place, name: Name) -> u64 {
        self.rows.get(&(place, name)).map_or(0, |row| row.latest)
    }

    /// Who decides: the first locked row from the Environment down, else the nearest row.
    fn decider(&self, place: Place, name: Name) -> Option<Place> {
        let rows = || chain(place).into_iter().filter(|place| self.at(place, name).is_some());
        let locked = rows().find(|place| self.at(place, name).is_some_and(|row| row.locked));
        locked.or_else(|| rows().next_back())
    }

    fn at(&self, place: &Place, name: Name) -> Option<&Row> {
        self.rows.get(&(*place, name)).filter(|row| row.standing == Standing::Active)
    }

    fn state(&self, row: &Row) -> &'static str {
        let version = &row.versions[&row.current];
        match () {
            () if row.disabled => "disabled",
            () if version.revoked => "revoked",
            () if version.value.is_none() => "blocked",
            () if row.expires_at.is_some_and(|at| at <= self.now) => "expired",
            () => "value",
        }
    }

    /// What a lookup answers; the value is the one that must come out.
    pub fn answer(&self, place: Place, name: Name) -> Answer {
        let Some(decider) = self.decider(place, name) else {
            return Answer::NotFound;
        };
        let row = self.at(&decider, name).expect("a decider has a row");
        let (at, version) = (scope(decider), row.current);
        match self.state(row) {
            "blocked" => Answer::Blocked(at),
            "disabled" => Answer::Disabled(at),
            "expired" => Answer::Expired(at),
            "revoked" => Answer::Revoked(at, version),
            _ => {
                let value = row.versions[&version].value.clone().expect("it isn't blocked");
                Answer::Value { value, scope: at, version }
            }
        }
    }

    /// What each scope of the chain says and what became of it.
    pub fn layers(&self, place: Place, name: Name) -> Vec<Layer> {
        let decider = self.decider(place, name);
        let locked = decider.and_then(|place| self.at(&place, name)).is_some_and(|row| row.locked);
        let mut passed = false;
        let mut layers = Vec::new();
        for place in chain(place) {
            let decides = decider == Some(place);
            layers.push(match self.at(&place, name) {
                None => ("absent", "silent", false),
                Some(row) if decides => (self.state(row), "decides", row.locked),
                Some(row) if locked && passed => (self.state(row), "shadowed_by_lock", row.locked),
                Some(row) => (self.state(row), "overridden", row.locked),
            });
            passed |= decides;
        }
        layers
    }

    /// What a handle for the answer remembers, if the answer is a value.
    pub fn pin(&self, place: Place, name: Name) -> Option<Pinned> {
        let Answer::Value { value, version, .. } = self.answer(place, name) else {
            return None;
        };
        let decider = self.decider(place, name)?;
        let row = self.at(&decider, name)?;
        let above = chain(place).into_iter().take_while(|place| *place != decider);
        let rows = above.chain([decider]).filter_map(|place| self.at(&place, name));
        let hosts = rows.filter_map(|row| row.versions[&row.current].hosts).collect();
        let (life, expires_at) = (row.life, row.expires_at);
        Some(Pinned { place: decider, name, version, value, life, expires_at, hosts })
    }

    /// What sending a pinned version to a host answers now.
    pub fn send(&self, pinned: &Pinned, host: &str) -> Answer {
        let at = scope(pinned.place);
        if pinned.expires_at.is_some_and(|at| at <= self.now) {
            return Answer::Expired(at);
        }
        let row = &self.rows[&(pinned.place, pinned.name)];
        let gone =
            row.life != pinned.life || matches!(row.standing, Standing::Deleted(_) | Standing::Destroyed);
        if gone {
            return Answer::Revoked(at, pinned.version);
        }
        if row.disabled {
            return Answer::Disabled(at);
        }
        if row.versions[&pinned.version].revoked {
            return Answer::Revoked(at, pinned.version);
        }
        // Without any host rule a secret leaves in a development Environment only.
        let unbound = pinned.hosts.is_empty() && !pinned.place.starts_with(DEVELOPMENT);
        if unbound || !pinned.hosts.iter().all(|hosts| hosts.contains(&host)) {
            return Answer::HostRefused;
        }
        Answer::Value { value: pinned.value.clone(), scope: at, version: pinned.version }
    }
}

/// The scopes of a chain from the Environment down.
fn chain(place: Place) -> Vec<Place> {
    match place.split_once('/') {
        None => vec![place],
        Some((environment, _)) => vec![environment, place],
    }
}
