#!/usr/bin/env bash
# Two plans with opposite answers take turns in front of a running mesh-proxy while requests go on, and say how that went: the test of
# it/swaps.rs with the proxy as others get it, which finds its plans by itself. Fails where a request fails, sees two plans or an old
# one, or a connection is closed, and where there were fewer requests a second than asked for.
#
#   tests/real/swaps.sh [SWAPS] [REQUESTS-A-SECOND]     default 1000 and 10000
set -euo pipefail
cd "$(dirname "$0")/../.."
swaps=${1:-1000}
rate=${2:-10000}

cargo build --release --locked --bin mesh --bin mesh-proxy
proxy="${CARGO_TARGET_DIR:-$PWD/target}/release/mesh-proxy"
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for program in "" "$proxy"; do
  MESH_SWAPS=$swaps MESH_PROXY=$program cargo test --locked --workspace --test it swaps -- --nocapture | tee "$said"
  reached=$(sed -n 's/.* answers at \([0-9]*\) a second.*/\1/p' "$said")
  if [ "${reached:-0}" -lt "$rate" ]; then echo "FAILED: $reached requests a second are fewer than $rate" >&2; exit 1; fi
done
