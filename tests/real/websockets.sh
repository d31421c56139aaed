#!/usr/bin/env bash
# WebSockets with other people's ends: the library `websockets` on both sides (messages of 16 MiB, fragments, pings, closes, breaks), and the
# cases of the Autobahn test suite, which fuzz it through the proxy, once as a server and once as a client. All but those at a client also with a
# hop of HTTP/2 on the way (RFC 8441). Passes iff each of our cases passes, and each of Autobahn's ends through the proxy as without it.
# (Autobahn's own `wstest` needs Python 2; `kosoku` runs its cases.)
#
#   tests/real/websockets.sh [all]     `all`: those of long messages and of compression, too, which take minutes
#                                      BIN=DIRECTORY: of programs that are built already
set -euo pipefail
cd "$(dirname "$0")/../.."
leave_out=(-x '9.*' -x '12.*' -x '13.*')
if [ "${1:-}" = all ]; then leave_out=(); fi

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
source tests/real/websockets/python.sh
"$python" -c 'import importlib.metadata as m; print(*(f"{name} {m.version(name)}" for name in ["websockets", "kosoku"]))'

if [ -z "${BIN:-}" ]; then
  cargo build --release --locked --bin mesh --bin mesh-proxy
  BIN=$target/release
fi
source tests/real/servers.sh
echo_port=$(free_port) fuzzing=$(free_port) front=$(free_port) before_fuzzing=$(free_port) far=$(free_port) hop=$(free_port)

"$python" tests/real/websockets/peer.py serve "$echo_port" > "$work/peer.log" 2>&1 &
echo $! > "$work/peer.pid"

mkdir "$work/mesh"
cat > "$work/mesh/echo.mesh" <<MESH
gateway edge {
  listener sockets port $front http { host "*" }
  listener fuzzed port $before_fuzzing http { host "*" }
  listener far port $far http { host "*" }
  listener hop port $hop http2 { host "*" }
}
authorize edge {
  allow from anyone
}
route edge listener sockets {
  rule all { to echo; upgrade websocket }
}
route edge listener fuzzed {
  rule all { to fuzzing; upgrade websocket }
}
route edge listener far {
  rule all { to hop; upgrade websocket }
}
route edge listener hop {
  rule all { to echo; upgrade websocket }
}
service hop {
  port 80 http2
  endpoints static "127.0.0.1:$hop"
}
authorize hop {
  allow from gateway edge
}
service echo {
  port 80 http
  endpoints static "127.0.0.1:$echo_port"
}
authorize echo {
  allow from gateway edge
}
service fuzzing {
  port 80 http
  endpoints static "127.0.0.1:$fuzzing"
}
authorize fuzzing {
  allow from gateway edge
}
MESH
"$BIN/mesh" build --quiet "$work/mesh" -o "$work/mesh.mplan"
"$BIN/mesh-proxy" --plan "$work/mesh.mplan" --gateway edge --bind 127.0.0.1 --access-log stdout > "$work/access.log" 2> "$work/proxy.log" &
echo $! > "$work/proxy.pid"
await "$echo_port" "$front" "$far"

failed=0
echo "straight to the server:"; "$python" tests/real/websockets/peer.py cases "127.0.0.1:$echo_port" || failed=1
echo "through the proxy:";      "$python" tests/real/websockets/peer.py cases "127.0.0.1:$front" || failed=1
echo "over HTTP/2:";            "$python" tests/real/websockets/peer.py cases "127.0.0.1:$far" || failed=1

# fuzz REPORTS PORT: plays the cases as a client
fuzz() { "$target/websocket-python/bin/kosoku" -m fuzzingclient -p 8 "${leave_out[@]}" -o "$work/$1" "127.0.0.1:$2" > "$work/$1.log" 2>&1 || true; }
echo "Autobahn's cases, as a client:"
fuzz straight "$echo_port"
fuzz through "$front"
"$python" tests/real/websockets/verdicts.py "$work/straight/index.json" "$work/through/index.json" || failed=1
echo "Autobahn's cases, as a client, over HTTP/2:"
fuzz far "$far"
"$python" tests/real/websockets/verdicts.py "$work/straight/index.json" "$work/far/index.json" || failed=1

# serve_fuzz REPORTS PORT: plays the cases as a server, to whom a client comes by this port
serve_fuzz() {
  "$target/websocket-python/bin/kosoku" -m fuzzingserver "${leave_out[@]}" -o "$work/$1" "127.0.0.1:$fuzzing" > "$work/$1.log" 2>&1 &
  echo $! > "$work/fuzzing.pid"
  await "$fuzzing"
  "$python" tests/real/websockets/peer.py fuzzed "127.0.0.1:$2" || failed=1
  # It ends once it has written its reports.
  for _ in $(seq 100); do
    if [ -e "$work/$1/index.json" ]; then break; fi
    sleep 0.1
  done
  kill "$(cat "$work/fuzzing.pid")" 2>/dev/null || true
  wait "$(cat "$work/fuzzing.pid")" 2>/dev/null || true
}
echo "Autobahn's cases, as a server:"
serve_fuzz served "$fuzzing"
serve_fuzz passed "$before_fuzzing"
"$python" tests/real/websockets/verdicts.py "$work/served/index.json" "$work/passed/index.json" || failed=1

kill -TERM "$(cat "$work/proxy.pid")"
wait "$(cat "$work/proxy.pid")" || { echo "the proxy did not end cleanly" >&2; cat "$work/proxy.log" >&2; failed=1; }
echo "$(grep -c '"status":101' "$work/access.log") WebSockets are in the access log"
[ "$failed" = 0 ] || { echo "FAILED" >&2; exit 1; }
echo "0 errors"
