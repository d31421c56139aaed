#!/usr/bin/env bash
# Certificates and roots take turns in the files of two running mesh-proxies while a client makes new handshakes, and say how that went: the test of
# it/traffic/renewals.rs with the proxy as others get it. A leaf a second and a root a minute, at least one; then as many peers are revoked, and expire.
# Fails where a handshake or a call fails, where there were fewer handshakes a second than asked for, and where a peer gets on for more than a second
# that is revoked or has expired. `tests/real/rotations.sh 600 500` is 600 leaves and 10 roots in 10 minutes.
#
#   tests/real/rotations.sh [SECONDS] [HANDSHAKES-A-SECOND]     default 30 and 500     BIN=DIRECTORY: of a proxy that is built already
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-30}
rate=${2:-500}

if [ -z "${BIN:-}" ]; then
  cargo build --release --locked --bin mesh-proxy
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
proxy=$(realpath "$BIN")/mesh-proxy
said=$(mktemp)
trap 'rm -f "$said"' EXIT
MESH_ROTATIONS=$seconds MESH_HANDSHAKES=$rate MESH_PROXY=$proxy \
  cargo test --locked --workspace --test it traffic::renewals -- --nocapture | tee "$said"
reached=$(sed -n 's/.* new handshakes at \([0-9]*\) a second.*/\1/p' "$said")
# The last ones of the last second may still be on their way.
if [ "${reached:-0}" -lt $((rate * 99 / 100)) ]; then echo "FAILED: $reached handshakes a second are fewer than $rate" >&2; exit 1; fi
grep -oE '[0-9.]+ s (with a new connection|on an open one)' "$said" | while read -r waited _; do
  if [ "${waited%%.*}" -ge 1 ]; then echo "FAILED: a peer got on for $waited s" >&2; exit 1; fi
done
