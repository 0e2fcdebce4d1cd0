//! What is set once is so on each connection.

use std::sync::{Arc, Mutex};

use multiprocess::diagnostics::snapshot;
use multiprocess::{
    Connection, Error, IncomingCall, Interceptor, Limits, OutgoingCall, Reconnect, Result,
};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer, wait_until};

use super::{listen, reconnect, start};
use crate::listener::Place;

/// Notes each call.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Interceptor for Notes {
    fn before_call(&self, call: &mut OutgoingCall<'_>) -> Result<()> {
        self.0.lock().unwrap().push(format!("calls {}", call.method()));
        Ok(())
    }

    fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
        self.0.lock().unwrap().push(format!("serves {}", call.method()));
        Ok(())
    }
}

#[test]
fn each_connection_has_the_interceptors_the_object_the_limits_and_the_name() {
    let place = Place::new();
    let server = listen(&place.socket());
    let notes = Arc::new(Notes::default());
    let lab = start(
        reconnect(&place.socket())
            .intercept(Arc::clone(&notes) as Arc<dyn Interceptor>)
            .serve(LabServer::new().client())
            .limits(Limits::default().message(1 << 16))
            .name("the lab"),
    );
    for generation in 1..=3 {
        let current = lab.get(LONG).unwrap();
        assert_eq!(current.generation(), generation);
        assert_eq!(current.add(1, 2).wait().unwrap(), 3);

        let ours = current.connection();
        let named =
            snapshot().connections.unwrap().into_iter().find(|conn| conn.number == ours.number());
        assert_eq!(named.unwrap().peer_name.as_deref(), Some("the lab"));

        // The server calls the object of this side.
        wait_until("the last connection has gone", || server.connections().len() == 1);
        let [theirs] = &server.connections()[..] else { panic!("it is connected") };
        let back: LabClient = theirs.bootstrap().unwrap();
        assert_eq!(back.add(3, 4).wait().unwrap(), 7);
        let seen = std::mem::take(&mut *notes.0.lock().unwrap());
        assert_eq!(seen, ["calls Lab.add", "serves Lab.add"]);

        // It is too long for this side, which has told so.
        let error = back.bytes(vec![0; 1 << 17]).wait().unwrap_err();
        assert!(error.to_string().contains("Limits::message"), "{error}");
        ours.disconnect();
    }
}

#[test]
fn what_has_no_part_in_connections_of_the_program_is_refused() {
    let own = || Reconnect::with(|| Err(Error::failed("is not asked")));
    let place = Place::new();
    let opened = || reconnect(&place.socket()).connection(Connection::new);
    let notes = || Arc::<Notes>::default();
    for (reconnect, this, program) in [
        (own().intercept(notes()), "intercept", "with"),
        (own().limits(Limits::default()), "limits", "with"),
        (opened().intercept(notes()), "intercept", "connection"),
        (opened().serve(LabServer::new().client()), "serve", "connection"),
        (own().connection(Connection::new).limits(Limits::default()), "limits", "with"),
    ] {
        let error = reconnect.start(|lab: &LabClient| Ok(lab.clone())).unwrap_err();
        assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
        let told = format!(
            "Reconnect::{this} has no part in connections that the program makes itself \
             (Reconnect::{program}): set it there"
        );
        assert!(error.to_string().contains(&told), "{error}");
    }
}
