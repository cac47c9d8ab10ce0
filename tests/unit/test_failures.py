"""Which line of a log is the cause: processes, tracebacks, chains, requests, lives, logs of any length."""

import pytest
from tests.support.deaths import ECHO

from stoker.engine.failures import LAST, MOST, runs
from stoker.engine.last_error import causes, last_error

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB."
GONE = (
    "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely."
)
TRACE = "Traceback (most recent call last):"


def of(process: str, *said: str) -> list[str]:
    """What a worker writes."""
    return [f"({process} pid=1) ERROR 08-20 10:00:50 [multiproc_executor.py:888] {one}" for one in said]


def traceback(process: str, error: str, frames: int = 1) -> list[str]:
    inner = [line for n in range(frames) for line in (f'  File "/x/{n}.py", line 1, in f{n}', f"    g{n}()")]
    return of(process, TRACE, *inner, error)


def test_the_first_rank_is_the_cause_and_what_follows_a_note() -> None:
    log = [*traceback("Worker_TP1", OOM, 500), *traceback("Worker_TP0", GONE, 500), TRACE, ECHO]
    first, second = causes(log)
    assert (first.finding.rule, first.sure) == ("engine-gpu-memory", True)
    assert (second.finding.rule, second.sure) == ("engine-rank-gone", False)
    assert log[first.line - 1].endswith(OOM)


def test_what_follows_may_be_written_first() -> None:
    log = [*traceback("Worker_TP0", GONE), *traceback("Worker_TP1", OOM)]
    assert last_error(log).rule == "engine-gpu-memory"


def test_tracebacks_that_are_written_at_once() -> None:
    one, other = (
        traceback("Worker_TP0", "FooError: first", 20),
        traceback("Worker_TP1", "BarError: second", 20),
    )
    log = [line for pair in zip(one, other, strict=True) for line in pair]
    assert [found.finding.what for found in causes(log)] == ["FooError: first", "BarError: second"]


@pytest.mark.parametrize(
    "name",
    ["Exception", "acme.runtime.errors.OutOfThings", "zmq.error.Again", "FooBar", "socket.gaierror"],
)  # fmt: skip
def test_an_exception_of_any_name(name: str) -> None:
    assert (
        last_error([TRACE, '  File "x.py", line 1, in f', "    g()", f"{name}: it is odd"]).what
        == f"{name}: it is odd"
    )


def test_an_exception_without_words_tells_its_line() -> None:
    log = [TRACE, '  File "x.py", line 1, in f', "    assert a > 0", "AssertionError"]
    assert last_error(log).what == "AssertionError: assert a > 0"


def test_of_a_chain_what_is_known_counts() -> None:
    log = [
        TRACE,
        OOM,
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        TRACE,
        "FooError: later",
    ]
    assert last_error(log).rule == "engine-gpu-memory"


def test_indentation_that_was_lost() -> None:
    log = [
        TRACE,
        'File "/x/core.py", line 387, in run_engine_core',
        "engine_core = EngineCoreProc(*args)",
        "^^^^^^^",
        "ValueError: odd",
    ]
    assert last_error(log).what == "ValueError: odd"


def test_an_error_of_one_request_comes_after_that_of_the_engine() -> None:
    request = "(APIServer pid=1) ERROR 08-20 10:00:50 [serving_chat.py:200] "
    log = [
        f"{request}{TRACE}",
        f"{request}jinja2.exceptions.UndefinedError: no name",
        *traceback("EngineCore", "FooError: odd"),
    ]
    assert [one.finding.rule for one in causes(log)] == ["engine-error", "engine-chat-template"]


@pytest.mark.parametrize("file", ["models/serving.py", "serving_models.py"])
def test_an_adapter_that_is_loaded_at_the_start_is_no_request(file: str) -> None:
    lora = [
        TRACE,
        f'  File "/x/vllm/entrypoints/openai/{file}", line 1, in f',
        "ValueError: Loading lora a failed: no",
    ]
    assert [one.finding.rule for one in causes([*lora, TRACE, "FooError: odd"])][:1] == ["engine-adapter"]


def test_warnings_explain_what_fails_later() -> None:
    warned = "x/cuda/__init__.py:9: UserWarning: CUDA initialization: Error 803: unsupported display driver"
    end = "RuntimeError: Failed to infer device type, please set the environment variable"
    assert last_error([warned, TRACE, end]).rule == "engine-driver"
    assert last_error([warned, "INFO:     Application startup complete."]).rule == "engine-unknown"


@pytest.mark.parametrize(
    "line",
    [
        "(Worker pid=1) WARNING 11-27 13:53:24 [cpu_worker.py:114] libtcmalloc is not found in LD_PRELOAD.",
        "[rank0]:[W1125 17:19:40.156 ProcessGroupNCCL.cpp:1524] Warning: it was not destroyed",
        "x/dispatcher.py:138: FutureWarning: `torch.distributed.reduce_op` is deprecated, an error some day",
        "libnuma: Warning: node argument 1 is out of range",
        "x/resource_tracker.py:224: UserWarning: resource_tracker: There appear to be 2 leaked objects",
        "Loading safetensors checkpoint shards: 100% Completed | 4/4 [00:01<00:00,  2.1it/s]",
    ],
)  # fmt: skip
def test_what_is_no_cause(line: str) -> None:
    assert causes([line]) == ()
    assert last_error([line, TRACE, "FooError: odd"]).what == "FooError: odd"


def test_a_life_without_an_error_leaves_the_one_before() -> None:
    start = "(APIServer pid=1) INFO 10-02 09:00:00 [x.py:1] non-default args: {}"
    assert last_error([start, OOM, start, "INFO:     Started server process [1]"]).rule == "engine-gpu-memory"


def test_an_engine_that_was_told_to_stop() -> None:
    assert (
        last_error(["INFO:     Shutting down", "INFO:     Finished server process [1]"]).rule
        == "engine-stopped"
    )
    assert last_error([OOM, "INFO:     Shutting down"]).rule == "engine-gpu-memory"


@pytest.mark.parametrize(
    "line",
    ["{0} errors of {0} things that failed", "FooError: number {0}", "x" * 500 + "{0}", "INFO:     {0}"],
)
def test_of_a_long_log_a_bounded_part_is_kept(line: str) -> None:
    log = [*traceback("Worker_TP0", OOM), *(line.format(n) for n in range(5_000))]
    before, last = runs(log, lambda said: True)
    assert before == ()
    assert len(last) <= MOST + LAST
    assert last_error(log).rule == "engine-gpu-memory"


def test_the_end_of_a_long_log_is_read_too() -> None:
    log = [*(f"FooError: number {n}" for n in range(5_000)), OOM]
    assert last_error(log).rule == "engine-gpu-memory"
