#!/usr/bin/env bash
# What the proxy promises while its upstreams fail, measured with the real mesh-proxy before upstreams that write down what they get: one of
# three is killed every two seconds, one takes no connections or answers nothing, all fail, more is asked than rate limits and circuit
# breakers let through, mirrors are dead or slow. One line for each promise with its figures; fails where one was not kept.
#
#   tests/real/resilience.sh [SECONDS] [REQUESTS-A-SECOND] [WHAT…]     of each load, default 5 and 5000; kills, blackhole, outage, limits,
#                                                                       breakers, mirrors     BIN=DIRECTORY: of programs that are built already
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-5}
rate=${2:-5000}
shift $(($# < 2 ? $# : 2))

if [ -z "${BIN:-}" ]; then
  cargo build --release --locked -p mesh-cli -p mesh-proxy -p mesh-load --bins
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
source tests/real/servers.sh
"$BIN/mesh-load" show "$@" --mesh "$BIN/mesh" --proxy "$BIN/mesh-proxy" --scratch "$work" --seconds "$seconds" --rate "$rate"
