//! The checks that `everything-client` makes of any server, with a file for each group of methods.

mod calls;
mod foo;
mod objects;
mod values;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use multiprocess::{Error, Result};

use crate::generated::everything::{EverythingClient, SCHEMA_VERSION};

/// Calls every method and checks the answers. Prints a line for each group.
///
/// # Errors
/// What is not as it should be.
pub fn check_all(everything: &EverythingClient) -> Result<()> {
    same("version", everything.version().wait()?, SCHEMA_VERSION)?;
    println!("everything");
    foo::check(&everything.clone().into())?;
    println!("foo");
    values::check(&everything.clone().into())?;
    println!("values");
    objects::check(&everything.clone().into())?;
    println!("objects");
    calls::check(&everything.clone().into())?;
    println!("calls");
    Ok(())
}

/// Calls the methods that behave alike wherever the object is: those that return what they are
/// given, and libmultiprocess's.
///
/// # Errors
/// What is not as it should be.
pub fn check_here(everything: &EverythingClient) -> Result<()> {
    foo::check(&everything.clone().into())?;
    values::check(&everything.clone().into())
}

/// Calls only methods that change nothing of the object, so that many clients may do so at once: those that
/// return what they are given, a callback, calls that are started, and data of so many bytes.
///
/// # Errors
/// What is not as it should be.
pub fn check_shared(everything: &EverythingClient, bytes: usize) -> Result<()> {
    same("version", everything.version().wait()?, SCHEMA_VERSION)?;
    let started: Vec<_> = (0..4).map(|number| everything.add(number, 1).start()).collect();
    check_on_one_thread(everything)?;
    values::check(&everything.clone().into())?;
    let data: Vec<u8> = (0..bytes).map(|place| (place % 251) as u8).collect();
    if everything.pass_data(data.clone()).wait()? != data {
        return Err(Error::failed(format!(
            "other bytes came back than the {bytes} that were sent"
        )));
    }
    for (number, call) in (0..).zip(started) {
        same("add", call.wait()?, number + 1)?;
    }
    Ok(())
}

/// Calls only methods with a Context, which run on one thread of the server, and call this one back. Each
/// has a minute.
///
/// # Errors
/// What is not as it should be.
pub fn check_on_one_thread(everything: &EverythingClient) -> Result<()> {
    foo::check_callback(&everything.clone().into(), Duration::from_secs(60))
}

/// Checks that a result is the expected one.
fn same<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(Error::failed(format!("{what}: {got:?} came instead of {wanted:?}")))
}

/// Checks that a condition becomes true. If the object is behind another process, things there end
/// only after the answer.
fn eventually(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds()? {
        if Instant::now() > deadline {
            return Err(Error::failed(format!("{what}: it does not come to that")));
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Checks that a call failed with the expected error.
fn fails<T: Debug>(
    what: &str,
    result: Result<T>,
    as_wanted: impl FnOnce(&Error) -> bool,
) -> Result<()> {
    match result {
        Err(error) if as_wanted(&error) => Ok(()),
        other => Err(Error::failed(format!("{what}: it ended with {other:?}"))),
    }
}
