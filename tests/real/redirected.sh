#!/usr/bin/env bash
# The kernel's own redirection: in a network of its own, everything that an application sends out is redirected to its sidecar (nftables), and
# the sidecar finds whom each connection was meant for. Passes iff bytes get to the network that is declared, whichever side speaks first, and
# to nobody else.
#
#   tests/real/redirected.sh       needs root, and a kernel with nf_tables; says so where it is not
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in nft ip setpriv python3; do
  command -v "$tool" >/dev/null || missing="${missing:-} $tool"
done
if [ -n "${missing:-}" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nftables iproute2 util-linux python3 >/dev/null
fi
if ! unshare --net nft -f - 2>/dev/null <<< 'table inet t { chain c { type nat hook output priority -100; }; }'; then
  echo "SKIPPED: this kernel redirects nothing for this user (it takes root, and nf_tables with nat)"
  exit 0
fi
if [ -z "${MESH_BIN:-}" ]; then
  cargo build --release --locked --bin mesh --bin mesh-proxy
  MESH_BIN=${CARGO_TARGET_DIR:-target}/release
fi
work=$(mktemp -d)
far="" ; trap 'kill $(jobs -p) $far 2>/dev/null || true; rm -rf "$work"' EXIT
# One that others than root may run.
python=$(PATH=/usr/bin:/usr/local/bin:$PATH command -v python3)
export MESH_BIN work python
cp "$MESH_BIN/mesh" "$MESH_BIN/mesh-proxy" "$work"; chmod 755 "$work"

cat > "$work/shop.mesh" <<MESH
mesh demo {
  egress deny
}

service web {
  calls bastions, mirrors
}

service bastions {
  external "198.51.100.0/25", "2001:db8:2::/64"
  port 22 tcp
}

service mirrors {
  external "198.51.100.0/24"
  port 80 http
  tls none
}

authorize bastions, mirrors {
  allow from web
}
MESH
"$work/mesh" build "$work" --output "$work/shop.mplan"

# Who is far away: servers that speak first, at port 22 of everything that is routed there.
cat > "$work/far.py" <<'PY'
import contextlib, socket, threading
def serve(port, greeting):
    own = socket.socket(socket.AF_INET6)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(("::", port))
    own.listen()
    while True:
        stream, _ = own.accept()
        def answer(stream=stream):
            # Who only looks whether somebody is here says nothing.
            with contextlib.suppress(ConnectionError):
                speak(stream)
        def speak(stream):
            here = stream.getsockname()[0].removeprefix("::ffff:")
            if greeting:
                stream.sendall(f"SSH at {here}\r\n".encode())
                stream.sendall(stream.recv(100))
            else:
                stream.recv(1000)
                stream.sendall(f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(here)}\r\n\r\n{here}".encode())
            stream.close()
        threading.Thread(target=answer).start()
for port, greeting in [(22, True), (5432, True), (80, False)]:
    threading.Thread(target=serve, args=(port, greeting)).start()
PY

# What the application does, and what it is to hear.
cat > "$work/application.py" <<'PY'
import socket, sys
def ask(address, port, said=b""):
    try:
        with socket.create_connection((address, port), timeout=5) as stream:
            stream.settimeout(3)
            heard = b""
            try:
                if said:
                    stream.sendall(said)
                while True:
                    piece = stream.recv(1000)
                    if not piece:
                        return heard
                    heard += piece
                    if heard.endswith(b"\r\n") and not said:
                        stream.sendall(b"echo")
                        said = b"echo"
            except (ConnectionResetError, TimeoutError) as error:
                return heard or type(error).__name__.encode()
    except OSError as error:
        return type(error).__name__.encode()
wrong = 0
def expect(what, address, port, said, right):
    global wrong
    heard = ask(address, port, said)
    good = right(heard)
    wrong += not good
    print("ok  " if good else "FAIL", what, heard[:60])
expect("a declared network, the server speaks first", "198.51.100.7", 22, b"", lambda heard: heard == b"SSH at 198.51.100.7\r\necho")
expect("another address of it", "198.51.100.9", 22, b"", lambda heard: heard == b"SSH at 198.51.100.9\r\necho")
expect("one of IPv6", "2001:db8:2::7", 22, b"", lambda heard: heard == b"SSH at 2001:db8:2::7\r\necho")
get = b"GET / HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n"
expect("HTTP to an address that is its host", "198.51.100.200", 80, get % b"198.51.100.200", lambda heard: heard.endswith(b"\r\n\r\n198.51.100.200"))
for what, address, port in [("another network", "203.0.113.7", 22), ("another port", "198.51.100.7", 5432), ("the wider network's addresses", "198.51.100.200", 22)]:
    expect(what + " is refused", address, port, b"hello\r\n\r\n", lambda heard: b"SSH" not in heard)
expect("HTTP to whom nobody declared is refused", "203.0.113.7", 80, get % b"203.0.113.7", lambda heard: b" 403 " in heard)
expect("and to this machine, too", "127.0.0.1", 15001, get % b"127.0.0.1", lambda heard: b" 403 " in heard)
sys.exit(wrong > 0)
PY

cat > "$work/near.sh" <<'SH'
set -euo pipefail
ip link set lo up
unshare --net sleep 120 & far=$!
echo $far > "$work/far.pid"
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
ip link add near type veth peer name far netns $far
ip addr add 192.0.2.1/24 dev near; ip addr add 2001:db8:1::1/64 dev near nodad; ip link set near up
nsenter -t $far -n sh -c '
  ip link set lo up; ip addr add 192.0.2.2/24 dev far; ip addr add 2001:db8:1::2/64 dev far nodad; ip link set far up
  ip route add local 198.51.100.0/24 dev lo; ip route add local 203.0.113.0/24 dev lo; ip -6 route add local 2001:db8:2::/64 dev lo'
ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8:1::2
nsenter -t $far -n "$python" "$work/far.py" & server=$!
nft -f - <<NFT
table inet mesh {
  chain out {
    type nat hook output priority -100
    meta skuid 1500 oifname != "lo" meta l4proto tcp redirect to :15001
  }
}
NFT
"$work/mesh-proxy" --plan "$work/shop.mplan" --service web --outbound "[::]:15001" > "$work/log" 2>&1 & proxy=$!
trap 'kill $far $server $proxy 2>/dev/null || true' EXIT
await() {
  for _ in $(seq 100); do (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null && return; sleep 0.1; done
  echo "nobody is at $1 port $2"; return 1
}
for place in "127.0.0.1 15001" "198.51.100.7 22" "198.51.100.7 80" "203.0.113.7 22" "203.0.113.7 5432" "2001:db8:2::7 22"; do await $place; done
setpriv --reuid 1500 --regid 1500 --clear-groups "$python" "$work/application.py" || { cat "$work/log"; exit 1; }
SH
unshare --net bash "$work/near.sh"
