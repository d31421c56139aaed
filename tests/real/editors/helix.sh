#!/usr/bin/env bash
# A real Helix on a terminal of its own (tmux): helix.sh LANGUAGES.TOML DIRECTORY
# It shows what is wrong, completes, hovers, formats and renames in two files; the exit code says whether all of it held.
set -euo pipefail
languages=$1 work=$2
export HOME=$work/home LC_ALL=C.UTF-8 TERM=xterm-256color
mkdir -p "$HOME/.config/helix" "$work/.git"
cp "$languages" "$HOME/.config/helix/languages.toml"
# Typed letter by letter: nothing is to be closed in between.
printf '[editor]\nauto-pairs = false\n' > "$HOME/.config/helix/config.toml"
printf 'service cart {\n  port 8080 http\n}\n\nauthorize cart {\n  allow from page to GET /cart/{id}\n}\n' > "$work/cart.mesh"
printf 'service page {\n  calls carrt to GET /cart/{id}\n}\n' > "$work/page.mesh"

tmux="tmux -L mesh-$$"
trap '$tmux kill-server 2>/dev/null || true' EXIT
$tmux -f /dev/null new-session -d -x 140 -y 40 -c "$work" "hx page.mesh"
$tmux set-option -s escape-time 0
screen() { $tmux capture-pane -p; }
keys() { for key in "$@"; do $tmux send-keys "$key"; sleep 0.15; done; }
wait_for() {
  for _ in $(seq 200); do
    if screen | grep -qF -- "$2"; then echo "helix: $1"; return; fi
    sleep 0.1
  done
  screen
  echo "helix: $1 does not hold" >&2
  exit 1
}
wait_for_file() {
  for _ in $(seq 100); do
    if grep -qF -- "$3" "$work/$2"; then echo "helix: $1"; return; fi
    sleep 0.1
  done
  screen
  cat "$work/$2"
  echo "helix: $1 does not hold" >&2
  exit 1
}

wait_for "the file is open" "calls carrt"
command() { $tmux send-keys Escape; sleep 0.2; $tmux send-keys -l ":$1"; sleep 0.2; $tmux send-keys Enter; sleep 0.2; }
wait_for "a mistake is in the gutter" "●   2"
$tmux send-keys -l ' d'
wait_for "a mistake is shown" "unknown service"
# The line is written anew, with what is offered.
command 'goto 2'
$tmux send-keys -l 'xd'; sleep 0.2
$tmux send-keys -l 'O'; sleep 0.2
$tmux send-keys -l '  calls ca'; sleep 1
keys C-x
wait_for "services are offered" "cart"
keys Escape; sleep 0.5; keys Escape; sleep 0.5
$tmux send-keys -l 'xd'; sleep 0.2
$tmux send-keys -l 'O'; sleep 0.2
$tmux send-keys -l '  calls cart   to GET /cart/{id}'; sleep 0.3
command w
wait_for_file "the file is formatted when it is saved" page.mesh "  calls cart to GET /cart/{id}"
command 'goto 2'
$tmux send-keys -l 'gsww'; sleep 0.3
$tmux send-keys -l ' k'
wait_for "hovering says what holds" "service cart.default"
keys Escape
$tmux send-keys -l ' r'; sleep 0.8
keys C-u
$tmux send-keys -l 'basket'; keys Enter
wait_for "the name is another here" "calls basket to"
command wa
wait_for_file "and in the other file" cart.mesh "service basket {"
