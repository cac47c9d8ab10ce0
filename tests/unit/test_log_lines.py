"""What stands around a log's lines, and what a process wrote itself."""

import pytest

from stoker.engine.log_lines import LONGEST, Line, lines

VLLM = "(Worker_TP0 pid=100) ERROR 08-20 10:00:50 [multiproc_executor.py:888] "


def only(raw: str) -> Line:
    (one,) = lines([raw])
    return one


@pytest.mark.parametrize(
    ("raw", "text", "level", "process"),
    [
        (f"{VLLM}ValueError: no", "ValueError: no", "ERROR", "Worker_TP0 pid=100"),
        (f"{VLLM}    code()", "    code()", "ERROR", "Worker_TP0 pid=100"),
        (f'{VLLM}  File "x.py", line 3', '  File "x.py", line 3', "ERROR", "Worker_TP0 pid=100"),
        (f"{VLLM}{'x' * 200}", "x" * 200, "ERROR", "Worker_TP0 pid=100"),
        (f"{VLLM}no\r\n", "no", "ERROR", "Worker_TP0 pid=100"),
        ("(APIServer pid=1) (EngineCore_DP6 pid=24) no", "no", "", "EngineCore_DP6 pid=24"),
        ("(RayWorkerWrapper pid=3, ip=1.2.3.4) no", "no", "", "RayWorkerWrapper pid=3, ip=1.2.3.4"),
        ("\x1b[1;36m(Engine pid=2)\x1b[0;0m INFO 12-20 20:13:01 [x.py:8] on", "on", "INFO", "Engine pid=2"),
        ("[36m(RayWorkerWrapper pid=3)[0m no", "no", "", "RayWorkerWrapper pid=3"),
        ("ERROR 03-27 03:12:01 engine.py:400] no", "no", "ERROR", ""),
        ("ERROR 10-20 03:20:50 [async_llm.py:485[]   no", "  no", "ERROR", ""),
        ("2026-11-02T10:00:00.123456Z stderr F no", "no", "", ""),
        ("2026-11-02T10:00:00.123456789Z no", "no", "", ""),
        ("vllm-1  | (Worker pid=1) WARNING 08-20 10:00:01 [a.py:1] hm", "hm", "WARNING", "Worker pid=1"),
        ("[pod/shop-1/engine] no", "no", "", ""),
        ("Aug 19 18:34:27 vllm vllm[87]: (Engine pid=87)     code()", "    code()", "", "Engine pid=87"),
        ("2025-06-01 06:42:29.105 | ERROR 06-01 04:42:29 [engine.py:457] no", "no", "ERROR", ""),
        ("2025-11-02 13:17:04,315 - vllm.v1.engine - ERROR - no", "no", "ERROR", ""),
        ("2025-02-26 11:14:54,614\tINFO worker.py:1636 -- on", "on", "INFO", ""),
        ("[rank1]:[E820 10:00:00.000000000 ProcessGroupNCCL.cpp:688] no", "no", "ERROR", "rank1"),
        ("[rank0]:     code()", "    code()", "", "rank0"),
        ("W1127 13:54:50.635000 3441 torch/_library/triton.py:53] hm", "hm", "WARNING", ""),
        ("node-a:102:102 [0] misc/shmutils.cc:87 NCCL WARN no", "no", "", ""),
        ("node-a:102:102 [0] NCCL INFO on", "on", "INFO", ""),
        ("INFO:     Application startup complete.", "Application startup complete.", "INFO", ""),
        ("> > ValueError: no", "ValueError: no", "", ""),
        ("  | ValueError: no", "ValueError: no", "", ""),
        ("│ ValueError: no", "ValueError: no", "", ""),
        ("Loading: 10%\rLoading: 100%", "Loading: 100%", "", ""),
        ('{"log":"ValueError: no\\n","stream":"stderr"}', "ValueError: no", "", ""),
        ('{"severity":"ERROR","textPayload":"INFO 08-20 10:00:01 [a.py:1] on"}', "on", "INFO", ""),
        ('{"level":"warning","msg":"hm"}', "hm", "WARNING", ""),
        ('    "textPayload": "ValueError: no",', "ValueError: no", "", ""),
        ('{"a": 1}', '{"a": 1}', "", ""),
        ('{"message": "cut', '{"message": "cut', "", ""),
        ("error: argument --dtype: no", "error: argument --dtype: no", "", ""),
    ],
)  # fmt: skip
def test_a_line_undressed(raw: str, text: str, level: str, process: str) -> None:
    found = only(raw)
    assert (found.text, found.level, found.process) == (text, level, process)


def test_an_exception_in_json_is_all_of_its_lines() -> None:
    raw = '{"level":"ERROR","message":"it died","exc_info":"Traceback\\nValueError: no"}'
    found = list(lines(["first", raw]))
    assert [one.text for one in found] == [
        "first",
        "it died",
        "Traceback",
        "ValueError: no",
    ]
    assert [one.number for one in found] == [1, 2, 2, 2]


def test_lines_that_were_joined() -> None:
    head = "ERROR 04-02 08:25:00 [async_llm_engine.py:68] "
    found = list(lines([" ".join(f"{head}{said}" for said in ("one thing", "another", "x" * 100))]))
    assert [one.text for one in found] == ["one thing", "another", "x" * 100]
    assert {(one.number, one.level) for one in found} == {(1, "ERROR")}


def test_a_long_line_is_cut() -> None:
    assert len(only("x" * 100_000).text) == LONGEST


def test_json_that_is_too_deep_is_text() -> None:
    assert only('{"log":' + "[" * 50_000 + "}").text.startswith('{"log":')
