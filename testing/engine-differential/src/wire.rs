//! Messages on a blocking socket.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use capnp::Word;
use capnp_rpc::rpc_capnp::{accept, message, return_};

/// A side that has sent nothing for this long is assumed to hang.
const DEADLINE: Duration = Duration::from_secs(15);

pub(crate) struct Wire {
    stream: UnixStream,
    received: Vec<u8>,
}

/// The result of receiving.
pub(crate) enum Received {
    Message(Vec<Word>),
    /// Not a whole message.
    Nothing,
    /// The other side has closed.
    End,
}

impl Wire {
    pub(crate) fn new(stream: UnixStream) -> Wire {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Wire { stream, received: Vec::new() }
    }

    /// The other side reads at all times, so that this does not wait for long.
    pub(crate) fn send(&mut self, message: &[u8]) {
        // Nobody reads what is sent after the end of the connection.
        if let Err(error) = self.stream.write_all(message) {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
    }

    pub(crate) fn shutdown(&self) {
        // This fails if the other side has closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// The next message, if it has arrived. With `wait`, waits for it.
    pub(crate) fn receive(&mut self, wait: bool) -> Received {
        loop {
            if let Some(message) = self.take() {
                return Received::Message(message);
            }
            let mut buffer = [0; 4096];
            self.stream.set_nonblocking(!wait).unwrap();
            let read = self.stream.read(&mut buffer);
            self.stream.set_nonblocking(false).unwrap();
            match read {
                Ok(0) => return Received::End,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock && !wait => {
                    return Received::Nothing;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Received::End,
                Err(error) => panic!("the other side says no more: {error}"),
            }
        }
    }

    /// A whole message that was received, in words as the engine needs it.
    fn take(&mut self) -> Option<Vec<Word>> {
        let word = |at: usize| {
            let bytes = self.received.get(4 * at..4 * at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().unwrap()) as usize)
        };
        let segments = word(0)? + 1;
        let mut words = (segments + 2) / 2;
        for segment in 0..segments {
            words += word(1 + segment)?;
        }
        if self.received.len() < 8 * words {
            return None;
        }
        let mut message = Word::allocate_zeroed_vec(words);
        Word::words_to_bytes_mut(&mut message).copy_from_slice(&self.received[..8 * words]);
        self.received.drain(..8 * words);
        Some(message)
    }
}

/// A message as readable text.
pub(crate) fn describe(mut bytes: &[u8]) -> String {
    let options = capnp::message::ReaderOptions::new();
    let message = capnp::serialize::read_message(&mut bytes, options).unwrap();
    let root: message::Reader<'_> = message.get_root().unwrap();
    let number = |content: capnp::any_pointer::Reader<'_>| {
        let content: capnp::Result<accept::Reader<'_>> = content.get_as();
        content.map_or(0, |content| content.get_question_id())
    };
    match root.which() {
        Ok(message::Call(Ok(call))) => {
            let (id, params) = (call.get_question_id(), call.get_params().unwrap());
            let (target, caps) = (call.get_target().unwrap(), params.get_cap_table().unwrap());
            let number = number(params.get_content());
            format!("Call {id}, of call {number}: {target:?} with {caps:?}")
        }
        Ok(message::Return(Ok(answer))) => match answer.which() {
            Ok(return_::Results(Ok(payload))) => {
                let (id, caps) = (answer.get_answer_id(), payload.get_cap_table().unwrap());
                format!("Return {id} with {caps:?}")
            }
            _ => format!("{answer:?}"),
        },
        _ => format!("{root:?}"),
    }
}
