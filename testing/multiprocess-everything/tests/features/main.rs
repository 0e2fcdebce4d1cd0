//! One test for each feature of a schema, over a real connection.

mod asynchronous;
mod bare;
mod calls;
mod codecs;
mod constants;
mod defaults;
mod errors;
mod foo;
mod inheritance;
mod interrupts;
mod malformed;
mod names;
mod objects;
mod pipelining;
mod unions;
mod whole;
