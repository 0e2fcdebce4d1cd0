//! The accept loop of a server that other machines connect to.

use multiprocess::{Error, Interface, Result};
use tokio_util::sync::CancellationToken;

use super::Serve;
use crate::tls::{Listener, Peer, TlsStream};

impl Serve {
    /// Serves each client that shows `listener` a certificate which that accepts, and that
    /// [may connect](Listener::accept_if), the object that `make_object` makes for it, until `shutdown` is cancelled. A
    /// client for which `make_object` fails is told the error. Needs the feature `tls`.
    ///
    /// A method that has to know who calls asks for [`Peer::of_current_call`]. [`accept_if`](Self::accept_if) is for unix sockets, and has
    /// no part in this. Who is refused, and why, is in the log.
    ///
    /// # Errors
    /// This is not within a tokio runtime.
    pub async fn tls<I, M>(
        self,
        mut listener: Listener,
        mut make_object: M,
        shutdown: CancellationToken,
    ) -> Result<()>
    where
        I: Interface,
        M: FnMut(&Peer) -> Result<I>,
    {
        let mut accept = listener.take_accept();
        let make_object = move |stream: &TlsStream| {
            let peer = stream.peer();
            if accept(peer) {
                return make_object(peer);
            }
            tracing::warn!("{} with the certificate {peer} was refused", stream.peer_name());
            Err(Error::failed("this server does not serve the owner of your certificate"))
        };
        self.incoming(listener, make_object, shutdown).await
    }
}
