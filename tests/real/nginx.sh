#!/usr/bin/env bash
# The real thing behind it: one proxy in front of two nginx servers as subsets, driven by wrk while the plan is
# swapped every second between two opposite splits. Passes iff no request fails.
#
#   tests/real/nginx.sh [SECONDS]     default 30
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-30}

for tool in nginx wrk; do
  command -v "$tool" >/dev/null || missing="${missing:-} $tool"
done
if [ -n "${missing:-}" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

cargo build --release --locked --bin mesh --bin mesh-proxy
target=${CARGO_TARGET_DIR:-target}
mesh=$target/release/mesh
source tests/real/servers.sh
front=$(free_port)

for version in v1 v2; do
  port=$(free_port)
  mkdir -p "$work/$version"
  cat > "$work/$version/nginx.conf" <<NGINX
pid $work/nginx-$version.pid;
error_log $work/$version/error.log warn;
worker_processes 1;
events { worker_connections 4096; }
http {
  access_log $work/$version/access.log combined buffer=64k flush=1s;
  client_body_temp_path $work/$version; proxy_temp_path $work/$version; fastcgi_temp_path $work/$version;
  uwsgi_temp_path $work/$version; scgi_temp_path $work/$version;
  keepalive_requests 1000000;
  server { listen 127.0.0.1:$port; location / { return 200 "$version\n"; } }
}
NGINX
  nginx -c "$work/$version/nginx.conf" -p "$work/$version"
  echo "$port" > "$work/$version/port"
done

# write_plan FILE SHARE-OF-V1: a project, compiled and put in place by a rename
write_plan() {
  mkdir -p "$work/$2"
  cat > "$work/$2/shop.mesh" <<MESH
gateway edge {
  listener web port $front http {
    host "*"
  }
}

service shop {
  port 80 http
  subset v1 label version = "v1"
  subset v2 label version = "v2"
  endpoints static "127.0.0.1:$(cat "$work/v1/port")" label version = "v1"
  endpoints static "127.0.0.1:$(cat "$work/v2/port")" label version = "v2"
}

route edge {
  to shop
}

route shop {
  to shop:v1 $2%, shop:v2 rest
}

authorize edge {
  allow from anyone
}

authorize shop {
  allow from gateway edge
}
MESH
  "$mesh" build --quiet "$work/$2" -o "$1"
}
write_plan "$work/a.mplan" 90
write_plan "$work/b.mplan" 10
cp "$work/a.mplan" "$work/live.mplan"

"$target/release/mesh-proxy" --plan "$work/live.mplan" --gateway edge --bind 127.0.0.1 --access-log none 2> "$work/proxy.log" &
echo $! > "$work/proxy.pid"
for _ in $(seq 100); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$front") 2>/dev/null; then break; fi
  sleep 0.05
done

wrk -t2 -c64 -d"${seconds}s" --latency "http://127.0.0.1:$front/" > "$work/wrk.txt" &
load=$!
swaps=0
while kill -0 "$load" 2>/dev/null; do
  sleep 1
  next=$([ $((swaps % 2)) = 0 ] && echo b || echo a)
  cp "$work/$next.mplan" "$work/next.mplan"
  mv "$work/next.mplan" "$work/live.mplan"
  swaps=$((swaps + 1))
done
wait "$load"
sleep 1.5
cat "$work/wrk.txt"
for version in v1 v2; do
  echo "nginx $version answered $(grep -c ' 200 ' "$work/$version/access.log") requests"
done
taken=$(grep -c 'serving plan' "$work/proxy.log" || true)
echo "$swaps plans were put in place, the proxy took $taken"

kill -TERM "$(cat "$work/proxy.pid")"
wait "$(cat "$work/proxy.pid")" || { echo "the proxy did not end cleanly" >&2; cat "$work/proxy.log" >&2; exit 1; }
if grep -qE 'Socket errors|Non-2xx' "$work/wrk.txt"; then echo "FAILED: there were errors" >&2; exit 1; fi
if [ "$taken" -lt $((seconds / 2)) ]; then echo "FAILED: the proxy took too few plans" >&2; cat "$work/proxy.log" >&2; exit 1; fi
for version in v1 v2; do
  if [ "$(grep -c ' 200 ' "$work/$version/access.log")" -lt 1000 ]; then echo "FAILED: $version had no traffic" >&2; exit 1; fi
done
echo "0 errors"
