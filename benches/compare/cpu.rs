//! The processor time of this process and of a server, including ended threads.

use std::ops::Sub;

/// The processes of one measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// None if each call has another server.
    pub(crate) server: Option<u32>,
}

/// Nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) client: f64,
    pub(crate) server: f64,
}

impl Watch {
    pub(crate) fn of(server: u32) -> Watch {
        Watch { server: Some(server) }
    }

    pub(crate) fn nothing() -> Watch {
        Watch { server: None }
    }

    /// The time so far. None if the system does not provide it.
    pub(crate) fn read(self) -> Option<Cpu> {
        let server = i32::try_from(self.server?).ok()?;
        Some(Cpu { client: clock(None)?, server: clock(Some(server))? })
    }
}

#[cfg(target_os = "linux")]
fn clock(process: Option<i32>) -> Option<f64> {
    use nix::time::ClockId;
    use nix::unistd::Pid;
    let clock = match process {
        None => ClockId::CLOCK_PROCESS_CPUTIME_ID,
        Some(process) => ClockId::pid_cpu_clock_id(Pid::from_raw(process)).ok()?,
    };
    let now = clock.now().ok()?;
    Some(now.tv_sec() as f64 * 1e9 + now.tv_nsec() as f64)
}

#[cfg(not(target_os = "linux"))]
fn clock(_process: Option<i32>) -> Option<f64> {
    None
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, before: Cpu) -> Cpu {
        Cpu { client: self.client - before.client, server: self.server - before.server }
    }
}
