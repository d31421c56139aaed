//! Messages of HTTP/1.1 as bytes (RFC 9112): what every reader reads in the same way, and nothing else.
//!
//! A message that has both `content-length` and `transfer-encoding`, equal `content-length` lines, bare line feeds, a fragment in its target: one hop
//! reads it in this way and the next one in another. That is request smuggling. Here each line of a head has one form, and what has another is
//! refused. What is written is always framed anew.

mod body;
mod chunks;
mod fields;
mod head;
mod lines;
mod writing;

pub(crate) use body::Reading;
pub(crate) use fields::keeps;
pub(crate) use head::{Defect, Head};
pub(crate) use lines::{Line, Lines};
pub(crate) use writing::{Framing, Head as HeadOut, Interrupted, Writing};
