#!/usr/bin/env bash
# An agent of the SPIFFE Workload API of other people's gRPC and protobuf: two proxies take their certificates from it and call each other,
# while it sends others and while it is away. Passes iff no call fails and each certificate is taken over.
#
#   tests/real/spiffe.sh     BIN=DIRECTORY: of programs that are built already
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
python=$target/grpc-python/bin/python
if ! "$python" -c 'import grpc, google.protobuf' 2>/dev/null; then
  python3 -m venv "$target/grpc-python" 2>/dev/null || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    python3 -m venv "$target/grpc-python"
  }
  "$python" -m pip install --quiet --disable-pip-version-check 'grpcio>=1.60' 'protobuf>=5'
fi
"$python" -c 'import grpc, google.protobuf as p; print("grpcio", grpc.__version__, "protobuf", p.__version__)'

if [ -z "${BIN:-}" ]; then
  cargo build --release --locked --bin mesh --bin mesh-proxy
  BIN=$target/release
fi
BIN=$(realpath "$BIN")
source tests/real/servers.sh
called=$(free_port) shop=$(free_port) calls=$(free_port)

echo fine > "$work/index.html"
python3 -m http.server "$shop" --bind 127.0.0.1 --directory "$work" >/dev/null 2>&1 &
echo $! > "$work/shop.pid"

mkdir "$work/mesh"
cat > "$work/mesh/shop.mesh" <<MESH
mesh m { mtls strict }
service web { calls shop }
service shop { port 80 http; endpoints static "127.0.0.1:$called" }
authorize shop { allow from web }
MESH
"$BIN/mesh" build "$work/mesh" -o "$work/mesh.mplan" > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$BIN/mesh" ca init local.test --dir "$work" > /dev/null 2>&1

# issue NAME: another certificate, for the agent to send
issue() {
  "$BIN/mesh" ca issue "spiffe://local.test/ns/default/sa/$1" --dir "$work" -o "$work/$1/new" > /dev/null 2>&1
  mv "$work/$1/new.key" "$work/$1/svid.key"
  mv "$work/$1/new.pem" "$work/$1/svid.pem"
}
# agent NAME: starts it
agent() {
  rm -f "$work/$1/agent.sock"
  "$python" tests/real/spiffe/agent.py "$work/$1/agent.sock" "$work/$1" > "$work/$1/agent.log" 2>&1 &
  echo $! > "$work/$1-agent.pid"
  wait_for "$work/$1/agent.log" listening 1
}
# wait_for FILE TEXT TIMES
wait_for() {
  for _ in $(seq 300); do
    if [ "$(grep -c "$2" "$1" || true)" -ge "$3" ]; then return; fi
    sleep 0.1
  done
  echo "$1 does not say '$2' $3 times:" >&2
  cat "$1" >&2
  return 1
}
for name in web shop; do
  mkdir "$work/$name"
  echo "spiffe://local.test/ns/default/sa/$name" > "$work/$name/id"
  cp "$work/local.test.pem" "$work/$name/ca.pem"
  issue "$name"
  agent "$name"
done

"$BIN/mesh-proxy" --plan "$work/mesh.mplan" --service shop --inbound "127.0.0.1:$called=127.0.0.1:$shop" \
  --workload-api "unix://$work/shop/agent.sock" > "$work/shop.log" 2>&1 &
echo $! > "$work/shop-proxy.pid"
SPIFFE_ENDPOINT_SOCKET="unix://$work/web/agent.sock" \
  "$BIN/mesh-proxy" --plan "$work/mesh.mplan" --service web --outbound "127.0.0.1:$calls" > "$work/web.log" 2>&1 &
echo $! > "$work/web-proxy.pid"
wait_for "$work/shop.log" "serving plan" 1
wait_for "$work/web.log" "serving plan" 1

cat > "$work/load.py" <<'PY'
import http.client, sys, os
port, over = int(sys.argv[1]), sys.argv[2]
made = failed = 0
while not os.path.exists(over):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/index.html", headers={"host": "shop", "connection": "close"})
    failed += connection.getresponse().status != 200
    made += 1
print(made, failed)
PY
python3 "$work/load.py" "$calls" "$work/over" > "$work/load.log" 2>&1 &
load=$!
echo $load > "$work/load.pid"
for round in $(seq 10); do
  for name in web shop; do
    issue "$name"
    wait_for "$work/$name.log" "took over another certificate" "$round"
  done
done
# Away, and back with another one.
kill "$(cat "$work/shop-agent.pid")"
wait_for "$work/shop.log" "serves as long as it lasts" 1
issue shop
agent shop
wait_for "$work/shop.log" "took over another certificate" 11
touch "$work/over"
wait "$load"
read -r made failed < "$work/load.log"
echo "$made calls while 21 certificates were replaced, $failed failed"
[ "$failed" = 0 ] && [ "$made" -gt 20 ]
