//! The only clock of a run, and the timer that wakes the pacer.
//!
//! Everything is anchored to one start: moments are a `Duration` since it, and the timer is armed
//! for absolute moments, so that an overrun never moves what comes after.

use std::io;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, Nsecs, Secs, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
    clock_gettime, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds of `CLOCK_MONOTONIC`; comparable within one boot of one machine only.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(NS_PER_SECOND).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// The start of a run: what every moment of it is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    start_ns: u64,
}

impl Epoch {
    /// A start that lies `delay` in the future.
    pub fn after(delay: Duration) -> Self {
        Self { start_ns: monotonic_ns().saturating_add(nanoseconds(delay)) }
    }

    /// Time since the start; `None` while the start still lies ahead.
    pub fn elapsed(self) -> Option<Duration> {
        monotonic_ns().checked_sub(self.start_ns).map(Duration::from_nanos)
    }

    /// Time since the start, zero before it.
    pub fn now(self) -> Duration {
        self.elapsed().unwrap_or_default()
    }

    /// The `CLOCK_MONOTONIC` nanosecond of a moment of the run.
    pub fn at(self, moment: Duration) -> u64 {
        self.start_ns.saturating_add(nanoseconds(moment))
    }
}

/// A duration in nanoseconds, at most `u64::MAX` (584 years).
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A timer of microseconds: the runtime's own has a floor of one millisecond.
///
/// It is a `timerfd`; the runtime awaits it as if it were a pipe, which needs no unsafe code:
/// like a pipe it becomes readable, and yields eight bytes.
#[derive(Debug)]
pub struct PreciseTimer {
    timer: pipe::Receiver,
}

impl PreciseTimer {
    /// A timer that is not armed. Must be called within a runtime that has I/O enabled.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { timer: pipe::Receiver::from_owned_fd_unchecked(timer)? })
    }

    /// Waits until `CLOCK_MONOTONIC` shows `at_ns`; never wakes early. The wait may be dropped
    /// and begun again with another moment.
    pub async fn wait_until(&mut self, at_ns: u64) -> io::Result<()> {
        // Zero would disarm the timer.
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once_at(at_ns.max(1)))?;
        let mut expirations = [0; 8];
        loop {
            self.timer.readable().await?;
            match self.timer.try_read(&mut expirations) {
                // An expiry of an earlier, dropped wait leaves the runtime's readiness behind, but
                // nothing to read: arming has cleared it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn once_at(at_ns: u64) -> Itimerspec {
    let never = Timespec { tv_sec: 0, tv_nsec: 0 };
    let at = Timespec {
        tv_sec: Secs::try_from(at_ns / NS_PER_SECOND).unwrap_or(Secs::MAX),
        tv_nsec: Nsecs::try_from(at_ns % NS_PER_SECOND).unwrap_or(0),
    };
    Itimerspec { it_interval: never, it_value: at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_in_the_future_has_not_elapsed() {
        let epoch = Epoch::after(Duration::from_hours(1));
        assert_eq!(epoch.elapsed(), None);
        assert_eq!(epoch.now(), Duration::ZERO);
        assert_eq!(epoch.at(Duration::from_nanos(7)), epoch.at(Duration::ZERO) + 7);
    }

    #[test]
    fn a_moment_beyond_the_clock_saturates() {
        let epoch = Epoch::after(Duration::ZERO);
        assert_eq!(epoch.at(Duration::MAX), u64::MAX);
        assert_eq!(nanoseconds(Duration::from_micros(3)), 3_000);
    }

    /// The timer never wakes early, fires for moments of the past, and a dropped wait, even one
    /// that had expired, leaves nothing behind for the next.
    #[test]
    fn the_timer_waits_for_the_moment_asked_for_last() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let mut timer = PreciseTimer::new().unwrap();
            timer.wait_until(0).await.unwrap();
            for _ in 0..20 {
                {
                    let expired = timer.wait_until(monotonic_ns() - 1);
                    tokio::pin!(expired);
                    let polled = poll_once(expired.as_mut()).await;
                    drop(polled);
                }
                let at = monotonic_ns() + 2_000_000;
                timer.wait_until(at).await.unwrap();
                assert!(monotonic_ns() >= at);
            }
        });
    }

    /// Polls a future once, so that it arms the timer and is dropped before it is done.
    async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
