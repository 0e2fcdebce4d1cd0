//! The methods about threads, errors, outputs, waits and names.

use std::time::Duration;

use multiprocess::{Error, Result};

use super::{eventually, fails, same};
use crate::generated::calls::{CallsClient, Denied, DeniedReason, NotFound};
use crate::samples::point;

pub(super) fn check(calls: &CallsClient) -> Result<()> {
    check_outputs(calls)?;
    check_errors(calls)?;
    check_waits(calls)?;
    check_names(calls)
}

fn check_outputs(calls: &CallsClient) -> Result<()> {
    same("threadName", calls.thread_name().wait()?.is_empty(), false)?;
    for value in [3, 1, 2] {
        calls.note(value).wait()?;
    }
    calls.nothing(4).wait()?;
    same("notes", calls.notes().wait()?, vec![3, 1, 2, 4])?;
    let several = calls.several().wait()?;
    same("several.number", several.number, 1)?;
    same("several.text", several.text.as_str(), "two")?;
    same("several.point", several.point, point(3, 4))?;
    same("several.flags", several.flags, vec![true, false])?;
    same("maybe", calls.maybe(Some(0)).wait()?, Some("0".to_owned()))?;
    same("maybe(none)", calls.maybe(None).wait()?, None)?;
    let even = calls.maybe_both(4).wait()?;
    same("maybeBoth(even)", (even.even, even.odd), (Some(4), None))?;
    let odd = calls.maybe_both(5).wait()?;
    same("maybeBoth(odd)", (odd.even, odd.odd), (None, Some(point(5, 0))))?;
    for (words, reversed) in [(true, true), (true, false), (false, true), (false, false)] {
        let wanted = calls.wanted("ab cd", words, reversed).wait()?;
        same("wanted.length", wanted.length, 5)?;
        let all = vec!["ab".to_owned(), "cd".to_owned()];
        same("wanted.words", wanted.words, words.then_some(all))?;
        same("wanted.reversed", wanted.reversed, reversed.then(|| "dc ba".to_owned()))?;
    }
    same("wantedOne", calls.wanted_one(true).wait()?, Some(point(5, 6)))?;
    same("wantedOne(not)", calls.wanted_one(false).wait()?, None)?;
    same("wantedMaybe", calls.wanted_maybe(true).wait()?, Some(7))?;
    same("wantedMaybe(not)", calls.wanted_maybe(false).wait()?, None)?;
    same("hidden", calls.hidden(3, point(4, 0)).wait()?, 7)
}

fn check_errors(calls: &CallsClient) -> Result<()> {
    let said = |text: &'static str| move |error: &Error| error.to_string().contains(text);
    fails("fail", calls.fail("on purpose").wait(), said("on purpose"))?;
    fails("panic", calls.panic().wait(), |error| !error.is_disconnect())?;
    fails("missing", calls.missing().wait(), |error| !error.is_disconnect())?;
    let found = calls.look("it").wait()?;
    same("look", (found.result.as_str(), found.count), ("found it", 1))?;
    let wanted = NotFound { name: "nowhere".to_owned(), tried: vec!["here".to_owned()] };
    fails("look(nowhere)", calls.look("nowhere").wait(), |error| {
        error.raised_as() == Some(&wanted) && error.raised_as::<Denied>().is_none()
    })?;
    let wanted = Denied { code: 13, reason: DeniedReason::Text("not for you".to_owned()) };
    fails("look(forbidden)", calls.look("forbidden").wait(), |error| {
        error.raised_as() == Some(&wanted)
    })?;
    fails("look(broken)", calls.look("broken").wait(), said("it is broken"))?;
    calls.check(1).wait()?;
    let wanted = Denied { code: -1, reason: DeniedReason::None };
    fails("check", calls.check(-1).wait(), |error| error.raised_as() == Some(&wanted))
}

fn check_waits(calls: &CallsClient) -> Result<()> {
    for size in [0, 10, 1000] {
        calls.chunk(vec![7; size]).wait()?;
    }
    let chunks = calls.chunks().wait()?;
    same("chunks", (chunks.count, chunks.total), (3, 1010))?;

    calls.release("before").wait()?;
    same("wait, released before", calls.wait("before").wait()?, true)?;
    let released = calls.wait("released").start();
    until_one_waits(calls)?;
    calls.release("released").wait()?;
    same("wait, released", released.wait()?, true)?;
    let interrupted = calls.wait("interrupted").start();
    until_one_waits(calls)?;
    calls.interrupt().wait()?;
    same("wait, interrupted", interrupted.wait()?, false)?;
    let late = calls.wait("late").timeout(Duration::from_millis(1)).wait();
    fails("wait, timed out", late, |error| matches!(error, Error::Timeout(_)))?;
    // The wait whose call was dropped ends as well: the server cancels it, or it is interrupted.
    eventually("no wait is left", || Ok(calls.waiting().wait()? == 0))?;
    let first = calls.meet(2).start();
    same("meet", calls.meet(2).wait()?, 2)?;
    same("meet", first.wait()?, 2)
}

fn until_one_waits(calls: &CallsClient) -> Result<()> {
    eventually("one waits", || Ok(calls.waiting().wait()? == 1))
}

fn check_names(calls: &CallsClient) -> Result<()> {
    let moved = calls.move_(1, "fn", true).wait()?;
    same("move", (moved.match_, moved.fn_.as_str(), moved.dyn_), (1, "fn", true))?;
    same("clone", calls.clone_(64, 1, 32, 2, 16, 4, 8).wait()?, 113)?;
    same("close", calls.close_().wait()?.as_str(), "closed nothing")?;
    same("oldName", calls.new_name(5).wait()?, 5)?;
    same("proxyName", calls.proxied().wait()?.as_str(), "proxied")
}
