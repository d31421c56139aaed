#!/usr/bin/env bash
# A real implementation of gRPC on both sides: the interoperability cases through a gateway and through a sidecar, what the mesh itself
# answers, and calls under load while a server is restarted with grace and plans are swapped.
#
#   tests/real/grpc.sh [SECONDS]     of load; default 20
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-20}

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
python=$target/grpc-python/bin/python
if ! "$python" -c 'import grpc' 2>/dev/null; then
  python3 -m venv "$target/grpc-python" 2>/dev/null || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    python3 -m venv "$target/grpc-python"
  }
  "$python" -m pip install --quiet --disable-pip-version-check 'grpcio>=1.60'
fi
"$python" -c 'import grpc; print("grpcio", grpc.__version__)'

cargo build --release --locked --bin mesh --bin mesh-proxy
mesh=$target/release/mesh
peer() { "$python" tests/real/grpc/peer.py "$@"; }
source tests/real/servers.sh
front=$(free_port) outbound=$(free_port) nobody=$(free_port)
one=$(free_port) two=$(free_port)

# serve NAME PORT: a server that listens
serve() {
  "$python" tests/real/grpc/peer.py serve "$2" "$1" > "$work/$1.log" 2>&1 &
  echo $! > "$work/$1.pid"
  for _ in $(seq 100); do
    if grep -q listening "$work/$1.log"; then return; fi
    sleep 0.1
  done
  echo "the server $1 does not listen" >&2
  cat "$work/$1.log" >&2
  return 1
}
serve one "$one"
serve two "$two"

mkdir "$work/shop"
cat > "$work/shop/shop.mesh" <<MESH
gateway edge {
  listener rpc port $front grpc {
    host "*"
  }
}
authorize edge {
  allow from anyone
}
route edge {
  rule duplex { match grpc grpc.testing.TestService/FullDuplexCall; to shop; timeout 3s }
  rule flaky {
    match grpc grpc.testing.TestService/Flaky
    to shop
    retry 4 on grpc-unavailable { methods POST; buffer 64KiB }
  }
  rule limited { match grpc grpc.testing.TestService/Limited; to shop; rate-limit local 1/m burst 2 }
  rule test { match grpc grpc.testing.TestService; to shop }
  rule unimplemented { match grpc grpc.testing.UnimplementedService; to shop }
  rule nobody { match grpc grpc.testing.Nobody; to gone }
  otherwise 404
}

service web {
  port 80 http
  calls shop
}
authorize web {
  allow from anyone
}

service shop {
  port 80 grpc
  endpoints static "127.0.0.1:$one", "127.0.0.1:$two"
  health-check grpc { interval 200ms; timeout 150ms }
  # A server of grpcio that stops cancels what comes between its goodbye and its end.
  retry 3 on connect-failure, grpc-cancelled, grpc-unavailable { methods POST; buffer 64KiB }
  load-balancer least-request
}
authorize shop {
  deny from anyone to grpc grpc.testing.TestService/Forbidden
  allow from gateway edge, web
}

service gone {
  port 80 grpc
  endpoints static "127.0.0.1:$nobody"
}
authorize gone {
  allow from gateway edge
}
MESH
# That a call may be done twice is what one of the cases is about, and a warning.
"$mesh" build --quiet "$work/shop" -o "$work/a.mplan" > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
sed 's/least-request/round-robin/' -i "$work/shop/shop.mesh"
"$mesh" build --quiet "$work/shop" -o "$work/b.mplan" > "$work/build.log" 2>&1
cp "$work/a.mplan" "$work/live.mplan"
"$target/release/mesh-proxy" --plan "$work/live.mplan" --gateway edge --bind 127.0.0.1 --service web \
  --outbound "127.0.0.1:$outbound" --access-log stdout > "$work/access.log" 2> "$work/proxy.log" &
echo $! > "$work/proxy.pid"
for _ in $(seq 100); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$front") 2>/dev/null; then break; fi
  sleep 0.05
done

failed=0
echo "straight to the server:"; peer cases "127.0.0.1:$one" shop.test || failed=1
echo "through the gateway:";    peer cases "127.0.0.1:$front" shop.test || failed=1
echo "through the sidecar:";    peer cases "127.0.0.1:$outbound" shop || failed=1
echo "what the mesh answers:";  peer mesh "127.0.0.1:$front" shop.test || failed=1

echo "under load, a server restarted and plans swapped:"
peer calls "127.0.0.1:$front" "$seconds" > "$work/calls.txt" 2>&1 &
load=$!
swaps=0 restarts=0
while kill -0 "$load" 2>/dev/null; do
  sleep 1
  next=$([ $((swaps % 2)) = 0 ] && echo b || echo a)
  cp "$work/$next.mplan" "$work/next.mplan"
  mv "$work/next.mplan" "$work/live.mplan"
  swaps=$((swaps + 1))
  if [ $((swaps % 5)) = 3 ]; then
    kill -TERM "$(cat "$work/one.pid")"
    wait "$(cat "$work/one.pid")" || true
    serve one "$one"
    restarts=$((restarts + 1))
  fi
done
wait "$load" || failed=1
cat "$work/calls.txt"
echo "$swaps plans were put in place, a server was restarted $restarts times"

kill -TERM "$(cat "$work/proxy.pid")"
wait "$(cat "$work/proxy.pid")" || { echo "the proxy did not end cleanly" >&2; cat "$work/proxy.log" >&2; failed=1; }
lines=$(grep -c '"grpc_status":0' "$work/access.log" || true)
echo "$lines calls that ended well are in the access log"
[ "$lines" -gt 100 ] || failed=1
[ "$failed" = 0 ] || { echo "FAILED" >&2; exit 1; }
echo "0 errors"
