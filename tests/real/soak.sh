#!/usr/bin/env bash
# Memory over a long time: HTTP/1.1, HTTP/2, calls of gRPC, retries, WebSockets and connections of bytes through one proxy, while clients break
# off, upstreams are killed and plans are swapped. Fails where what is resident goes on rising after the first fifth, or where requests fail
# that can be tried again. Says besides what an idle connection of each kind takes.
#
#   tests/real/soak.sh MINUTES [REQUESTS-A-SECOND]     default 1000; installs nghttp2-client     BIN=DIRECTORY: of programs that are built already
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=$(python3 -c 'import sys; print(int(float(sys.argv[1]) * 60))' "${1:?MINUTES}")
rate=${2:-1000}
ulimit -n "$(ulimit -Hn)"

if ! command -v h2load >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nghttp2-client >/dev/null
fi
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
source tests/real/websockets/python.sh
if [ -z "${BIN:-}" ]; then
  cargo build --release --locked -p mesh-cli -p mesh-proxy -p mesh-load --bins
  BIN=$target/release
fi
source tests/real/servers.sh
one=$(free_port) two=$(free_port) failing=$(free_port) slow=$(free_port) sockets=$(free_port) bytes=$(free_port)
web=$(free_port) framed=$(free_port) raw=$(free_port)

# upstream NAME PORT ARGUMENT…
upstream() {
  "$BIN/mesh-load" upstream --listen "127.0.0.1:$2" --journal /dev/null "${@:3}" 2> "$work/$1.log" &
  echo $! > "$work/$1.pid"
  # Nobody has to be told how it ended.
  disown $!
}
upstream one "$one"
upstream two "$two"
upstream failing "$failing" --status 503
upstream slow "$slow" --hold 500
"$python" tests/real/websockets/peer.py serve "$sockets" > "$work/sockets.log" 2>&1 &
echo $! > "$work/sockets.pid"
python3 - "$bytes" <<'PY' 2> "$work/bytes.log" &
import asyncio, sys

async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
    except ConnectionError:
        pass

async def main():
    async with await asyncio.start_server(echo, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()

asyncio.run(main())
PY
echo $! > "$work/bytes.pid"

# service NAME PROTOCOL ENDPOINTS [STATEMENTS]
service() {
  cat <<MESH
service $1 {
  port 80 $2
  endpoints static $3
  $4
}
authorize $1 {
  allow from gateway edge
}
MESH
}
again='retry 3 on connect-failure, reset { methods PUT; buffer 64KiB; backoff 5ms..50ms }'
# project BALANCER: what both plans have
project() {
  cat <<MESH
gateway edge {
  listener web port $web http { host "*" }
  listener framed port $framed http2 { host "*" }
  listener raw port $raw tcp
}
authorize edge {
  allow from anyone
}
route edge listener raw { to raw }
MESH
  local listener
  for listener in web framed; do
    cat <<MESH
route edge listener $listener {
  rule plain { match /plain; to plain; mirror slow 1% including-writes }
  rule calls { match /load.Test/**; to calls }
  rule flaky { match /flaky; to flaky }
  rule slow { match /slow; to slow; timeout 5s }
  rule here { match /here; respond 200 "here" }
  rule socket { match /socket; to sockets; upgrade websocket }
  otherwise 404
}
MESH
  done
  service plain http "\"127.0.0.1:$one\", \"127.0.0.1:$two\"" "$again; load-balancer $1"
  service calls http2 "\"127.0.0.1:$one\", \"127.0.0.1:$two\"" "$again; load-balancer $1"
  service flaky http "\"127.0.0.1:$failing\", \"127.0.0.1:$one\"" 'retry 2 on connect-failure, reset, 5xx { backoff 1ms..5ms }; timeout 5s'
  service slow http "\"127.0.0.1:$slow\"" ''
  service sockets http "\"127.0.0.1:$sockets\"" ''
  service raw tcp "\"127.0.0.1:$bytes\"" ''
}
for balancer in round-robin peak-ewma; do
  mkdir "$work/$balancer"
  project "$balancer" > "$work/$balancer/soak.mesh"
  "$BIN/mesh" build --quiet "$work/$balancer" -o "$work/$balancer.mplan" > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
done
cp "$work/round-robin.mplan" "$work/live.mplan"
# run NAME: starts the proxy
run() {
  "$BIN/mesh-proxy" --plan "$work/live.mplan" --gateway edge --bind 127.0.0.1 --access-log stdout > /dev/null 2> "$work/$1.log" &
  echo $! > "$work/$1.pid"
  await "$web" "$framed" "$raw"
}
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$(cat "$work/proxy.pid")/status"; }
# stop NAME
stop() {
  kill "$(cat "$work/$1.pid")"
  wait "$(cat "$work/$1.pid")" || true
  rm "$work/$1.pid"
}
await "$one" "$two" "$failing" "$slow" "$sockets" "$bytes"
failed=0

# What idle connections take, each kind of a proxy that has done nothing else.
for kind in "http1 $web" "websocket $web" "bytes $raw"; do
  read -r kind port <<< "$kind"
  run proxy
  before=$(resident)
  mkfifo "$work/$kind.end"
  "$python" tests/real/soak/client.py idle "$kind" "$port" 1000 < "$work/$kind.end" > "$work/$kind.txt" &
  held=$!
  exec 4> "$work/$kind.end"
  for _ in $(seq 600); do
    if grep -q open "$work/$kind.txt"; then break; fi
    sleep 0.1
  done
  # What was ready for more is given back by then.
  sleep $([ "$kind" = http1 ] && echo 6 || echo 1)
  echo "1000 idle connections ($kind): $(($(resident) - before)) KiB more are resident, $((($(resident) - before) * 1024 / 1000)) bytes each"
  exec 4>&-
  wait "$held" || failed=1
  stop proxy
done

run proxy
start=$(resident)
# load NAME SHARE ARGUMENT…: this share, in percent, of all requests, over four connections
load() {
  local name=$1 each=$((rate * $2 / 400))
  h2load -c4 --rps "$((each > 0 ? each : 1))" -D "$seconds" "${@:3}" > "$work/$name.txt" 2>&1 &
  loads+=($!)
}
loads=()
head -c 2000 /dev/zero > "$work/body"
printf '\0\0\0\0\0' > "$work/message"
load http1 40 --h1 "http://127.0.0.1:$web/plain"
load http2 25 -m8 "http://127.0.0.1:$framed/plain"
load grpc 20 -m8 -H 'content-type: application/grpc' -H 'te: trailers' -d "$work/message" "http://127.0.0.1:$framed/load.Test/Call"
load flaky 10 --h1 "http://127.0.0.1:$web/flaky"
load here 5 --h1 "http://127.0.0.1:$web/here"
"$python" tests/real/soak/client.py mixed "$seconds" "$web" "$raw" > "$work/mixed.txt" 2>&1 &
mixed=$!

turn=0
began=$SECONDS
while [ $((SECONDS - began)) -lt "$seconds" ]; do
  sleep 1
  echo "$((SECONDS - began)) $(resident)" >> "$work/samples"
  turn=$((turn + 1))
  if [ $((turn % 5)) = 0 ]; then
    cp "$work/$([ $((turn % 10)) = 0 ] && echo round-robin || echo peak-ewma).mplan" "$work/next.mplan"
    mv "$work/next.mplan" "$work/live.mplan"
  fi
  case $((turn % 20)) in
    8) kill -9 "$(cat "$work/two.pid")" ;;
    10) upstream two "$two" ;;
  esac
done
wait "${loads[@]}" || true
wait "$mixed" || { echo "FAILED: what is broken off" >&2; failed=1; }

for name in http1 http2 grpc flaky here; do
  echo "$name: $(grep -E '^requests:' "$work/$name.txt" | sed 's/^requests: //'); $(grep -E '^status codes:' "$work/$name.txt")"
done
cat "$work/mixed.txt"
# What can be tried again does not fail; a call of gRPC is a POST, and ends with UNAVAILABLE where its upstream is killed.
for name in http1 http2 flaky here; do
  if ! grep -qE '^requests: [1-9][0-9]* total.* 0 failed, 0 errored, 0 timeout' "$work/$name.txt" || ! grep -qE ' 0 4xx, 0 5xx' "$work/$name.txt"; then
    echo "FAILED: requests failed of $name" >&2; failed=1
  fi
done
python3 tests/real/soak/flat.py "$work/samples" "$start" || { echo "FAILED: memory rises" >&2; failed=1; }
echo "$(grep -c 'serving plan' "$work/proxy.log") plans were taken, upstreams were killed $((turn / 20)) times"
kill -TERM "$(cat "$work/proxy.pid")"
wait "$(cat "$work/proxy.pid")" || { echo "the proxy did not end cleanly" >&2; cat "$work/proxy.log" >&2; failed=1; }
[ "$failed" = 0 ] || { echo "FAILED" >&2; exit 1; }
echo "0 errors"
