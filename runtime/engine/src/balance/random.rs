//! Any of them.

use super::Draw;

/// One of these, each as likely as any other.
pub fn pick(among: &[u32], draw: &mut Draw<'_>) -> Option<u32> {
    among.get(draw(among.len().max(1))).copied()
}
