//! Processes that are started, called, and end by themselves: half of them are waited for, the others
//! dropped.

use multiprocess::Connection;

use super::text;
use crate::child::{self, Role};
use crate::generated::soak::MillClient;
use crate::part::Rounds;

pub(super) fn run(rounds: &Rounds) -> Result<(), String> {
    rounds.spread(
        2,
        || (),
        |(), number| {
            let (child, socket) = child::start(Role::Serves)?;
            let calling = Connection::new(socket).map_err(text)?;
            let mill: MillClient = calling.bootstrap().map_err(text)?;
            if mill.echo(vec![number as u8]).wait().map_err(text)? != [number as u8] {
                return Err("a wrong answer".to_owned());
            }
            drop((mill, calling));
            if number % 2 == 0 {
                let status = child.wait().map_err(text)?;
                if !status.success() {
                    return Err(format!("the child ended with {status}"));
                }
            }
            Ok(())
        },
    )
}
