//! Calls of several threads over several connections, most of them small, some of them up to 32 MiB,
//! with objects and callbacks in between.

use multiprocess::Result as IpcResult;

use super::{Pair, text};
use crate::mill::add_one;
use crate::part::Rounds;

const THREADS: usize = 4;
/// Large messages are of 64 KiB, and of twice as much each, up to 32 MiB.
const LARGE: usize = 64 << 10;
const LARGEST: usize = 32 << 20;

pub(super) fn run(rounds: &Rounds) -> Result<(), String> {
    let pairs = [Pair::new()?, Pair::new()?];
    rounds.spread(THREADS, || (), |(), number| call(&pairs[number as usize % 2], number))?;
    pairs.iter().try_for_each(Pair::wait_empty)
}

fn call(pair: &Pair, number: u64) -> Result<(), String> {
    let mill = &pair.mill;
    let right = match number % 16 {
        0 => with_item(pair, number).map_err(text)?,
        1 => mill.call_back(add_one(), number).wait().map_err(text)? == number + 1,
        2..6 => {
            let data = content(number, size(number));
            mill.echo_inline(data.clone()).wait().map_err(text)? == data
        }
        _ => {
            let data = content(number, size(number));
            mill.echo(data.clone()).wait().map_err(text)? == data
        }
    };
    if right { Ok(()) } else { Err("the answer is that of another call".to_owned()) }
}

fn with_item(pair: &Pair, number: u64) -> IpcResult<bool> {
    let item = pair.mill.make_item(number).wait()?;
    Ok(item.number().wait()? == number)
}

/// One in a thousand is large; each next size of these is half as frequent, and one in four thousand
/// is the largest.
fn size(number: u64) -> usize {
    if number % 4099 == 4098 {
        LARGEST
    } else if number % 1009 == 1008 {
        (LARGE << (number / 1009 + 1).trailing_zeros().min(9)).min(LARGEST)
    } else {
        (number % 509) as usize
    }
}

fn content(number: u64, size: usize) -> Vec<u8> {
    let mut data = vec![number as u8; size];
    let told = number.to_le_bytes();
    let most = size.min(told.len());
    data[..most].copy_from_slice(&told[..most]);
    data
}
