//! The methods that pass objects.

use std::sync::{Arc, Mutex, PoisonError};

use multiprocess::capnp::text;
use multiprocess::{AnyPointer, Result};

use super::{eventually, fails, same};
use crate::generated::calls::NotFound;
use crate::generated::foo::{FooCallback, FooCallbackClient};
use crate::generated::objects::{
    FnNoneClient, FnOneClient, FnThreeCallResults, FnThreeClient, FnTwoClient, Holder,
    HolderChoice, NamedClient, ObjectsClient, StoreVisitorClient, WholeClient,
};
use crate::generated::types::{Color, Pair};
use crate::samples::point;

pub(super) fn check(objects: &ObjectsClient) -> Result<()> {
    check_callbacks(objects)?;
    check_holder(objects)?;
    check_functions(objects)?;
    check_inheritance(objects)?;
    check_stores(objects)?;
    check_folders(objects)?;
    check_uploads(objects)?;
    let counter = objects.make_counter().wait()?;
    same("counter", (counter.next().wait()?, counter.next().wait()?), (0, 1))?;
    same("counters", objects.counters().wait()?, 1)?;
    counter.close().wait()?;
    eventually("the counter is closed", || Ok(objects.counters().wait()? == 0))
}

fn check_uploads(objects: &ObjectsClient) -> Result<()> {
    let upload = objects.make_upload().wait()?;
    for byte in 0..200 {
        upload.write([byte; 1000]).wait()?;
    }
    let done = upload.done().wait()?;
    same("upload", (done.count, done.bytes.len()), (200, 200_000))?;
    same("the upload's order", done.bytes.is_sorted(), true)?;

    // The error comes from an earlier call, which had already returned on this side.
    let upload = objects.make_upload().wait()?;
    for bytes in [vec![1], vec![], vec![2]] {
        drop(upload.write(bytes).start());
    }
    fails("upload of nothing", upload.done().wait(), |error| {
        error.to_string().contains("there is nothing to write")
    })
}

fn adds(number: i32) -> FooCallbackClient {
    struct Adds(i32);
    impl FooCallback for Adds {
        fn call(&self, arg: i32) -> Result<i32> {
            Ok(arg + self.0)
        }
    }
    FooCallbackClient::new(Adds(number))
}

fn call(callback: Option<FooCallbackClient>, arg: i32) -> Result<Option<i32>> {
    callback.map(|callback| callback.call(arg).wait()).transpose()
}

fn check_callbacks(objects: &ObjectsClient) -> Result<()> {
    same("passCallback", call(objects.pass_callback(Some(adds(1))).wait()?, 1)?, Some(2))?;
    same("passCallback(null)", call(objects.pass_callback(None).wait()?, 1)?, None)?;
    let shared: Arc<dyn FooCallback> = Arc::new(adds(2));
    let back = objects.pass_shared(Some(shared)).wait()?;
    same("passShared", back.map(|callback| callback.call(1)).transpose()?, Some(3))?;
    let none = objects.pass_shared(None).wait()?;
    same("passShared(null)", none.is_none(), true)?;
    same("notNull", objects.not_null(adds(3)).wait()?.call(1).wait()?, 4)?;
    let each = objects.call_each(vec![Some(adds(1)), None, Some(adds(2))], 10).wait()?;
    same("callEach.results", each.results, vec![11, -1, 12])?;
    let back = each.callbacks.into_iter().map(|callback| call(callback, 1));
    same("callEach.callbacks", back.collect::<Result<_>>()?, vec![Some(2), None, Some(3)])
}

fn check_holder(objects: &ObjectsClient) -> Result<()> {
    let choices = [
        HolderChoice::None,
        HolderChoice::One(None),
        HolderChoice::One(Some(adds(6))),
        HolderChoice::Sure(adds(7)),
    ];
    let wanted = [None, None, Some(106), Some(107)];
    for (choice, wanted) in choices.into_iter().zip(wanted) {
        let back = objects.pass_holder(Holder {
            callback: Some(adds(1)),
            always: adds(2),
            shared: Some(Arc::new(adds(3))),
            list: vec![None, Some(adds(4))],
            choice,
            pair: Pair { first: "five".to_owned(), second: Some(adds(5)) },
        });
        let back = back.wait()?;
        same("holder.callback", call(back.callback, 100)?, Some(101))?;
        same("holder.always", back.always.call(100).wait()?, 102)?;
        let shared = back.shared.map(|callback| callback.call(100)).transpose()?;
        same("holder.shared", shared, Some(103))?;
        let list = back.list.into_iter().map(|callback| call(callback, 100));
        same("holder.list", list.collect::<Result<_>>()?, vec![None, Some(104)])?;
        let choice = match back.choice {
            HolderChoice::One(one) => call(one, 100)?,
            HolderChoice::Sure(sure) => Some(sure.call(100).wait()?),
            _ => None,
        };
        same("holder.choice", choice, wanted)?;
        same("holder.pair", call(back.pair.second, 100)?, Some(105))?;
    }
    Ok(())
}

fn check_functions(objects: &ObjectsClient) -> Result<()> {
    let called = Arc::new(Mutex::new(0));
    let counts = Arc::clone(&called);
    let none = FnNoneClient::from_fn(move || {
        *counts.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Ok(())
    });
    objects.call_none(none).wait()?;
    same("callNone", *called.lock().unwrap_or_else(PoisonError::into_inner), 1)?;
    let one = FnOneClient::from_fn(|a| Ok(a + 1));
    same("callOne", objects.call_one(one, 1).wait()?, 2)?;
    let two = FnTwoClient::from_fn(|a, b| Ok(format!("{a} at {}, {}", b.x, b.y)));
    let result = objects.call_two(two, "here", point(1, 2)).wait()?;
    same("callTwo", result.as_str(), "here at 1, 2")?;
    let three = FnThreeClient::from_fn(|a, b, c: Vec<i32>| {
        let sum = i64::from(a) + b + c.iter().copied().map(i64::from).sum::<i64>();
        Ok(FnThreeCallResults { sum, count: c.len() as u32 })
    });
    let result = objects.call_three(three, 1, 2, vec![3, 4]).wait()?;
    same("callThree", (result.sum, result.count), (10, 2))
}

fn check_inheritance(objects: &ObjectsClient) -> Result<()> {
    let whole = objects.make_whole("w").wait()?;
    same("name", whole.name().wait()?.as_str(), "w")?;
    same("index", whole.index().wait()?, 0)?;
    same("size", whole.size().wait()?, 3)?;
    same("color", whole.color().wait()?, Color::Green)?;
    same("rename", whole.rename("v").wait()?.as_str(), "w")?;
    let mut names = Vec::new();
    for part in whole.parts().wait()? {
        names.push(match part {
            Some(part) => Some((part.name().wait()?, part.index().wait()?)),
            None => None,
        });
    }
    let wanted = vec![Some(("v.1".to_owned(), 1)), None, Some(("v.2".to_owned(), 2))];
    same("parts", names, wanted)?;
    let named = NamedClient::from(whole.clone());
    same("nameOf", objects.name_of(named).wait()?.as_str(), "v")?;
    let described = objects.describe(whole.clone()).wait()?;
    same("describe", described.as_str(), "v is number 0, has size 3 and 3 parts")?;
    let pipelined: WholeClient = objects.make_whole("p").pipelined();
    same("pipelined", pipelined.name().wait()?.as_str(), "p")?;
    whole.close().wait()
}

fn check_stores(objects: &ObjectsClient) -> Result<()> {
    let texts = objects.make_texts().wait()?;
    same("put", texts.put("a", "short".to_owned()).wait()?, 1)?;
    same("put", texts.put("b", "longer".to_owned()).wait()?, 2)?;
    let got = texts.get("a").wait()?;
    same("get", (got.value.as_str(), got.found), ("short", true))?;
    fails("get", texts.get("c").wait(), |error| error.to_string().contains("there is no c"))?;
    let all: Vec<_> = texts.all().wait()?.into_iter().map(|e| (e.name, e.value)).collect();
    let wanted = [("a", "short"), ("b", "longer")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    same("all", all, wanted.to_vec())?;
    same("longest", objects.longest(texts.clone()).wait()?.as_str(), "longer")?;

    let visited = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&visited);
    let visitor = StoreVisitorClient::from_fn(move |name, value: String| {
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(name + &value);
        Ok(())
    });
    texts.each(visitor).wait()?;
    let visited = visited.lock().unwrap_or_else(PoisonError::into_inner).clone();
    same("each", visited, vec!["ashort".to_owned(), "blonger".to_owned()])?;

    let points = objects.make_points().wait()?;
    points.put("p", point(1, 2)).wait()?;
    same("points", points.get("p").wait()?.value, point(1, 2))?;
    let lists = objects.make_lists().wait()?;
    lists.put("l", vec![1, 2]).wait()?;
    same("lists", lists.get("l").wait()?.value, vec![1, 2])?;
    let open = objects.make_open().wait()?;
    let any = AnyPointer::new::<text::Owned>("any")?;
    open.put("o", any.clone()).wait()?;
    same("open", open.get("o").wait()?.value, any)?;
    let callbacks = objects.make_callbacks().wait()?;
    callbacks.put("c", Some(adds(1))).wait()?;
    same("callbacks", call(callbacks.get("c").wait()?.value, 1)?, Some(2))?;
    let counted = objects.make_counted().wait()?;
    counted.put("p", point(3, 4)).wait()?;
    same("counted", counted.get("p").wait()?.value, point(3, 4))?;
    same("puts", counted.puts().wait()?, 1)
}

fn check_folders(objects: &ObjectsClient) -> Result<()> {
    let deep = objects.root().pipelined().open("a").pipelined().find("b").pipelined();
    same("path", deep.path().wait()?.as_str(), "/a/b")?;
    let deepest = deep.open_inline("c").pipelined();
    same("pathInline", deepest.path_inline().wait()?.as_str(), "/a/b/c")?;
    let visited = objects.root().pipelined().visit("v").pipelined();
    same("visit", visited.path().wait()?.as_str(), "/v")?;
    let wanted = NotFound { name: "nowhere".to_owned(), tried: vec!["v".to_owned()] };
    fails("visit", visited.visit("nowhere").wait(), |error| error.raised_as() == Some(&wanted))?;
    same("find", deepest.find("d").wait()?.is_none(), true)?;
    fails("open", deepest.open("d").wait(), |error| {
        error.to_string().contains("nothing is deeper than 3")
    })
}
