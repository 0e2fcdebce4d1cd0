//! Which version of a schema a peer has, as far as its answers have told.

use std::fmt;

use super::family::Family;
use super::handle::Target;
use super::interface::Interface;
use crate::connection::ArcConn;
use crate::session::{Evidence, evidence_of};
use crate::{Error, Result};

/// Which version of a schema a peer has.
///
/// Where the schemas of an interface are given in several versions
/// (`multiprocess_build::Builder::older_version`), one handle serves for peers of all of them. The version
/// of a peer is found out by the calls that are made anyway: see
/// [the guide](https://docs.rs/multiprocess-build/latest/multiprocess_build/guide/index.html). What has
/// been found out lasts as long as the connection.
///
/// ```no_run
/// # fn show<I: multiprocess::Interface>(init: &I) -> multiprocess::Result<()> {
/// use multiprocess::PeerVersion;
///
/// let version = PeerVersion::of(init)?;
/// println!("the other side has version {version}");
/// if !version.is_known() {
///     println!("it may be {:?}", version.possible());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerVersion {
    possible: Vec<&'static str>,
    fits: bool,
}

impl PeerVersion {
    /// What is known of the version of the peer that has this object. For an object of this process it is
    /// the newest.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if the interface has only one version; that of a connection that is lost.
    pub fn of<I: Interface>(handle: &I) -> Result<PeerVersion> {
        let family = family::<I>()?;
        let Some(conn) = conn_of(handle)? else {
            return Ok(PeerVersion { possible: family.labels[..1].to_vec(), fits: true });
        };
        let verdict = evidence(&conn, family, |evidence| evidence.verdict());
        let named = family.labels.iter().enumerate();
        let possible = named.filter(|(version, _)| verdict.possible >> version & 1 == 1);
        Ok(PeerVersion {
            possible: possible.map(|(_, label)| *label).collect(),
            fits: verdict.fits,
        })
    }

    /// Says that the peer that has this object has this version, where the program knows it from elsewhere:
    /// nothing is found out any more, and what the version lacks is not asked for. For an object of this
    /// process it changes nothing.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if there is no version of this name; that of a connection that is lost.
    pub fn assume<I: Interface>(handle: &I, label: &str) -> Result<()> {
        let family = family::<I>()?;
        let Some(version) = family.labels.iter().position(|known| *known == label) else {
            let known = family.labels.join(", ");
            return Err(Error::misuse(format!(
                "{} has no version {label:?}: the versions are {known}",
                I::NAME
            )));
        };
        if let Some(conn) = conn_of(handle)? {
            evidence(&conn, family, |evidence| evidence.assume(1 << version));
        }
        Ok(())
    }

    /// The versions that it may be, from newer to older. If none of them [fits](Self::fits) all answers,
    /// it is a build between two of these.
    pub fn possible(&self) -> &[&'static str] {
        &self.possible
    }

    /// Whether there is a version that all answers fit. If not, the peer is a build between two versions.
    pub fn fits(&self) -> bool {
        self.fits
    }

    /// Whether only one version is possible, and fits.
    pub fn is_known(&self) -> bool {
        self.fits && self.possible.len() == 1
    }
}

/// `31`, or `31 or 30` where it is not known, or `between 32 and 31`.
impl fmt::Display for PeerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fits {
            true => f.write_str(&self.possible.join(" or ")),
            false => write!(f, "between {}", self.possible.join(" and ")),
        }
    }
}

fn family<I: Interface>() -> Result<&'static Family> {
    let one = || Error::misuse(format!("{} has only one version", I::NAME));
    I::FAMILY.filter(|family| !family.labels.is_empty()).ok_or_else(one)
}

fn conn_of<I: Interface>(handle: &I) -> Result<Option<ArcConn>> {
    match handle.handle().target() {
        Target::Local(_) => Ok(None),
        Target::Remote(object) => Ok(Some(ArcConn::clone(object.place()?.0))),
    }
}

/// Looks at what is known of a connection's peer.
pub(super) fn evidence<R>(
    conn: &ArcConn,
    family: &Family,
    look: impl FnOnce(&mut Evidence) -> R,
) -> R {
    evidence_of(conn, family.id, family.labels.len(), look)
}
