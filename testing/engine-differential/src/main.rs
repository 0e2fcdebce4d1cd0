//! The engine against another implementation, in another process: `engine-differential SOCKET`.
//!
//! A random program of calls of both sides, as in the engine's differential test with the crate
//! capnp-rpc, whose model and engine side these are. Here the other side is a process that serves the
//! same objects, and that makes its calls when it is told to (`EngineSide::command`);
//! `tests/foreign/differential.py` is one. The other side determines when messages arrive, so a
//! program depends on its seed (`CAPNP_ENGINE_SEED`) and on the times of arrival. Its steps are
//! printed on stderr.

mod ending;
#[path = "../../../crates/capnp-engine/tests/differential/engine_side.rs"]
#[allow(dead_code, reason = "in memory it is asked for more")]
mod engine_side;
#[path = "../../../crates/capnp-engine/tests/differential/model.rs"]
#[allow(dead_code, reason = "in memory it is asked for more")]
mod model;
mod wire;
mod world;

use std::os::unix::net::UnixStream;

use crate::ending::Ending;
use crate::model::Random;
use crate::world::World;

const INTERFACE: u64 = 0xd1ff_e7e4_7a1c_0de5;
/// The first object of the engine's side and of the other.
const BOOTSTRAP: [u32; 2] = [0, 1];

fn main() {
    let path = std::env::args().nth(1).expect("engine-differential SOCKET");
    let seed = std::env::var("CAPNP_ENGINE_SEED").expect("CAPNP_ENGINE_SEED");
    let seed: u64 = seed.parse().expect("a number");
    let mut random = Random(!seed);
    let steps = 10 + random.below(120);
    let ending = match random.below(12) {
        0 => Ending::Abort,
        1 => Ending::Shutdown,
        2 => Ending::Peer,
        _ => Ending::Orderly,
    };
    let mut world = World::new(seed, UnixStream::connect(path).expect("the other side listens"));
    world.command(&format!("begin {steps}"));
    for _ in 0..steps {
        world.step();
    }
    world.end(ending);
}
