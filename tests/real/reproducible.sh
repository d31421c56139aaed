#!/usr/bin/env bash
# Builds mesh-proxy twice from the same commit, in two directories whose names differ in length, and compares: the same bytes, whoever builds it where, with
# the compiler of this machine. What is committed is built, and nothing else.
#
#   tests/real/reproducible.sh [PROFILE]     default dev; `dist` is what is given to others, and takes the longer
set -euo pipefail
cd "$(dirname "$0")/../.."
profile=${1:-dev}
source tests/real/servers.sh

# Where something was built stands in messages of panics, in lines for debuggers and in what C code says of its files.
build() {
  local place=$1 cargo="${CARGO_HOME:-$HOME/.cargo}" rust maps
  rust=$(rustc --print sysroot)
  mkdir -p "$place"
  git archive HEAD | tar -x -C "$place"
  maps=("$place=/mesh" "$cargo=/cargo" "$rust=/rust")
  (
    cd "$place"
    unset CARGO_BUILD_RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    export SOURCE_DATE_EPOCH=0 CARGO_INCREMENTAL=0 CARGO_TARGET_DIR="$place/target"
    export RUSTFLAGS="${maps[*]/#/--remap-path-prefix=}" CFLAGS="${maps[*]/#/-ffile-prefix-map=}"
    cargo build --quiet --locked --profile "$profile" --bin mesh-proxy
    find target -name mesh-proxy -type f -perm -u+x -not -path '*/deps/*' -exec cp {} "$place/built" \;
  )
}

build "$work/one"
build "$work/another-one"
sha256sum "$work/one/built" "$work/another-one/built" | sed "s|$work/||"
cmp "$work/one/built" "$work/another-one/built"
echo "mesh-proxy ($profile) is reproducible: $(stat -c %s "$work/one/built") bytes"
