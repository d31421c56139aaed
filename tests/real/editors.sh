#!/usr/bin/env bash
# Real editors, headless: Emacs of this system, and Neovim and Helix of Debian 13, in a tree of their own. Each opens a project, shows a
# mistake, completes, hovers, formats and renames in two files.
#
#   tests/real/editors.sh
#
# It needs root, for chroot and packages. MESH names another program than the debug build; MESH_TREE keeps the tree.
set -euo pipefail
cd "$(dirname "$0")/../.."

export DEBIAN_FRONTEND=noninteractive
command -v emacs >/dev/null && command -v debootstrap >/dev/null && [ -d /usr/share/emacs/site-lisp/elpa-src ] || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends emacs-nox elpa-eglot debootstrap >/dev/null
}
target=${CARGO_TARGET_DIR:-target}
if [ -z "${MESH:-}" ]; then
  cargo build --locked --workspace --bins --test it
  MESH=$(realpath "$target/debug/mesh")
fi
export MESH

tree=${MESH_TREE:-$(realpath -m "$target/trixie")}
[ -x "$tree/usr/bin/nvim" ] || debootstrap --variant=minbase --include=neovim,hx,tmux trixie "$tree" "${MIRROR:-http://deb.debian.org/debian}" >/dev/null
work=$(mktemp -d)
mounted=
cleanup() {
  [ -z "$mounted" ] || umount "$tree/dev/pts" "$tree/dev" "$tree/proc" || true
  rm -rf "$work" "$tree/try"
}
trap cleanup EXIT

echo "== Emacs: $(emacs --version | head -1)"
mkdir "$work/emacs"
emacs --batch -L lsp/editors/emacs -l tests/real/editors/emacs.el "$work/emacs" 2>&1 | grep '^emacs: '

rm -rf "$tree/try"
mkdir -p "$tree/try/neovim" "$tree/try/helix"
cp -r lsp/editors/neovim "$tree/try/plugin"
cp lsp/editors/helix/languages.toml tests/real/editors/neovim.lua tests/real/editors/helix.sh "$tree/try/"
cp "$MESH" "$tree/usr/bin/mesh"
mount -t proc proc "$tree/proc" || {
  echo "Neovim and Helix are left out: nothing can be mounted here" >&2
  exit 0
}
mount --bind /dev "$tree/dev"
mount -t devpts devpts "$tree/dev/pts"
mounted=yes

echo "== Neovim: $(chroot "$tree" nvim --version | head -1)"
chroot "$tree" env HOME=/try XDG_CACHE_HOME=/try/cache \
  nvim --headless -u NONE --cmd 'set rtp^=/try/plugin' -l /try/neovim.lua /try/neovim

echo "== Helix: $(chroot "$tree" hx --version)"
chroot "$tree" bash /try/helix.sh /try/languages.toml /try/helix
