#!/usr/bin/env bash
# Real peers of `tcp` ports: Redis (pipelines, blocking and pushed answers, ends of its clients), sshd, which speaks before its client does,
# and socat, which answers when its client has ended its side. Passes iff each of them answers through the proxy what it answers without it.
#
#   tests/real/tcp.sh     installs redis-server, redis-tools, openssh and socat; root     BIN=DIRECTORY: of programs that are built already
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in redis-server redis-cli redis-benchmark sshd ssh socat; do
  command -v "$tool" >/dev/null || missing=yes
done
if [ -n "${missing:-}" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server redis-tools openssh-server openssh-client socat >/dev/null
fi

if [ -z "${BIN:-}" ]; then
  cargo build --release --locked --bin mesh --bin mesh-proxy
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
source tests/real/servers.sh
redis=$(free_port) shell=$(free_port) digest=$(free_port)
redis_front=$(free_port) shell_front=$(free_port) digest_front=$(free_port)

redis-server --port "$redis" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" > "$work/redis.log" 2>&1 &
echo $! > "$work/redis.pid"
socat "TCP-LISTEN:$digest,bind=127.0.0.1,fork,reuseaddr" EXEC:sha256sum 2> "$work/socat.log" &
echo $! > "$work/socat.pid"
ssh-keygen -q -t ed25519 -N '' -f "$work/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/own"
mkdir -p /run/sshd
cat > "$work/sshd.conf" <<SSHD
ListenAddress 127.0.0.1:$shell
HostKey $work/host
AuthorizedKeysFile $work/own.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
SSHD
"$(command -v sshd)" -D -f "$work/sshd.conf" -E "$work/sshd.log" &
echo $! > "$work/sshd.pid"

# port NAME LISTENER ENDPOINT: a listener, its route and its service
port() {
  cat <<MESH
route edge listener $1 { to $1 }
service $1 {
  port 1 tcp
  endpoints static "127.0.0.1:$3"
}
authorize $1 {
  allow from gateway edge
}
MESH
}
mkdir "$work/mesh"
{
  cat <<MESH
gateway edge {
  listener redis port $redis_front tcp
  listener shell port $shell_front tcp
  listener digest port $digest_front tcp
}
authorize edge {
  allow from anyone
}
MESH
  port redis "$redis_front" "$redis"
  port shell "$shell_front" "$shell"
  port digest "$digest_front" "$digest"
} > "$work/mesh/bytes.mesh"
"$BIN/mesh" build --quiet "$work/mesh" -o "$work/mesh.mplan"
"$BIN/mesh-proxy" --plan "$work/mesh.mplan" --gateway edge --bind 127.0.0.1 --access-log stdout > "$work/access.log" 2> "$work/proxy.log" &
echo $! > "$work/proxy.pid"
await "$redis" "$shell" "$digest" "$redis_front" "$shell_front" "$digest_front"

failed=0
# same WHAT EXPECTED GOT
same() {
  if [ "$2" = "$3" ]; then echo "passed $1"; else echo "FAILED $1: expected \`${2:0:200}\`, got \`${3:0:200}\`" >&2; failed=1; fi
}
r() { timeout 60 redis-cli -h 127.0.0.1 -p "$redis_front" "$@"; }

same "redis: a question" PONG "$(r ping)"
head -c 33554432 /dev/urandom > "$work/large"
r -x set large < "$work/large" > /dev/null
r --raw get large | head -c 33554432 > "$work/large.back"
same "redis: a value of 32 MiB there and back" "$(sha256sum < "$work/large")" "$(sha256sum < "$work/large.back")"
seq 200000 | sed 's/.*/SET key:& value:&/' | r --pipe > "$work/pipe.txt" || true
same "redis: 200,000 commands in one pipe" "errors: 0, replies: 200000" "$(tail -1 "$work/pipe.txt")"
same "redis: all of them were done" 200001 "$(r dbsize)"
# What came before the end of a client's side is answered behind it.
answers=$( (seq 5000 | sed 's/.*/GET key:&\r/') | timeout 60 socat -t 30 - "TCP:127.0.0.1:$redis_front" | grep -c '^value:' || true)
same "redis: pipelined questions of a client that ends its side" 5000 "$answers"
(r blpop queue 30 > "$work/popped.txt") & waits=$!
(timeout 20 redis-cli -h 127.0.0.1 -p "$redis_front" subscribe news > "$work/news.txt") & hears=$!
for _ in $(seq 100); do
  if [ "$(r pubsub numsub news | tail -1)" = 1 ] && r client list | grep -q cmd=blpop; then break; fi
  sleep 0.1
done
r rpush queue thing > /dev/null
wait "$waits"
same "redis: an answer that waits for another client" "queue thing" "$(xargs < "$work/popped.txt")"
r publish news hello > /dev/null
sleep 0.3
kill "$hears" 2>/dev/null || true
wait "$hears" 2>/dev/null || true
same "redis: what nobody asked for again" "subscribe news 1 message news hello" "$(xargs < "$work/news.txt")"
timeout 120 redis-benchmark -h 127.0.0.1 -p "$redis_front" -q --csv -n 200000 -c 50 -P 16 -t set,get,lpush > "$work/benchmark.txt" 2>&1 || failed=1
same "redis: 600,000 requests of 50 clients, 16 at a time" 3 "$(grep -cE '^"(SET|GET|LPUSH)","[0-9.]+"' "$work/benchmark.txt")"
sleep 0.5
same "redis: connections end with their clients" 1 "$(r client list | grep -c .)"

sh() {
  timeout 60 ssh -q -p "$shell_front" -i "$work/own" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    "$(id -un)@127.0.0.1" "$@"
}
same "sshd: speaks first" "SSH-2.0" "$( (sleep 1 | timeout 10 socat -t 1 - "TCP:127.0.0.1:$shell_front" || true) | head -c 7)"
same "sshd: a command, and its status" "hello 7" "$(sh 'echo -n "hello "; exit 7' < /dev/null && true; echo "$?")"
same "sshd: 32 MiB there and back" "$(sha256sum < "$work/large")" "$(sh cat < "$work/large" | sha256sum)"

ask() { timeout 60 socat -t 30 - "TCP:127.0.0.1:$digest_front" < "$1"; }
same "socat: an answer behind the end of 32 MiB" "$(sha256sum < "$work/large")" "$(ask "$work/large")"
same "socat: an answer to nothing but an end" "$(sha256sum < /dev/null)" "$(ask /dev/null)"

kill -TERM "$(cat "$work/proxy.pid")"
wait "$(cat "$work/proxy.pid")" || { echo "the proxy did not end cleanly" >&2; cat "$work/proxy.log" >&2; failed=1; }
echo "$(wc -l < "$work/access.log") connections are in the access log"
[ "$failed" = 0 ] || { echo "FAILED" >&2; exit 1; }
echo "0 errors"
