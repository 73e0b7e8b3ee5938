//! Where the deciding row of a name comes from, seen from one scope.

use undertone_core::resolve::{Explanation, Role};

/// Stable words of the list and of the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No row decides.
    None,
    /// The scope's own row, over nothing.
    Own,
    /// The scope's own row, over one above.
    Override,
    /// A row above.
    Inherited,
    /// A row above that can't be overridden.
    Locked,
}

impl Origin {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Origin::None => "none",
            Origin::Own => "own",
            Origin::Override => "override",
            Origin::Inherited => "inherited",
            Origin::Locked => "locked",
        }
    }
}

pub(crate) fn origin(explanation: &Explanation) -> Origin {
    let nearest = explanation.chain.nearest();
    let Some(decider) = explanation.layers.iter().find(|layer| layer.role == Role::Decides) else {
        return Origin::None;
    };
    match (decider.scope == nearest, decider.locked) {
        (true, _) if explanation.layers.iter().any(|layer| layer.role == Role::Overridden) => {
            Origin::Override
        }
        (true, _) => Origin::Own,
        (false, true) => Origin::Locked,
        (false, false) => Origin::Inherited,
    }
}

/// Whether the scope has a row of its own that a lock above shadows.
pub(crate) fn is_shadowed(explanation: &Explanation) -> bool {
    explanation.layers.iter().any(|layer| layer.role == Role::ShadowedByLock)
}
