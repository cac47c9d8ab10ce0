#!/usr/bin/env bash
# Locust 2.47.0: `FastHttpUser.client.iter_lines`, the way it offers to read a stream line by line.
#
# Guess:    a line is handed over when it has come, so that the time of the first one is the time to first token of a
#           streaming LLM (the use that the method was asked for).
# Seen:     Locust 2.47.0, geventhttpclient 2.6.1, Python 3.11, Linux: of a stream with an event of 128 bytes every 100 ms
#           the first line is handed over after 0.8 s, and the next seven with it: `iter_lines` waits for blocks of
#           1,024 bytes. geventhttpclient's own `readline` has the first after 0.1 s.
# So:       a time to first token taken with it is that of about the eighth token of a chat, and gaps between tokens
#           are bursts; the answer's whole time is right. `client.post(..., stream=True).stream.readline(b"\n")`, of
#           geventhttpclient, hands each line over when it comes.
#
# Needs Python 3.11, Linux or macOS, about 80 MB of disk.
# Ends with 0 where it is still so, with 1 where it has changed.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"
"$dir/env/bin/pip" install --quiet --disable-pip-version-check "locust==2.47.0" "geventhttpclient==2.6.1"

# Twenty events of 128 bytes, one every 100 ms, each in a write of its own.
cat > "$dir/server.py" <<'PY'
import http.server, time

class Stream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(20):
            time.sleep(0.1)
            event = (b'data: {"n": %d, "pad": "' % number).ljust(124, b"x") + b'"}\n\n'
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream)
print(server.server_port, flush=True)
server.serve_forever()
PY
python3 "$dir/server.py" > "$dir/port" & server=$!
until [ -s "$dir/port" ]; do sleep 0.1; done

cat > "$dir/locustfile.py" <<'PY'
import time
from locust import FastHttpUser, task

def times(lines):
    begun, found = time.perf_counter(), []
    for line in lines:
        if line.strip():
            found.append(round((time.perf_counter() - begun) * 1000))
    return found

class Reader(FastHttpUser):
    @task
    def read(self):
        print("iter_lines", *times(self.client.iter_lines("/")), flush=True)
        answer = self.client.get("/", stream=True)
        print("readline", *times(iter(lambda: answer.stream.readline(b"\n"), b"")), flush=True)
        self.environment.runner.quit()
PY
"$dir/env/bin/locust" --headless -u 1 -r 1 -t 30s -f "$dir/locustfile.py" --host "http://127.0.0.1:$(cat "$dir/port")" \
  > "$dir/said" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

show() {
  read -r _ first second rest <<<"$(grep "^$1 " "$dir/said")"
  printf '%-11s first line after %s ms, second after %s ms, last after %s ms\n' "$1" "$first" "$second" "${rest##* }"
}
show iter_lines; late=$first
show readline
[ "$first" -lt 300 ] || { echo "changed: the server itself is late"; exit 1; }
[ "$late" -gt 700 ] || { echo "changed: the first line comes at once"; exit 1; }
