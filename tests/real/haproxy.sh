#!/usr/bin/env bash
# HAProxy on both sides of the proxy, in HTTP/1.1 and in HTTP/2 with prior knowledge, with the addresses of its clients in the PROXY
# protocol: bodies that come through whole, and load of wrk and h2load while the HAProxy behind is replaced with grace and plans are
# swapped. Passes iff each body is whole and no request fails.
#
#   tests/real/haproxy.sh [SECONDS]     of each load, default 5; installs haproxy, wrk and nghttp2-client     BIN=DIRECTORY: of programs that are built already
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-5}

for tool in haproxy:haproxy wrk:wrk h2load:nghttp2-client curl:curl; do
  command -v "${tool%:*}" >/dev/null || missing="${missing:-} ${tool#*:}"
done
if [ -n "${missing:-}" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
haproxy -v | sed -n 1p

if [ -z "${BIN:-}" ]; then
  cargo build --release --locked --bin mesh --bin mesh-proxy
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
source tests/real/servers.sh
# Of the HAProxy behind, of the proxy, of the HAProxy in front.
behind=$(free_port) behind2=$(free_port) edge=$(free_port) edge2=$(free_port) front=$(free_port) front2=$(free_port)
echo_port=$(free_port)

defaults="
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s"
cat > "$work/behind.cfg" <<CFG
global$defaults
frontend one
  bind 127.0.0.1:$behind
  bind 127.0.0.1:$behind2 proto h2
  http-request return status 200 content-type text/plain lf-string "fine %[req.hdr(x-forwarded-for)]" if { path /fine }
  default_backend echo
backend echo
  server echo 127.0.0.1:$echo_port
CFG
cat > "$work/front.cfg" <<CFG
global$defaults
frontend one
  bind 127.0.0.1:$front
  default_backend one
backend one
  server mesh 127.0.0.1:$edge send-proxy-v2
frontend two
  bind 127.0.0.1:$front2 proto h2
  default_backend two
backend two
  server mesh 127.0.0.1:$edge2 proto h2 send-proxy-v2
CFG
# What comes in a body goes back in one.
cat > "$work/echo.py" <<'PY'
import http.server, sys

class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # A HAProxy that is replaced resets what it had open.

Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
PY
python3 "$work/echo.py" "$echo_port" & echo $! > "$work/echo.pid"

mkdir "$work/mesh"
cat > "$work/mesh/shop.mesh" <<MESH
gateway edge {
  listener one port $edge http { host "*"; proxy-protocol }
  listener two port $edge2 http2 { host "*"; proxy-protocol }
}
authorize edge {
  allow from anyone
}
route edge listener one {
  rule framed { match when header "x-to" = "framed"; to framed }
  rule plain { to plain }
}
route edge listener two {
  rule framed { match when header "x-to" = "framed"; to framed }
  rule plain { to plain }
}
MESH
# service NAME PROTOCOL PORT
service() {
  cat <<MESH
service $1 {
  port 80 $2
  endpoints static "127.0.0.1:$3"
  # One that is replaced closes connections, and what it has not begun can be asked again.
  retry 3 on connect-failure, reset { backoff 5ms..50ms }
  load-balancer round-robin
}
authorize $1 {
  allow from gateway edge
}
MESH
}
service plain http "$behind" >> "$work/mesh/shop.mesh"
service framed http2 "$behind2" >> "$work/mesh/shop.mesh"
"$BIN/mesh" build --quiet "$work/mesh" -o "$work/a.mplan"
sed 's/round-robin/least-request/' -i "$work/mesh/shop.mesh"
"$BIN/mesh" build --quiet "$work/mesh" -o "$work/b.mplan"
cp "$work/a.mplan" "$work/live.mplan"
"$BIN/mesh-proxy" --plan "$work/live.mplan" --gateway edge --bind 127.0.0.1 --access-log stdout > "$work/access.log" 2> "$work/proxy.log" &
echo $! > "$work/proxy.pid"

haproxy -W -db -f "$work/behind.cfg" > "$work/behind.log" 2>&1 & echo $! > "$work/behind.pid"
haproxy -W -db -f "$work/front.cfg" > "$work/front.log" 2>&1 & echo $! > "$work/front.pid"
await "$behind" "$behind2" "$front" "$front2" "$edge" "$edge2" "$echo_port"

failed=0
# same WHAT EXPECTED GOT
same() {
  if [ "$2" = "$3" ]; then echo "passed $1"; else echo "FAILED $1: expected \`${2:0:200}\`, got \`${3:0:200}\`" >&2; failed=1; fi
}
head -c 8388608 /dev/urandom > "$work/large"
sum=$(sha256sum < "$work/large")
for to in plain framed; do
  for way in "--http1.1:$front" "--http2-prior-knowledge:$front2"; do
    ask() { curl -sS --max-time 60 "${way%:*}" -H "x-to: $to" "$@"; }
    at="http://127.0.0.1:${way##*:}"
    name="${way%:*} to $to"
    same "$name: the address of HAProxy's client" "fine 127.0.0.1" "$(ask "$at/fine")"
    same "$name: 8 MiB there and back" "$sum" "$(ask --data-binary "@$work/large" "$at/echo" | sha256sum)"
    same "$name: 8 MiB of unknown length" "$sum" "$(ask -T - "$at/echo" -X POST < "$work/large" | sha256sum)"
    same "$name: HEAD" 200 "$(ask -I -o /dev/null -w '%{http_code}' "$at/fine")"
  done
done
# HAProxy sends these only with a PROXY header, without which the listener takes nothing.
same "no PROXY header, no answer" "" "$(curl -s --max-time 5 "http://127.0.0.1:$edge/fine" || true)"

# under WHAT COMMAND…: a load, while the HAProxy behind and plans are replaced each second
under() {
  local name=$1 turn=0; shift
  "$@" > "$work/load.txt" 2>&1 & local load=$!
  while kill -0 "$load" 2>/dev/null; do
    sleep 1
    kill -USR2 "$(cat "$work/behind.pid")" 2>/dev/null || true
    cp "$work/$([ $((turn % 2)) = 0 ] && echo b || echo a).mplan" "$work/next.mplan"
    mv "$work/next.mplan" "$work/live.mplan"
    turn=$((turn + 1))
  done
  wait "$load" || failed=1
  # Both say how many were answered well, and only what went wrong beside.
  if grep -qE 'Socket errors|Non-2xx| [1-9][0-9]* (failed|errored|timeout|3xx|4xx|5xx)' "$work/load.txt" ||
    ! grep -qE '[0-9]{3,} (requests in|succeeded)' "$work/load.txt"; then
    echo "FAILED $name:" >&2; cat "$work/load.txt" >&2; failed=1
  else
    echo "passed $name: $(grep -oE '[0-9]+ (requests in|succeeded).*' "$work/load.txt" | xargs); HAProxy and plans were replaced $turn times"
  fi
}
for to in plain framed; do
  under "wrk to $to" wrk -t1 -c32 -d"${seconds}s" -H "x-to: $to" "http://127.0.0.1:$front/fine"
  under "h2load to $to" h2load -D "$seconds" -c4 -m8 -H "x-to: $to" "http://127.0.0.1:$front2/fine"
done

kill -TERM "$(cat "$work/proxy.pid")"
wait "$(cat "$work/proxy.pid")" || { echo "the proxy did not end cleanly" >&2; cat "$work/proxy.log" >&2; failed=1; }
[ "$failed" = 0 ] || { echo "FAILED" >&2; exit 1; }
echo "0 errors"
