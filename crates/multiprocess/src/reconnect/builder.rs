//! Describes a connection that is made again, before it starts.

use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::Late;
use super::connector::Connector;
use super::handle::Reconnecting;
use super::settings::Settings;
use super::shared::{Functions, OnLoss, RetryIf, Shared};
use crate::calls::connection::Connection;
use crate::calls::interface::Interface;
use crate::connection::Limits;
use crate::driver::driver;
use crate::process::{Backoff, Command};
use crate::session::{self, Interceptor};
use crate::{Error, Result};

/// Describes a connection that is made again whenever it is lost, with the objects that a program needs
/// over it: where to, how often, and what is done each time. [`start`](Self::start) begins.
///
/// ```
/// use std::time::Duration;
/// use multiprocess::process::Backoff;
/// use multiprocess::{Interface, Reconnect, ReconnectState, Reconnecting, Result};
///
/// /// What this program uses of the other: made again after each loss.
/// struct Objects<Init> {
///     init: Init,
/// }
///
/// fn connect<Init: Interface>(path: &str) -> Result<Reconnecting<Objects<Init>>> {
///     Reconnect::to_path(path)
///         .backoff(Backoff { longest: Duration::from_secs(5), ..Backoff::default() })
///         .on_loss(|reason| println!("{reason}; connecting again"))
///         // Runs over each new connection. Calls may be made here, to make further objects.
///         .start(|init: &Init| Ok(Objects { init: init.clone() }))
/// }
/// # fn used<Init: Interface>() -> Result<()> {
/// // Whether the server is there or not.
/// let server = connect::<Init>("/run/example.sock")?;
/// // Before each use. When a call fails because the connection was lost, ask again.
/// let objects = server.get(Duration::from_secs(10))?;
/// println!("connection number {}", objects.generation());
/// let init: &Init = &objects.init;
/// # let _ = init;
/// // Says why there is none, or closes it for good.
/// if let ReconnectState::Connecting { attempt, last_error, .. } = server.state() {
///     println!("attempt {attempt}: {last_error:?}");
/// }
/// server.close(Duration::from_secs(2));
/// # Ok(())
/// # }
/// ```
///
/// The program's functions run on threads of the runtime and may block. One at a time, except that the hook
/// for a loss that takes longer than the [`deadline`](Self::deadline) is not waited for. A panic in one is a
/// failed attempt, or logged.
#[must_use = "it does nothing before it is started"]
pub struct Reconnect {
    connector: Connector,
    /// Makes a connection of a socket, with these settings.
    open: Box<dyn FnMut(UnixStream, session::Settings) -> Result<Connection> + Send>,
    connection: session::Settings,
    /// The method by which the program makes its connections itself.
    by_program: Option<&'static str>,
    /// A method that was called and is for the other connections only.
    by_this: Option<&'static str>,
    on_loss: Option<OnLoss>,
    retry_if: RetryIf,
    settings: Settings,
}

impl Reconnect {
    /// How long an attempt may take unless told otherwise.
    pub const DEADLINE: Duration = Duration::from_secs(10);
    /// The part of each delay that is left to chance unless told otherwise.
    pub const JITTER: f64 = 0.5;

    /// Connects to the unix socket at `path`. That nobody listens there is a failed attempt; only a path
    /// that is too long is an [`Error::Address`].
    pub fn to_path(path: impl Into<PathBuf>) -> Reconnect {
        Reconnect::new(Connector::Path(path.into()))
    }

    /// Starts a program with one end of a socket pair, and again when it ends or closes its socket. Before
    /// that the last process is made to end, with the [`grace`](Command::grace) of the command. Errors of
    /// one that does not serve are [`Error::Spawn`] and have its exit status.
    pub fn to_program(command: Command) -> Reconnect {
        Reconnect::new(Connector::Program(Box::new(command), None))
    }

    /// Connects with a function of the program's, which bounds its own time: the
    /// [`deadline`](Self::deadline) begins when it has returned.
    ///
    /// Errors of [`process::connect`](crate::process::connect) are [`Error::Address`], with which this ends
    /// unless [`retry_if`](Self::retry_if) says otherwise: [`to_path`](Self::to_path) tries again.
    pub fn with(connect: impl FnMut() -> Result<Connection> + Send + 'static) -> Reconnect {
        let reconnect = Reconnect::new(Connector::Custom(Box::new(connect)));
        Reconnect { by_program: Some("with"), ..reconnect }
    }

    fn new(connector: Connector) -> Reconnect {
        let settings = Settings {
            name: connector.name(),
            peer_name: None,
            backoff: Backoff::default(),
            jitter: Reconnect::JITTER,
            deadline: Reconnect::DEADLINE,
            give_up_after: None,
        };
        Reconnect {
            connector,
            open: Box::new(|socket, settings| {
                Connection::builder().settings(settings).start(socket)
            }),
            connection: session::Settings::default(),
            by_program: None,
            by_this: None,
            on_loss: None,
            retry_if: Arc::new(may_pass),
            settings,
        }
    }

    /// Bounds on what the peer can make this process hold, on each connection. Not for connections that the program
    /// makes itself ([`connection`](Self::connection), [`with`](Self::with)).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.connection.limits = limits;
        self.by_this = Some("limits");
        self
    }

    /// Has `interceptor` see each call of each connection, within those that were set before it: see
    /// [`Interceptor`]. Not for connections that the program makes itself ([`connection`](Self::connection),
    /// [`with`](Self::with)).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use multiprocess::{Interceptor, OutgoingCall, Reconnect, Result};
    ///
    /// /// No call takes longer.
    /// struct Patience(Duration);
    ///
    /// impl Interceptor for Patience {
    ///     fn before_call(&self, call: &mut OutgoingCall<'_>) -> Result<()> {
    ///         call.limit(self.0);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let server = Reconnect::to_path("/run/example.sock")
    ///     .intercept(Arc::new(Patience(Duration::from_secs(30))));
    /// ```
    pub fn intercept(mut self, interceptor: Arc<dyn Interceptor>) -> Self {
        self.connection.interceptors.push(interceptor);
        self.by_this = Some("intercept");
        self
    }

    /// Serves `object` as what the peer's bootstrap returns, on each connection. Not for connections that the program
    /// makes itself ([`connection`](Self::connection), [`with`](Self::with)).
    pub fn serve<I: Interface>(mut self, object: I) -> Self {
        self.open = Box::new(move |socket, settings| {
            Connection::builder().settings(settings).serve(object.clone()).start(socket)
        });
        self.by_this = Some("serve");
        self
    }

    /// Makes a connection of each socket with a function of the program's, for what [`serve`](Self::serve),
    /// [`limits`](Self::limits) and [`intercept`](Self::intercept) do not do, and in place of them. Not for
    /// [`with`](Self::with).
    pub fn connection(
        mut self,
        mut open: impl FnMut(UnixStream) -> Result<Connection> + Send + 'static,
    ) -> Self {
        self.open = Box::new(move |socket, _settings| open(socket));
        self.by_program.get_or_insert("connection");
        self
    }

    /// What this connects to, for errors and the log; the peer of each connection gets this
    /// [name](Connection::name_peer), too, unless it was given one. The path or the program unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self.settings.peer_name = Some(self.settings.name.clone());
        self
    }

    /// The delays before attempts, but for the first. They grow while attempts fail or connections end
    /// soon, and begin anew after a connection that lasted for
    /// [`reset_after`](Backoff::reset_after) (with zero: after each); after
    /// [`max_restarts`](Backoff::max_restarts) further attempts in a row this ends.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// The part of each delay that is left to chance, from 0 to 1: with 0.5, a delay of a second is
    /// between a half and one. [`JITTER`](Self::JITTER) unless set.
    pub fn jitter(mut self, part: f64) -> Self {
        self.settings.jitter = part;
        self
    }

    /// How long an attempt may take from the socket until the value is made; for the path of a socket also
    /// how long connecting may take. Then the connection ends, so that the calls that
    /// the function waits for fail. A function that waits for something else is waited for, without delaying
    /// any other use of the [`Reconnecting`]. [`DEADLINE`](Self::DEADLINE) unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// Ends this when there was no connection for so long, and the next attempt would be later. Never,
    /// unless set.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.settings.give_up_after = Some(time);
        self
    }

    /// Whether to try again after an error: of an attempt, or the reason of a loss. Otherwise this ends with
    /// that error. Everything but [`Error::ApiMisuse`] and [`Error::Address`] unless set.
    pub fn retry_if(mut self, retry: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.retry_if = Arc::new(retry);
        self
    }

    /// Runs `hook` with the reason after each loss of a connection whose value was made, before the next
    /// attempt. Not after a failed attempt, not for the end by this side
    /// ([`close`](Reconnecting::close) and drop), and not for a loss while the hook still runs for the one before
    /// (for longer than the [`deadline`](Self::deadline)).
    pub fn on_loss(mut self, hook: impl FnMut(Error) + Send + 'static) -> Self {
        self.on_loss = Some(Box::new(hook));
        self
    }

    /// Begins to connect, and returns at once. Over each connection the peer's bootstrap object is asked
    /// for, and when it has answered, `make` makes of it what the program needs. An error of `make` is a failed
    /// attempt, and ends that connection.
    ///
    /// # Errors
    /// In a fork of the process, or where the driver thread cannot be used. [`Error::ApiMisuse`] if something was set that
    /// has no part in connections which the program makes itself.
    pub fn start<I: Interface, T: Send + Sync + 'static>(
        self,
        mut make: impl FnMut(&I) -> Result<T> + Send + 'static,
    ) -> Result<Reconnecting<T>> {
        let driver = driver()?;
        if let (Some(program), Some(this)) = (self.by_program, self.by_this) {
            return Err(Error::ApiMisuse {
                problem: format!(
                    "Reconnect::{this} has no part in connections that the program makes itself (Reconnect::{program}): \
                     set it there, on the builder of the connection"
                ),
            });
        }
        let Reconnect { connector, mut open, connection, on_loss, retry_if, settings, .. } = self;
        let functions = Functions {
            connector,
            open: Box::new(move |socket| open(socket, connection.clone())),
            make: Box::new(move |link, deadline| {
                let since = Instant::now();
                let init = link.connection.bootstrap_in_time::<I>(link.child.as_ref(), deadline)?;
                let _late = Late::watch(driver, &link.connection, since, deadline);
                make(&init)
            }),
        };
        let shared = Arc::new(Shared::new(settings, driver, functions, (on_loss, retry_if)));
        shared.begin();
        Ok(Reconnecting::new(shared))
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

/// Whether another attempt may succeed.
fn may_pass(error: &Error) -> bool {
    !matches!(error, Error::ApiMisuse { .. } | Error::Address { .. })
}
