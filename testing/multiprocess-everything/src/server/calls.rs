//! The methods about threads, errors, outputs, waits and names.

use multiprocess::{Error, Result, current_call};

use super::EverythingServer;
use crate::generated::calls::{
    Calls, CallsChunksResults, CallsLookResults, CallsMaybeBothResults, CallsMoveResults,
    CallsSeveralResults, CallsWantedResults, Denied, DeniedReason, NotFound,
};
use crate::generated::types::Point;

impl Calls for EverythingServer {
    fn thread_name(&self) -> Result<String> {
        Ok(std::thread::current().name().unwrap_or_default().to_owned())
    }

    fn note(&self, value: i32) -> Result<()> {
        self.state().notes.push(value);
        Ok(())
    }

    fn notes(&self) -> Result<Vec<i32>> {
        Ok(self.state().notes.clone())
    }

    fn several(&self) -> Result<CallsSeveralResults> {
        Ok(CallsSeveralResults {
            number: 1,
            text: "two".to_owned(),
            point: Point { x: 3, y: 4 },
            flags: vec![true, false],
        })
    }

    fn nothing(&self, value: i32) -> Result<()> {
        self.note(value)
    }

    fn maybe(&self, value: Option<i32>) -> Result<Option<String>> {
        Ok(value.map(|value| value.to_string()))
    }

    fn maybe_both(&self, value: i32) -> Result<CallsMaybeBothResults> {
        Ok(match value % 2 {
            0 => CallsMaybeBothResults { even: Some(value), odd: None },
            _ => CallsMaybeBothResults { even: None, odd: Some(Point { x: value, y: 0 }) },
        })
    }

    fn wanted(
        &self,
        text: String,
        want_words: bool,
        want_reversed: bool,
    ) -> Result<CallsWantedResults> {
        let words = || text.split_whitespace().map(str::to_owned).collect();
        Ok(CallsWantedResults {
            length: u32::try_from(text.len()).map_err(|_| Error::failed("too long"))?,
            words: want_words.then(words),
            reversed: want_reversed.then(|| text.chars().rev().collect()),
        })
    }

    // If the caller did not ask for the result it does not get it, whatever this returns.
    fn wanted_one(&self, _want_result: bool) -> Result<Option<Point>> {
        Ok(Some(Point { x: 5, y: 6 }))
    }

    fn wanted_maybe(&self, want_result: bool) -> Result<Option<i32>> {
        Ok(want_result.then_some(7))
    }

    fn hidden(&self, shown: i32, two: Point) -> Result<i32> {
        Ok(shown.wrapping_add(two.x))
    }

    fn fail(&self, message: String) -> Result<()> {
        Err(Error::failed(message))
    }

    fn panic(&self) -> Result<()> {
        panic!("as it was asked to")
    }

    fn look(&self, name: String) -> Result<CallsLookResults> {
        match name.as_str() {
            "nowhere" => Err(Error::raised(NotFound { name, tried: vec!["here".to_owned()] })),
            "forbidden" => {
                let reason = DeniedReason::Text("not for you".to_owned());
                Err(Error::raised(Denied { code: 13, reason }))
            }
            "broken" => Err(Error::failed("it is broken")),
            // Not an error that the method declares.
            "odd" => Err(Error::raised(Point { x: 1, y: 1 })),
            "odd text" => Err(Error::raised("it is \"odd\"".to_owned())),
            "odd str" => Err(Error::raised("it is \"odd\"")),
            _ => Ok(CallsLookResults { result: format!("found {name}"), count: 1 }),
        }
    }

    fn check(&self, value: i32) -> Result<()> {
        if value < 0 {
            return Err(Error::raised(Denied { code: value, reason: DeniedReason::None }));
        }
        Ok(())
    }

    fn chunk(&self, bytes: Vec<u8>) -> Result<()> {
        let (count, total) = &mut self.state().chunks;
        *count += 1;
        *total += bytes.len() as u64;
        Ok(())
    }

    fn chunks(&self) -> Result<CallsChunksResults> {
        let (count, total) = self.state().chunks;
        Ok(CallsChunksResults { count, total })
    }

    fn wait(&self, name: String) -> Result<bool> {
        let this = self.this.clone();
        if let Some(call) = current_call() {
            // If the server learns that the call is cancelled, it handles that like an interrupt.
            call.cancel_token().on_cancel(move || {
                if let Some(this) = this.upgrade() {
                    this.change(|_| ());
                }
            });
        }
        let cancelled = || current_call().is_some_and(|call| call.is_cancelled());
        let at = self.change(|state| {
            state.waiting += 1;
            state.interrupts
        });
        let outcome = self.wait_until(|state| {
            let released = state.released.iter().position(|released| *released == name);
            if let Some(index) = released {
                state.released.remove(index);
                return Some(Ok(true));
            }
            if state.interrupts > at {
                return Some(Ok(false));
            }
            cancelled().then_some(Err(Error::Cancelled))
        });
        self.change(|state| state.waiting -= 1);
        outcome
    }

    fn interrupt(&self) -> Result<()> {
        self.change(|state| state.interrupts += 1);
        Ok(())
    }

    fn release(&self, name: String) -> Result<()> {
        self.change(|state| state.released.push(name));
        Ok(())
    }

    fn waiting(&self) -> Result<u32> {
        Ok(self.state().waiting)
    }

    fn meet(&self, count: u32) -> Result<u32> {
        self.change(|state| state.met += 1);
        self.wait_until(|state| (state.met >= count).then_some(()));
        Ok(count)
    }

    fn move_(&self, self_: i32, type_: String, async_: bool) -> Result<CallsMoveResults> {
        Ok(CallsMoveResults { match_: self_, fn_: type_, dyn_: async_ })
    }

    #[allow(clippy::too_many_arguments, reason = "as the schema has them")]
    fn clone_(
        &self,
        cx: i32,
        to: i32,
        from: i32,
        value: i32,
        object: i32,
        results: i32,
        call: i32,
    ) -> Result<i32> {
        Ok(cx - to + from - value + object - results + call)
    }

    fn close_(&self) -> Result<String> {
        Ok("closed nothing".to_owned())
    }

    fn new_name(&self, new_param: i32) -> Result<i32> {
        Ok(new_param)
    }

    fn proxied(&self) -> Result<String> {
        Ok("proxied".to_owned())
    }
}
