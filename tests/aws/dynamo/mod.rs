//! The store on DynamoDB, against emulators of it.

mod calls;
mod contract;
mod faults;
mod limits;
mod opening;
mod stored;
mod tampering;
mod world;
