//! Connections that were redirected to a sidecar (REDIRECT of `iptables`, `redirect` of `nftables`): the kernel knows where their client
//! wanted to go. Of bytes, which say nothing of whom they are for, that is whom they mean.

use crate::serving::Opened;
use mesh_engine::{Entry, callee};
use mesh_plan::Protocol;
use socket2::SockRef;
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpStream;

/// Whom a connection of bytes means that was meant for somebody else than the sidecar it came to, as the plan says it: the host and the port
/// of a call that the service declares. `None`: nobody who is spoken to in bytes, and what begins then may say itself whom it means.
pub(crate) fn meant(opened: &Opened, stream: &TcpStream) -> Option<(String, u16)> {
    let Entry::Sidecar { service } = opened.entry else { return None };
    at(opened, service, original(stream)?)
}

/// Where the client wanted to go (`SO_ORIGINAL_DST`), if that is not here.
fn original(stream: &TcpStream) -> Option<SocketAddr> {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let local = canonical(stream.local_addr().ok()?);
    let socket = SockRef::from(stream);
    let original = match local.ip() {
        IpAddr::V4(_) => socket.original_dst_v4(),
        IpAddr::V6(_) => socket.original_dst_v6(),
    };
    let original = canonical(original.ok()?.as_socket()?);
    (original != local).then_some(original)
}

fn at(opened: &Opened, service: u32, to: SocketAddr) -> Option<(String, u16)> {
    let view = &opened.serving.view;
    let host = match to.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let call = callee(view, service, &host, Some(to.port()))?;
    let call = view.service(service)?.calls().get(call)?;
    let port = view.service(call.service())?.port(call.port())?;
    (port.protocol() == Protocol::Connections).then_some((host, to.port()))
}
