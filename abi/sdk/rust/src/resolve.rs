//! Names of hosts, which the system's resolver turns into addresses while it blocks.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::unblock::unblock;

/// Asks the system for the addresses of a host with a port, such as `"example.org:443"`, in [`unblock`]: in the order
/// in which they should be tried, at least one. An error names the host. It can take as long as the system waits for an
/// answer, often many seconds; after a [`timeout`](crate::timeout) it still occupies its thread until then.
///
/// ```
/// async fn client() -> std::io::Result<()> {
///     for address in taskhost::resolve("localhost:80").await? {
///         taskhost::info!("{}", address);
///     }
///     Ok(())
/// }
/// # taskhost::plugin! { "client" => client }
/// ```
///
/// # Panics
/// Like [`unblock`].
pub async fn resolve(host_and_port: impl Into<String>) -> io::Result<Vec<SocketAddr>> {
    let name = host_and_port.into();
    unblock(move || {
        let failed =
            |kind, why: &dyn std::fmt::Display| io::Error::new(kind, format!("can't resolve {:?}: {}", name, why));
        let found: Vec<SocketAddr> = match name.to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Err(failed(error.kind(), &error)),
        };
        if found.is_empty() {
            return Err(failed(io::ErrorKind::NotFound, &"it has no address"));
        }
        Ok(found)
    })
    .await
}
