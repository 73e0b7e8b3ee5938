//! Listeners: which handlers take which events, and which secrets they declare.
//!
//! What is wrong with a topic, a filter or a declaration is said once, when the listener is
//! built, and not event by event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use undertone_core::{AgentId, HostError, HostRule, IdError, NameError, SecretName};

use crate::event::EventData;
use crate::handler::Handler;
use crate::matching::{Filter, FilterError, Index, IntoFilter, IntoTopics, PatternError, Topics};

/// A listener under construction.
#[must_use = "a listener does nothing until it is run"]
pub struct Listener {
    slug: String,
    uses: BTreeMap<String, Vec<String>>,
    routes: Vec<Route>,
    /// The routes of children, in the order in which they run: after all of this listener's own.
    nested: Vec<Route>,
    namespaces: Vec<Topics>,
    problems: Vec<ListenerError>,
}

struct Route {
    topics: Topics,
    filter: Filter,
    /// Each must match one of the event's namespaces.
    namespaces: Vec<Topics>,
    handler: Arc<dyn Handler>,
}

/// Why a listener can't run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    /// Its slug isn't one.
    #[error("the listener's slug is refused: {0}")]
    Slug(IdError),
    /// A topic isn't one.
    #[error("a topic is refused: {0}")]
    Topic(PatternError),
    /// A filter isn't one.
    #[error("a filter is refused: {0}")]
    Filter(FilterError),
    /// A declared name isn't one.
    #[error("a declared secret is refused: {0}")]
    Name(NameError),
    /// A declared host isn't one.
    #[error("a declared host is refused: {0}")]
    Host(HostError),
}

/// A declared secret: its name, and optionally the hosts to which this listener sends it.
pub struct Uses {
    name: String,
    hosts: Vec<String>,
}

impl Uses {
    /// A secret by name.
    pub fn secret(name: &str) -> Self {
        Self { name: name.to_owned(), hosts: Vec::new() }
    }

    /// One more host. A use must be allowed here and by the rules that the secret's owners set.
    pub fn host(mut self, host: &str) -> Self {
        self.hosts.push(host.to_owned());
        self
    }
}

impl From<&str> for Uses {
    fn from(name: &str) -> Self {
        Self::secret(name)
    }
}

impl Listener {
    /// An empty listener. The slug names it in rows of audit and in operators' grants.
    pub fn new(slug: &str) -> Self {
        Self {
            slug: slug.to_owned(),
            uses: BTreeMap::new(),
            routes: Vec::new(),
            nested: Vec::new(),
            namespaces: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The slug, as it was given.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// Declares a secret. One that isn't declared is refused whatever the store holds.
    pub fn uses(mut self, secret: impl Into<Uses>) -> Self {
        let Uses { name, hosts } = secret.into();
        self.uses.entry(name).or_default().extend(hosts);
        self
    }

    /// Takes events by topic: one pattern or a list of which one must match.
    pub fn on(self, topics: impl IntoTopics, handler: impl Handler) -> Self {
        self.route(topics, Ok(Filter::any()), Arc::new(handler))
    }

    /// Takes events by topic and by what they hold: see [`filter!`](crate::filter).
    pub fn on_where(self, topics: impl IntoTopics, filter: impl IntoFilter, handler: impl Handler) -> Self {
        let filter = filter.into_filter();
        self.route(topics, filter, Arc::new(handler))
    }

    /// Adds handlers that take only events of a namespace, such as `space:red`; nests. They run
    /// after those that stand outside of it.
    pub fn namespace(
        mut self,
        namespaces: impl IntoTopics,
        build: impl FnOnce(Listener) -> Listener,
    ) -> Self {
        match namespaces.into_topics() {
            Ok(namespaces) => self.namespaces.push(namespaces),
            Err(error) => {
                self.problems.push(ListenerError::Topic(error));
                return self;
            }
        }
        let (routes, nested) = (std::mem::take(&mut self.routes), std::mem::take(&mut self.nested));
        let mut listener = build(self);
        listener.namespaces.pop();
        let inner = std::mem::replace(&mut listener.routes, routes);
        let innermost = std::mem::replace(&mut listener.nested, nested);
        listener.nested.extend(inner.into_iter().chain(innermost));
        listener
    }

    /// Adds another listener's declarations, and its handlers after all of this one's own.
    pub fn nest(mut self, child: Listener) -> Self {
        for route in child.routes.into_iter().chain(child.nested) {
            let namespaces = self.namespaces.iter().cloned().chain(route.namespaces).collect();
            self.nested.push(Route { namespaces, ..route });
        }
        for (name, hosts) in child.uses {
            self.uses.entry(name).or_default().extend(hosts);
        }
        self.problems.extend(child.problems);
        self
    }

    fn route(
        mut self,
        topics: impl IntoTopics,
        filter: Result<Filter, FilterError>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        match (topics.into_topics(), filter) {
            (Ok(topics), Ok(filter)) => {
                let namespaces = self.namespaces.clone();
                self.routes.push(Route { topics, filter, namespaces, handler });
            }
            (Err(error), _) => self.problems.push(ListenerError::Topic(error)),
            (_, Err(error)) => self.problems.push(ListenerError::Filter(error)),
        }
        self
    }

    /// Every topic pattern, each once.
    pub(crate) fn topics(&self) -> BTreeSet<String> {
        let routes = self.routes.iter().chain(&self.nested);
        routes.flat_map(|route| route.topics.texts()).map(str::to_owned).collect()
    }

    /// Checks the listener and builds its index.
    pub(crate) fn compile(self) -> Result<Compiled, ListenerError> {
        if let Some(problem) = self.problems.into_iter().next() {
            return Err(problem);
        }
        let agent = self.slug.parse().map_err(ListenerError::Slug)?;
        let mut secrets = BTreeMap::new();
        for (name, hosts) in self.uses {
            let name: SecretName = name.parse().map_err(ListenerError::Name)?;
            let hosts: Result<BTreeSet<HostRule>, HostError> =
                hosts.iter().map(|host| host.parse()).collect();
            let hosts = hosts.map_err(ListenerError::Host)?;
            secrets.insert(name, Some(hosts).filter(|hosts| !hosts.is_empty()));
        }
        let mut routes = self.routes;
        routes.extend(self.nested);
        let index =
            Index::new(routes.iter().map(|route| (route.topics.clone(), route.filter.clone())).collect());
        let routes = routes.into_iter().map(|route| (route.namespaces, route.handler)).collect();
        Ok(Compiled { agent, secrets, index, routes })
    }
}

/// A listener that can run.
pub(crate) struct Compiled {
    pub(crate) agent: AgentId,
    pub(crate) secrets: BTreeMap<SecretName, Option<BTreeSet<HostRule>>>,
    index: Index,
    routes: Vec<(Vec<Topics>, Arc<dyn Handler>)>,
}

impl Compiled {
    /// The handlers that take the event, with their positions, in registration order.
    pub(crate) fn matching(&self, event: &EventData) -> Vec<(usize, &Arc<dyn Handler>)> {
        let in_namespace = |topics: &Topics| event.namespaces().any(|namespace| topics.matches(namespace));
        let matching = self.index.matching(event.topic(), event.json()).into_iter();
        matching
            .map(|position| (position, &self.routes[position]))
            .filter(|(_, (namespaces, _))| namespaces.iter().all(in_namespace))
            .map(|(position, (_, handler))| (position, handler))
            .collect()
    }
}
