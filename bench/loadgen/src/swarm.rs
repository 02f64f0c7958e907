//! All client connections of a run, on one thread and one epoll.
//!
//! In: a handler for packets, connections to open, texts to send. Out: calls of the handler. One `turn` waits once and
//! reads each readable socket once, into one shared buffer, so that a delivery costs far less here than in any server.
//! It knows no scenario, and it has no thread, timer or lock.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{Timespec, epoll};

use crate::clock::Clock;
use crate::conn::{Conn, Handler};
use crate::error::LoadError;

const READ_BYTES_MAX: usize = 256 * 1024;
const EVENTS_PER_TURN_MAX: usize = 512;

/// Handshakes under way at once while connections are opened as fast as they go: below any listener's backlog.
pub const PENDING_MAX: usize = 64;

/// The connections.
pub struct Swarm {
    epoll: OwnedFd,
    addr: SocketAddr,
    conns: Vec<Conn>,
    watching_write: Vec<bool>,
    ready: usize,
    scratch: Box<[u8]>,
    events: Vec<epoll::Event>,
    /// The clock of everything that this run measures.
    pub clock: Clock,
}

impl Swarm {
    /// No connections yet, all to come to `addr`.
    pub fn new(addr: SocketAddr) -> Result<Self, LoadError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|errno| LoadError::io("epoll")(errno.into()))?;
        Ok(Self {
            epoll,
            addr,
            conns: Vec::new(),
            watching_write: Vec::new(),
            ready: 0,
            scratch: vec![0; READ_BYTES_MAX].into_boxed_slice(),
            events: Vec::with_capacity(EVENTS_PER_TURN_MAX),
            clock: Clock::start(),
        })
    }

    /// Connections that were dialled.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Starts one more connection; its number is the count of those before it. `due` is when it should have started.
    pub fn dial(&mut self, due: u64) -> Result<(), LoadError> {
        self.dial_from(None, due)
    }

    /// As [`Self::dial`], from a source address.
    pub fn dial_from(&mut self, source: Option<Ipv4Addr>, due: u64) -> Result<(), LoadError> {
        let conn = Conn::dial(self.addr, source, due)?;
        self.register(&conn, self.conns.len())?;
        self.conns.push(conn);
        self.watching_write.push(true);
        Ok(())
    }

    /// Replaces a connection that is gone by a new one under the same number.
    pub fn redial(
        &mut self,
        index: usize,
        source: Option<Ipv4Addr>,
        due: u64,
    ) -> Result<(), LoadError> {
        self.let_go(index);
        let conn = Conn::dial(self.addr, source, due)?;
        self.register(&conn, index)?;
        self.conns[index] = conn;
        self.watching_write[index] = true;
        Ok(())
    }

    /// Cuts a connection without reading what waits in it, as a network does that goes away.
    pub fn let_go(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        if conn.is_gone() {
            return;
        }
        self.ready -= usize::from(conn.is_ready());
        conn.reset_on_close();
        // It was registered when it was dialled, and only here does it go.
        epoll::delete(&self.epoll, &*conn).ok();
        conn.give_up();
    }

    /// Reads nothing more from a connection: what comes stays in the kernel.
    pub fn freeze(&mut self, index: usize) -> Result<(), LoadError> {
        if self.conns[index].is_gone() {
            return Ok(());
        }
        self.watching_write[index] = false;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::modify(
            &self.epoll,
            &self.conns[index],
            data,
            epoll::EventFlags::empty(),
        )
        .map_err(|errno| LoadError::io("epoll modify")(errno.into()))
    }

    fn register(&self, conn: &Conn, index: usize) -> Result<(), LoadError> {
        let data = epoll::EventData::new_u64(index as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        epoll::add(&self.epoll, conn, data, flags)
            .map_err(|errno| LoadError::io("epoll add")(errno.into()))
    }

    /// Opens connections until `count` are ready, a bounded number at a time.
    pub fn open<H: Handler>(&mut self, count: usize, handler: &mut H) -> Result<(), LoadError> {
        let deadline = Deadline::after(&self.clock, 60);
        while self.ready < count {
            while self.len() < count && self.len() - self.ready < PENDING_MAX {
                let now = self.clock.now();
                self.dial(now)?;
            }
            self.turn(handler, Duration::from_millis(100))?;
            deadline.check(&self.clock, "connections", self.ready as u64, count as u64)?;
        }
        Ok(())
    }

    /// Adds a text to connection `index`'s queue; `flush` writes it.
    pub fn queue(&mut self, index: usize, parts: &[&[u8]]) {
        self.conns[index].queue(parts);
    }

    /// Writes what connection `index` has queued. False: the kernel has yet to take some of it.
    pub fn flush(&mut self, index: usize) -> Result<bool, LoadError> {
        self.conns[index].flush(index)?;
        self.watch(index)?;
        Ok(!self.conns[index].wants_write())
    }

    /// Bytes that have come to connection `index` and were not read.
    pub fn unread(&self, index: usize) -> Result<u64, LoadError> {
        rustix::io::ioctl_fionread(&self.conns[index])
            .map_err(|errno| LoadError::io("count unread bytes")(errno.into()))
    }

    /// Sends a text on connection `index`; a connection that is gone is the handler's affair.
    pub fn send<H: Handler>(
        &mut self,
        index: usize,
        parts: &[&[u8]],
        handler: &mut H,
    ) -> Result<(), LoadError> {
        self.queue(index, parts);
        self.flush_or_lose(index, handler)
    }

    /// Writes what connection `index` has queued; a connection that is gone is the handler's affair.
    pub fn flush_or_lose<H: Handler>(
        &mut self,
        index: usize,
        handler: &mut H,
    ) -> Result<(), LoadError> {
        if self.conns[index].is_gone() {
            return Ok(());
        }
        match self.flush(index) {
            Ok(_) => Ok(()),
            Err(error) => self.lose(index, error, handler),
        }
    }

    fn lose<H: Handler>(
        &mut self,
        index: usize,
        error: LoadError,
        handler: &mut H,
    ) -> Result<(), LoadError> {
        self.let_go(index);
        handler.lost(index, error, self.clock.now())
    }

    /// Waits for sockets, at most `wait`, and handles what came.
    pub fn turn<H: Handler>(&mut self, handler: &mut H, wait: Duration) -> Result<(), LoadError> {
        let timeout = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&timeout),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(LoadError::io("epoll wait")(errno.into())),
        }
        for event in &events {
            let (flags, data) = (event.flags, event.data);
            let index = data.u64() as usize;
            if self.conns[index].is_gone() {
                continue;
            }
            if let Err(error) = self.serve(index, flags, handler) {
                self.lose(index, error, handler)?;
            }
        }
        self.events = events;
        Ok(())
    }

    /// Turns until `done`, or fails after `seconds`.
    pub fn turn_until<H: Handler>(
        &mut self,
        handler: &mut H,
        what: &'static str,
        seconds: u64,
        want: u64,
        have: impl Fn(&H) -> u64,
    ) -> Result<(), LoadError> {
        let deadline = Deadline::after(&self.clock, seconds);
        while have(handler) < want {
            self.turn(handler, Duration::from_millis(50))?;
            deadline.check(&self.clock, what, have(handler), want)?;
        }
        Ok(())
    }

    /// Turns for a fixed time, answering heartbeats and nothing else.
    pub fn rest<H: Handler>(&mut self, handler: &mut H, time: Duration) -> Result<(), LoadError> {
        let end = self.clock.now() + time.as_nanos() as u64;
        loop {
            let left = end.saturating_sub(self.clock.now());
            if left == 0 {
                return Ok(());
            }
            self.turn(handler, Duration::from_nanos(left))?;
        }
    }

    fn serve<H: Handler>(
        &mut self,
        index: usize,
        flags: epoll::EventFlags,
        handler: &mut H,
    ) -> Result<(), LoadError> {
        let conn = &mut self.conns[index];
        if flags.contains(epoll::EventFlags::OUT) {
            conn.writable(index, self.addr)?;
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
        {
            let count = match conn.stream().read(&mut self.scratch) {
                Ok(count) => count,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
                {
                    return Ok(());
                }
                Err(error) => return Err(LoadError::io("read")(error)),
            };
            let was_ready = conn.is_ready();
            conn.take(index, &self.scratch[..count], self.clock.now(), handler)?;
            if !was_ready && conn.is_ready() {
                self.ready += 1;
            }
            conn.flush(index)?;
        }
        self.watch(index)
    }

    fn watch(&mut self, index: usize) -> Result<(), LoadError> {
        let wants = self.conns[index].wants_write();
        if wants == self.watching_write[index] {
            return Ok(());
        }
        self.watching_write[index] = wants;
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, wants);
        let data = epoll::EventData::new_u64(index as u64);
        epoll::modify(&self.epoll, &self.conns[index], data, flags)
            .map_err(|errno| LoadError::io("epoll modify")(errno.into()))
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.conns.iter().for_each(Conn::reset_on_close);
    }
}

/// A point in time after which waiting is an error.
pub struct Deadline {
    at: u64,
    seconds: u64,
}

impl Deadline {
    /// `seconds` from now.
    pub fn after(clock: &Clock, seconds: u64) -> Self {
        Self {
            at: clock.now() + seconds * 1_000_000_000,
            seconds,
        }
    }

    /// Fails when the time has passed.
    pub fn check(
        &self,
        clock: &Clock,
        what: &'static str,
        have: u64,
        want: u64,
    ) -> Result<(), LoadError> {
        if clock.now() <= self.at {
            return Ok(());
        }
        Err(LoadError::Stalled {
            what,
            have,
            want,
            seconds: self.seconds,
        })
    }
}
