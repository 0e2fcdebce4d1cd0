//! A call as a future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Call, RemoteCall, State};
use crate::{Error, Result};

impl<T: Send + 'static> Future for Call<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.get_mut();
        loop {
            let Poll::Ready(result) = call.poll_once(context) else { return Poll::Pending };
            match call.again(&result) {
                Some(other) => call.state = State::Remote(other),
                None => return Poll::Ready(call.finish(result)),
            }
        }
    }
}

impl<T: Send + 'static> Call<T> {
    fn poll_once(&mut self, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.begin(context.waker(), true);
        while let State::Full(_, room, deadline) = &self.state {
            let ended = match room.slot.take_or_wake(context.waker()) {
                Some(answer) => answer,
                None if deadline.passed() => Err(deadline.error(Some(&room.conn))),
                None => return Poll::Pending,
            };
            match (ended, std::mem::replace(&mut self.state, State::Done)) {
                (Ok(()), State::Full(call, room, _)) => {
                    self.state = State::Remote(RemoteCall { told: true, ..call });
                    self.begin(context.waker(), true);
                    drop(room);
                }
                (Err(error), _) => return Poll::Ready(Err(error)),
                _ => {}
            }
        }
        let result = match &mut self.state {
            State::Sent(sent, deadline) => match sent.slot.take_or_wake(context.waker()) {
                Some(answer) => {
                    let answer = deadline.judge(answer, Some(sent.conn()));
                    sent.note_end(answer.as_ref().err());
                    sent.set_over();
                    answer
                }
                None if deadline.passed() => {
                    let late = deadline.error(Some(sent.conn()));
                    sent.note_end(Some(&late));
                    Err(late)
                }
                None => return Poll::Pending,
            },
            State::Pooled(slot, deadline, _) => match slot.take_or_wake(context.waker()) {
                Some(answer) => deadline.judge(answer, None),
                None if deadline.passed() => Err(deadline.error(None)),
                None => return Poll::Pending,
            },
            State::Streamed(room, done, deadline) => {
                match room.slot().take_or_wake(context.waker()) {
                    Some(answer) => answer.map(|()| done()),
                    None if deadline.passed() => Err(deadline.error(Some(room.conn()))),
                    None => return Poll::Pending,
                }
            }
            other => match std::mem::replace(other, State::Done) {
                State::Ready(result) => result,
                _ => Err(Error::misuse("this call was polled after it had ended")),
            },
        };
        self.state = State::Done;
        Poll::Ready(result)
    }
}
