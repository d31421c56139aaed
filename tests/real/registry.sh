#!/usr/bin/env bash
# A real OCI registry: a signed plan is pushed, pulled by tag and by digest, handed out and served; what is not signed, or is something
# else, is not written.
#
#   tests/real/registry.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in docker-registry curl; do
  command -v "$tool" >/dev/null || missing="${missing:-} $tool"
done
if [ -n "${missing:-}" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked --bin mesh --bin mesh-proxy
mesh=$(realpath "$target/release/mesh")
work=$(mktemp -d)
registry=
cleanup() {
  [ -z "$registry" ] || kill "$registry" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

port=$(shuf -i 20000-29000 -n 1)
cat > "$work/registry.yml" <<YML
version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: $work/storage }, delete: { enabled: true } }
http: { addr: 127.0.0.1:$port }
YML
docker-registry serve "$work/registry.yml" > "$work/registry.log" 2>&1 &
registry=$!
for _ in $(seq 100); do
  curl -sf "http://127.0.0.1:$port/v2/" > /dev/null && break
  sleep 0.1
done

plan="127.0.0.1:$port/team/plan"
cp -r examples/bookinfo "$work/shop"
cd "$work"
passed=0
# ok NAME TEXT COMMAND...: it succeeds and says the text.
ok() {
  local name=$1 text=$2
  shift 2
  local said
  said=$("$@" 2>&1) || { echo "FAILED $name: $said" >&2; exit 1; }
  grep -qF -- "$text" <<< "$said" || { echo "FAILED $name: no '$text' in: $said" >&2; exit 1; }
  passed=$((passed + 1))
}
# refused NAME TEXT COMMAND...: exit code 2, the text, and nothing is written.
refused() {
  local name=$1 text=$2 code=0
  shift 2
  rm -f out.mplan
  local said
  said=$("$@" 2>&1) || code=$?
  [ "$code" = 2 ] || { echo "FAILED $name: exit code $code: $said" >&2; exit 1; }
  grep -qF -- "$text" <<< "$said" || { echo "FAILED $name: no '$text' in: $said" >&2; exit 1; }
  [ ! -e out.mplan ] || { echo "FAILED $name: out.mplan was written" >&2; exit 1; }
  passed=$((passed + 1))
}

"$mesh" build shop -o plan.mplan --quiet
"$mesh" plan keygen -o release --quiet
"$mesh" plan keygen -o other --quiet
"$mesh" plan sign plan.mplan --key release.key --generation 7 -o signed.mplan --quiet

ok "push" "team/plan@sha256:" "$mesh" plan push signed.mplan "$plan:v7"
ok "push, said to a program" "mesh.plan.pushed/v1" "$mesh" plan push signed.mplan "$plan:v7" --format json
ok "push without a signature" "it is not signed" "$mesh" plan push plan.mplan "$plan:dev"
ok "pull by tag" "generation 7" "$mesh" plan pull "$plan:v7" -o got.mplan --key release.pub
cmp signed.mplan got.mplan
digest=$("$mesh" plan push signed.mplan "oci://$plan:v7" --quiet)
[ "$digest" = "$("$mesh" plan push signed.mplan "$plan:again" --quiet)" ] || { echo "FAILED: same plan, another digest" >&2; exit 1; }
ok "pull, said to a program" "mesh.plan.pulled/v1" "$mesh" plan pull "$plan:v7" -o got.mplan --key release.pub --format json
ok "pull by digest" "generation 7" "$mesh" plan pull "$digest" -o by-digest.mplan --key release.pub
cmp signed.mplan by-digest.mplan
manifest=$(curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://127.0.0.1:$port/v2/team/plan/manifests/v7")
grep -q '"artifactType":"application/vnd.mesh.plan.v1"' <<< "$manifest"

refused "a stranger's signature" "none of its signatures is by a pinned key" "$mesh" plan pull "$plan:v7" -o out.mplan --key other.pub
refused "no signature" "it is not signed" "$mesh" plan pull "$plan:dev" -o out.mplan --key release.pub
refused "another environment" "it is for no environment" "$mesh" plan pull "$plan:v7" -o out.mplan --key release.pub --env live
refused "a tag that is not there" "there is no such artifact" "$mesh" plan pull "$plan:v8" -o out.mplan
refused "no registry in the name" "is no reference" "$mesh" plan pull "team/plan:v7" -o out.mplan
refused "no registry at the address" "connection refused" "$mesh" plan pull "127.0.0.1:1/team/plan:v7" -o out.mplan
# A layer that was changed where it is stored.
blob=$(find storage/docker/registry/v2/blobs -name data -size +8k | head -1)
printf 'X' | dd of="$blob" bs=1 seek=100 conv=notrunc status=none
refused "a damaged layer" "digest" "$mesh" plan pull "$plan:v7" -o out.mplan

kill "$registry"
wait "$registry" 2>/dev/null || true
registry=
refused "a registry that is gone" "connection refused" "$mesh" plan pull "$plan:v7" -o out.mplan
echo "registry: $passed passed, 0 failed"
