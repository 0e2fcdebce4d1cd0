//! What the tests of `multiprocess-capnp-rpc` call: for each interface the handle (`lab::LabClient`) and capnpc's
//! client (`lab_capnp::lab::Client`).

#![forbid(unsafe_code)]

multiprocess::include_generated!();
