//! People who log in all the time.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use testbed::certificates::Certificates;
use testbed::client::Client;
use testbed::tls::Tls;
use testbed::wire::Wire;

use super::House;

/// Ends their work, also when the test has failed.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl House {
    /// While `work` is done, four people log in, in clear and inside TLS,
    /// look at their mail and leave; how many have. If one of them fails, the test
    /// does.
    pub(crate) fn while_people_log_in(
        &mut self,
        certificates: &Certificates,
        work: impl FnOnce(&mut House),
    ) -> usize {
        let (address, tls_address) = (self.service.address(), self.service.tls_address());
        let (is_over, sessions) = (AtomicBool::new(false), AtomicUsize::new(0));
        let connect = |address| TcpStream::connect(address).unwrap();
        thread::scope(|scope| {
            let over = Over(&is_over);
            let clear = || {
                while !is_over.load(Ordering::Relaxed) {
                    visit(connect(address));
                    sessions.fetch_add(1, Ordering::Relaxed);
                }
            };
            let inside_tls = || {
                while !is_over.load(Ordering::Relaxed) {
                    visit(Tls::begin(connect(tls_address), certificates).unwrap());
                    sessions.fetch_add(1, Ordering::Relaxed);
                }
            };
            let people =
                [scope.spawn(clear), scope.spawn(clear), scope.spawn(inside_tls), scope.spawn(inside_tls)];
            work(self);
            drop(over);
            for one in people {
                assert!(one.join().is_ok(), "{}", self.log());
            }
        });
        sessions.into_inner()
    }
}

fn visit(wire: impl Wire) {
    let mut client = Client::log_in(wire).unwrap();
    assert!(client.command("STAT").unwrap().starts_with("+OK 1 "));
    client.quit().unwrap();
}
