//! The lab as a raw peer calls it.

use super::{Cap, LAB, RawPeer, THREAD_MAP, Target};
use crate::generated::lab_capnp::lab;
use crate::generated::proxy_capnp::thread_map::make_thread_params;

impl RawPeer {
    /// The other side's lab, and as many of its threads.
    pub fn lab_with_threads(&mut self, count: usize) -> (Target, Vec<Cap>) {
        let lab = Target::Bootstrap(self.bootstrap());
        let map = self.ask(lab, (LAB, 0), &[], |content| {
            content.init_as::<lab::construct_params::Builder<'_>>();
        });
        let map = Target::Export(map.export());
        let mut make = || {
            let made = self.ask(map, (THREAD_MAP, 0), &[], |content| {
                content.init_as::<make_thread_params::Builder<'_>>().set_name("raw");
            });
            Cap::There(made.export())
        };
        let threads = (0..count).map(|_| make()).collect();
        (lab, threads)
    }
}
