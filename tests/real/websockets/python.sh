# A Python of its own with `websockets`, and with `kosoku`, which plays the cases of the Autobahn test suite; to be sourced. Wants `target`,
# sets `python`.

python=$target/websocket-python/bin/python
if ! "$python" -c 'import websockets, kosoku' 2>/dev/null; then
  python3 -m venv "$target/websocket-python" 2>/dev/null || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    python3 -m venv "$target/websocket-python"
  }
  "$python" -m pip install --quiet --disable-pip-version-check 'websockets>=14' 'kosoku==0.1.0'
fi
