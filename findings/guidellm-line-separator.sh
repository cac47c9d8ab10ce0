#!/usr/bin/env bash
# guidellm 0.8.1: an answer whose text has one of Unicode's line separators in it (U+2028, U+2029 or U+0085).
#
# Guess:    nothing happens: JSON allows them as they are in a string, a stream of server-sent events has its lines
#           ended by LF, CR or CRLF alone, and vLLM, whose JSON is pydantic's, sends them as they are.
# Seen:     SEEN
# So:       SO
#
# Needs Python 3.11, Linux, about 1.6 GB of disk (guidellm asks for PyTorch), and, for its CPU build, an index of it:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu bash findings/guidellm-line-separator.sh
# Ends with 0 where it is still so, with 1 where it has changed.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"
"$dir/env/bin/pip" install --quiet --disable-pip-version-check "guidellm==0.8.1" "torch==2.13.0+cpu"

# A tokenizer of words, so that nothing is fetched: each word is a token.
"$dir/env/bin/python" - "$dir/words" <<'PY'
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"[UNK]": 0, "one": 1}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(sys.argv[1])
PY

# Chats of eight tokens; the fifth of every second answer is a line separator, written as pydantic writes it.
cat > "$dir/server.py" <<'PY'
import http.server, itertools, json

answers = itertools.count()

class Chat(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        words = [" one"] * 8
        if next(answers) % 2:
            words[4] = "\u2028"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for word in words:
            self.say({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        usage = {"prompt_tokens": 8, "completion_tokens": 8, "total_tokens": 16}
        self.say({"choices": [], "usage": usage})
        self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def say(self, event):
        text = json.dumps({"id": "c", "object": "chat.completion.chunk", "model": "m", **event}, ensure_ascii=False)
        self.chunk(b"data: " + text.encode() + b"\n\n")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chat)
print(server.server_port, flush=True)
server.serve_forever()
PY
python3 "$dir/server.py" > "$dir/port" & server=$!
until [ -s "$dir/port" ]; do sleep 0.1; done

(cd "$dir" && HF_HUB_OFFLINE=1 "$dir/env/bin/guidellm" run --disable-console \
  --backend "kind=openai_http,target=http://127.0.0.1:$(cat "$dir/port"),model=m" \
  --profile kind=constant,rate=10 --constraint kind=max_requests,count=20 \
  --tokenizer "kind=huggingface_auto,model=$dir/words" \
  --data kind=synthetic_text,prompt_tokens=8,output_tokens=8 \
  --output "kind=json,path=$dir/said.json" > "$dir/log" 2>&1) || { tail -n 20 "$dir/log"; exit 1; }
"$dir/env/bin/python" - "$dir/said.json" <<'PY'
import json, sys

report = json.load(open(sys.argv[1]))["benchmarks"][0]
totals, failed = report["metrics"]["request_totals"], report["requests"]["errored"]
print("guidellm says:", {name: totals[name] for name in ("successful", "errored", "incomplete")})
print("why:", failed[0]["info"]["error"] if failed else "-")
sys.exit(0 if totals["errored"] == 10 else "changed: answers with a line separator are read")
PY
