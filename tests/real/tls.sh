#!/usr/bin/env bash
# TLS with other implementations: OpenSSL's client and curl at a gateway that ends TLS, at one that passes it on to OpenSSL's server, at one that
# calls that server as a service outside of the mesh, and at a port of mutual TLS, with certificates that OpenSSL and `mesh ca` make, and that are replaced under handshakes. Passes iff each hears what it must.
#
#   tests/real/tls.sh        BIN=DIRECTORY: of programs that are built already
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in curl openssl; do
  command -v "$tool" >/dev/null || missing="${missing:-} $tool"
done
if [ -n "${missing:-}" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

if [ -z "${BIN:-}" ]; then
  cargo build --release --locked --bin mesh --bin mesh-proxy
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
BIN=$(realpath "$BIN")
source tests/real/servers.sh
front=$(free_port) partners=$(free_port) called=$(free_port) shop=$(free_port) unopened=$(free_port) bank=$(free_port) outside=$(free_port) strict=$(free_port)

python3 -m http.server "$shop" --bind 127.0.0.1 --directory "$work" >/dev/null 2>&1 &
echo $! > "$work/shop.pid"
echo fine > "$work/index.html"

mkdir "$work/mesh" "$work/certs"
cat > "$work/mesh/shop.mesh" <<MESH
mesh tls {
  mtls strict
}

gateway edge {
  listener partners port $partners https {
    host "a.test"
    tls certificate "a" client-ca "partners"
  }
  listener web port $front https {
    host "a.test", "b.test"
    tls certificate "a", "b"
  }
  listener outside port $outside http {
    host "**.test"
  }
  listener unopened port $unopened tls {
    host "bank.test"
    tls passthrough
  }
}

authorize edge {
  allow from anyone
}

route edge listener partners {
  to shop
}

route edge listener web {
  to shop
}

route edge listener unopened {
  to bank
}

route edge listener outside host "**.test" {
  otherwise 404
}

route edge listener outside host "system.test" {
  to system
}

route edge listener outside host "named.test" {
  to named
}

route edge listener outside host "stranger.test" {
  to stranger
}

service system {
  external "bank.test"
  port 443 http
  endpoints static "127.0.0.1:$bank"
  tls ca system
}

service named {
  external "strict.test"
  port 443 http
  endpoints static "127.0.0.1:$strict"
  tls host "bank.test" ca "servers" certificate "friend"
}

service stranger {
  external "stranger.test"
  port 443 http
  endpoints static "127.0.0.1:$bank"
  tls ca "servers"
}

authorize system, named, stranger {
  allow from gateway edge
}

service web {
  calls shop
}

service bank {
  port 443 tls mtls off
  endpoints static "127.0.0.1:$bank"
}

authorize bank {
  allow from anyone
}

service shop {
  port 80 http
  endpoints static "127.0.0.1:$called"
}

authorize shop {
  allow from gateway edge, web
}
MESH
"$BIN/mesh" build -o "$work/shop.mplan" "$work/mesh" >/dev/null

# Authorities and certificates of OpenSSL: make NAME DNS-NAME AUTHORITY, put in place by a rename.
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
    -keyout "$work/$1.key" -out "$work/$1.crt" 2>/dev/null
}
make() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$work/next.key" -out "$work/next.csr" 2>/dev/null
  openssl x509 -req -in "$work/next.csr" -CA "$work/$3.crt" -CAkey "$work/$3.key" -CAcreateserial -days 1 \
    -extfile <(echo "subjectAltName=DNS:$2") -out "$work/next.crt" 2>/dev/null
  mv "$work/next.key" "$work/certs/$1.key"
  mv "$work/next.crt" "$work/certs/$1.crt"
}
authority servers
authority clients
make a a.test servers
make b b.test servers
cp "$work/clients.crt" "$work/certs/partners.crt"
make friend friend.test clients
make stranger stranger.test servers

make bank bank.test servers
openssl s_server -accept "127.0.0.1:$bank" -cert "$work/certs/bank.crt" -key "$work/certs/bank.key" -www -quiet >/dev/null 2>&1 &
echo $! > "$work/bank.pid"
openssl s_server -accept "127.0.0.1:$strict" -cert "$work/certs/bank.crt" -key "$work/certs/bank.key" -Verify 1 -verify_return_error \
  -CAfile "$work/clients.crt" -www -quiet >/dev/null 2>&1 &
echo $! > "$work/strict.pid"
cp "$work/servers.crt" "$work/certs/servers.crt"

(cd "$work" && "$BIN/mesh" ca init local.test >/dev/null)
for who in edge shop web; do
  (cd "$work" && "$BIN/mesh" ca issue "spiffe://local.test/ns/default/sa/$who" -o "$who" >/dev/null)
done
svid() { echo --svid "$work/$1.pem" --svid-key "$work/$1.key" --trust-bundle "$work/local.test.pem"; }

SSL_CERT_FILE="$work/servers.crt" "$BIN/mesh-proxy" --plan "$work/shop.mplan" --gateway edge --bind 127.0.0.1 --certificates "$work/certs" $(svid edge) 2> "$work/edge.log" &
echo $! > "$work/edge.pid"
"$BIN/mesh-proxy" --plan "$work/shop.mplan" --service shop --inbound "127.0.0.1:$called=127.0.0.1:$shop" $(svid shop) 2> "$work/shop.log" &
echo $! > "$work/inbound.pid"
for log in edge shop; do
  for _ in $(seq 100); do grep -q "serving plan" "$work/$log.log" && break; sleep 0.1; done
  grep -q "serving plan" "$work/$log.log" || { cat "$work/$log.log" >&2; exit 1; }
done

failed=0 asked=0
# expect WHAT WANTED GOT
expect() {
  asked=$((asked + 1))
  [ "$2" = "$3" ] || { echo "FAILED $1: wanted $2, got $3" >&2; failed=$((failed + 1)); }
}
# ask PORT NAME ARGUMENTS…: the status and the version of HTTP, or 000 where there is none
ask() {
  curl -s -o /dev/null -w '%{http_code} %{http_version}' --max-time 10 --cacert "$work/servers.crt" \
    --resolve "$2:$1:127.0.0.1" "${@:3}" "https://$2:$1/" || true
}
expect "HTTP/2 by ALPN" "200 2" "$(ask "$front" a.test)"
expect "HTTP/1.1" "200 1.1" "$(ask "$front" b.test --http1.1)"
expect "TLS 1.2" "200 2" "$(ask "$front" a.test --tls-max 1.2)"
expect "another host than the name" "421 2" "$(ask "$front" a.test -H 'Host: b.test')"
expect "a name that nobody has" "000 0" "$(ask "$front" c.test)"
expect "without a certificate of its own" "000 0" "$(ask "$partners" a.test)"
expect "with one" "200 2" "$(ask "$partners" a.test --cert "$work/certs/friend.crt" --key "$work/certs/friend.key")"
expect "of another authority" "000 0" "$(ask "$partners" a.test --cert "$work/certs/stranger.crt" --key "$work/certs/stranger.key")"

# shown ARGUMENTS…: the subject of what OpenSSL's client is shown
shown() { openssl s_client -connect "127.0.0.1:$front" "$@" </dev/null 2>/dev/null | sed -n 's/^subject=CN *= *//p'; }
expect "the certificate of a name" b "$(shown -servername b.test)"
expect "the certificate of no name" a "$(shown -noservername)"
for old in tls1 tls1_1; do
  expect "$old" "" "$(shown "-$old" -cipher 'ALL:@SECLEVEL=0' -servername a.test)"
done

# Unopened: what is shown is the service's own, by whichever version, and who asks for nobody or somebody else hears so from the gateway.
expect "a service behind" "200 1" "$(ask "$unopened" bank.test)"
at_bank() { openssl s_client -connect "127.0.0.1:$unopened" "$@" </dev/null 2>&1 | grep -o 'Verify return code: 0\|unrecognized name\|missing extension' | head -1; }
for version in tls1_2 tls1_3; do
  expect "$version" "Verify return code: 0" "$(at_bank -servername bank.test "-$version" -CAfile "$work/servers.crt" -verify_hostname bank.test)"
done
expect "another name" "unrecognized name" "$(at_bank -servername b.test)"
expect "no name" "missing extension" "$(at_bank -noservername)"

# Outside of the mesh: who answers must be who is meant, and is shown a certificate where it asks for one.
at_outside() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 -H "Host: $1.test" "http://127.0.0.1:$outside/" || true; }
expect "an authority of the system" 200 "$(at_outside system)"
expect "one of its own, and a certificate that is asked for" 200 "$(at_outside named)"
expect "who has another name" 503 "$(at_outside stranger)"

# At the service itself: who the certificate says, and nobody without one.
at_shop() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 -k "$@" "https://127.0.0.1:$called/" || true; }
expect "a caller that is let in" 200 "$(at_shop --cert "$work/web.pem" --key "$work/web.key")"
expect "one that is not" 403 "$(at_shop --cert "$work/shop.pem" --key "$work/shop.key")"
expect "nobody" 000 "$(at_shop)"
expect "of another authority" 000 "$(at_shop --cert "$work/certs/friend.crt" --key "$work/certs/friend.key")"
expect "TLS 1.2 between proxies" 000 "$(at_shop --tls-max 1.2 --cert "$work/web.pem" --key "$work/web.key")"

# Certificates are replaced while clients come.
for round in $(seq 10); do
  make a a.test servers
  for _ in $(seq 20); do expect "while certificates are replaced" "200 2" "$(ask "$front" a.test)"; done
done
serial() { openssl x509 -noout -serial; }
expect "the last certificate" "$(serial < "$work/certs/a.crt")" \
  "$(openssl s_client -connect "127.0.0.1:$front" -servername a.test </dev/null 2>/dev/null | serial)"
echo "$asked questions of $(openssl version | cut -d' ' -f1,2) and $(curl --version | cut -d' ' -f1,2 | head -1): $failed failed"
[ "$failed" = 0 ]
