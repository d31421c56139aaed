#!/usr/bin/env bash
# What the programs are made of: crates, licences and sources are those that .deny.toml allows; or an inventory of mesh-proxy in CycloneDX. Installs
# cargo-deny, or cargo-cyclonedx, into the target directory where it is not there.
#
#   tests/real/supply.sh               what cargo-deny says
#   tests/real/supply.sh sbom FILE     the inventory
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=${CARGO_TARGET_DIR:-$PWD/target}/tools
export PATH=$PATH:$tools/bin

# A program of cargo's, in the version that was tried.
need() {
  command -v "$1" >/dev/null || cargo install --quiet --locked --debug --root "$tools" --target-dir "$tools" "$1@$2"
}

if [ "${1:-}" = sbom ]; then
  file=${2:?the file to write}
  need cargo-cyclonedx 0.5.9
  trap 'find . -name "*_bin.cdx.json" -not -path "./target/*" -delete' EXIT
  cargo cyclonedx --quiet --manifest-path runtime/proxy/Cargo.toml --describe binaries --format json --spec-version 1.5 --no-build-deps
  cp runtime/proxy/mesh-proxy_bin.cdx.json "$file"
  echo "$file: $(grep -c '"purl"' "$file") crates"
  exit
fi
need cargo-deny 0.20.2
cargo deny --config .deny.toml check --hide-inclusion-graph bans licenses sources
