//! Makes the typed proxies of the book's schemas, as its chapters say.

use std::path::PathBuf;

use multiprocess_build::{Builder, Mark};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    // What most chapters use. `raw` makes capnpc's own types as well, for the chapter on capnp-rpc.
    Builder::new().schema_dir("schema").async_traits(true).raw(true).compile()?;
    // The schema of that chapter on its own, as a program of capnp-rpc has it: without `/mp/proxy.capnp`.
    let alone = Builder::new().file("schema/counters.capnp").module("alone").raw(true);
    alone.out_dir(out_dir.join("alone")).compile()?;
    // A schema of C++'s, which is not edited: the marks are those of the chapter on libmultiprocess.
    Builder::new()
        .schema_dir("gallery")
        .out_dir(out_dir.join("gallery"))
        .mark("gallery.capnp:Picture.painted", Mark::rust_type("std::time::Duration"))
        .mark("gallery.capnp:Picture.painted", Mark::codec("crate::Seconds"))
        .mark("gallery.capnp:GalleryInterface.hang$Params.labels", Mark::btree_map())
        .mark("gallery.capnp:GalleryInterface.makeRoom$Results.result", Mark::not_null())
        .compile()?;
    Ok(())
}
