//! An alarm clock in a poll: it wakes at an instant, not at the next millisecond.

use std::io;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

#[cfg(target_os = "linux")]
mod timer {
    use std::os::fd::{AsRawFd, OwnedFd};

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};

    #[derive(Debug)]
    pub struct Timer(OwnedFd);

    impl Timer {
        pub fn new(registry: &Registry, token: Token) -> std::io::Result<Self> {
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self(timer))
        }

        pub fn arm(&self, within: std::time::Duration) -> std::io::Result<()> {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            // A value of zero would disarm it.
            let nanos = within.subsec_nanos().max(u32::from(within.as_secs() == 0));
            let value = Timespec { tv_sec: i64::try_from(within.as_secs()).unwrap_or(i64::MAX), tv_nsec: nanos.into() };
            // Each setting forgets what has expired, so nothing needs to be read.
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value })?;
            Ok(())
        }
    }
}

/// The clock; elsewhere than on Linux it is the poll's own time-out, in milliseconds.
#[derive(Debug)]
pub struct Alarm {
    #[cfg(target_os = "linux")]
    timer: timer::Timer,
    armed: Option<Instant>,
}

impl Alarm {
    /// # Errors
    /// A machine that has no timer left.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        #[cfg(not(target_os = "linux"))]
        let _ = (registry, token);
        Ok(Self {
            #[cfg(target_os = "linux")]
            timer: timer::Timer::new(registry, token)?,
            armed: None,
        })
    }

    /// It rang, and has to be set again.
    pub fn rang(&mut self) {
        self.armed = None;
    }

    /// Sets it to an instant; what the poll's time-out has to be for it.
    ///
    /// # Errors
    /// A timer that can't be set.
    pub fn set(&mut self, at: Instant) -> io::Result<Option<Duration>> {
        let within = at.saturating_duration_since(Instant::now());
        if within.is_zero() {
            return Ok(Some(Duration::ZERO));
        }
        #[cfg(target_os = "linux")]
        {
            if self.armed != Some(at) {
                self.timer.arm(within)?;
                self.armed = Some(at);
            }
            Ok(None)
        }
        #[cfg(not(target_os = "linux"))]
        {
            self.armed = Some(at);
            Ok(Some(within))
        }
    }
}
