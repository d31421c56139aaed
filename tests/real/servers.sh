# What suites with real servers share, to be sourced: a directory `work` that ends together with the processes whose ids lie in it, and
# free ports.

work=$(mktemp -d)
cleanup() {
  kill $(cat "$work"/*.pid 2>/dev/null) 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# A port that is free now; below those that the system gives to connections, and nobody else starts servers here meanwhile.
free_port() {
  local port
  for port in $(shuf -i 20000-29000 -n 200); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
  echo "no free port" >&2
  return 1
}

# await PORT…: until somebody listens at each
await() {
  local port
  for port in "$@"; do
    for _ in $(seq 200); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
      sleep 0.05
    done
    echo "nobody listens at $port" >&2
    return 1
  done
}
