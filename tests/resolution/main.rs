//! Which row of a chain answers for a name, what an answer costs, and what it survives.
//!
//! Everything goes through the vault, the resolver and the memory adapters, as a listener would.

mod aging;
mod counts;
mod damage;
mod external;
mod lookup;
mod model;
mod names;
mod pinning;
mod random;
mod rules;
mod table;
mod unavailable;
mod wrapped;
