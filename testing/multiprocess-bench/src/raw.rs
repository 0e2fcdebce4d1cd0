//! Bytes over a blocking socket pair: the cost of the system calls and the two processes alone.
//!
//! A frame is a little-endian u32 and as many bytes as its lower 31 bits say. The server sends a
//! frame back as it came, and all that came in one read in one write. If the top bit is set, the
//! frame asks for a callback: the server sends it to the client, and when that has sent it back,
//! sends it to the client again as the answer.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::{PollFd, PollFlags, poll};

use crate::Failure;

const HEADER: usize = 4;
const CALLBACK: u32 = 1 << 31;
const CHUNK: usize = 64 << 10;

/// One end of the socket.
pub struct Link {
    socket: UnixStream,
    buffer: Vec<u8>,
    /// How many bytes of the buffer were read and not yet returned.
    filled: usize,
    polled: bool,
}

impl Link {
    /// Talks over this socket.
    pub fn new(socket: UnixStream) -> Link {
        Link { socket, buffer: vec![0; CHUNK], filled: 0, polled: false }
    }

    /// The same, but waits in poll(2) before each read.
    pub fn polled(self) -> Link {
        Link { polled: true, ..self }
    }

    /// A frame's content, once one has come.
    ///
    /// # Errors
    /// The other side is gone.
    pub(crate) fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some((length, _)) = self.header(0)
                && length <= self.filled
            {
                let content = self.buffer[HEADER..length].to_vec();
                self.take(length);
                return Ok(content);
            }
            self.read()?;
        }
    }

    /// Sends a frame and waits until it is back.
    ///
    /// # Errors
    /// The server is gone.
    pub fn echo(&mut self, frame: &[u8]) -> io::Result<()> {
        self.socket.write_all(frame)?;
        self.expect(frame.len())
    }

    /// Sends a frame of [`callback_frame`], serves its callback, and waits for the answer.
    ///
    /// # Errors
    /// The server is gone.
    pub fn call_back(&mut self, frame: &[u8]) -> io::Result<()> {
        self.echo(frame)?;
        self.echo(frame)
    }

    /// Keeps `count` frames under way. Whenever some have come back, `more` gets their number, and
    /// returns how many further ones may be sent.
    ///
    /// # Errors
    /// The server is gone.
    pub fn in_flight(
        &mut self,
        frame: &[u8],
        count: usize,
        mut more: impl FnMut(usize) -> usize,
    ) -> io::Result<()> {
        let frames = frame.repeat(count);
        let mut open = count;
        self.socket.write_all(&frames)?;
        while open > 0 {
            self.read()?;
            let back = self.filled / frame.len();
            self.take(back * frame.len());
            let next = more(back).min(back);
            self.socket.write_all(&frames[..next * frame.len()])?;
            open = open - back + next;
        }
        Ok(())
    }

    fn expect(&mut self, length: usize) -> io::Result<()> {
        while self.filled < length {
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
            self.read()?;
        }
        self.take(length);
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        if self.polled {
            poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None)?;
        }
        match self.socket.read(&mut self.buffer[self.filled..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.filled += count;
                Ok(())
            }
        }
    }

    fn take(&mut self, length: usize) {
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
    }

    /// The whole length of the first frame and whether it asks for a callback, once its header has
    /// arrived.
    fn header(&self, at: usize) -> Option<(usize, bool)> {
        let bytes = self.buffer[..self.filled].get(at..at + HEADER)?;
        let header = u32::from_le_bytes(bytes.try_into().ok()?);
        Some((HEADER + (header & !CALLBACK) as usize, header & CALLBACK != 0))
    }

    /// Serves until the other side closes.
    fn serve(&mut self) -> io::Result<()> {
        loop {
            self.read()?;
            let mut whole = 0;
            while let Some((length, callback)) = self.header(whole) {
                if whole + length > self.filled {
                    if self.buffer.len() < length {
                        self.buffer.resize(length, 0);
                    }
                    break;
                }
                if callback {
                    let frame = self.buffer[whole..whole + length].to_vec();
                    self.take(whole + length);
                    self.echo(&frame)?;
                    self.socket.write_all(&frame)?;
                    whole = 0;
                } else {
                    whole += length;
                }
            }
            if whole > 0 {
                self.socket.write_all(&self.buffer[..whole])?;
                self.take(whole);
            }
        }
    }
}

/// A frame with this content.
pub fn frame(content: &[u8]) -> Vec<u8> {
    with_header(content, 0)
}

/// A frame with this content that asks for a callback.
pub fn callback_frame(content: &[u8]) -> Vec<u8> {
    with_header(content, CALLBACK)
}

fn with_header(content: &[u8], flag: u32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + content.len());
    let length = u32::try_from(content.len()).expect("frames of less than 2 GiB");
    frame.extend((length | flag).to_le_bytes());
    frame.extend(content);
    frame
}

pub(crate) fn serve(socket: UnixStream) -> Result<(), Failure> {
    serve_link(Link::new(socket))
}

pub(crate) fn serve_link(mut link: Link) -> Result<(), Failure> {
    match link.serve() {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error.into()),
        _ => Ok(()),
    }
}

/// Serves each connection on a thread of its own.
pub(crate) fn listen(listener: UnixListener) -> Result<(), Failure> {
    loop {
        let (socket, _) = listener.accept()?;
        std::thread::spawn(move || serve(socket));
    }
}
