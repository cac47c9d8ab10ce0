"""What killed an engine: real logs of failed starts, and the lines that only GPUs write."""

import re

import pytest
from tests.support.deaths import LINES, LOGS, REAL, death

from stoker.engine.last_error import MOST, last_error
from stoker.findings import Finding


def told(found: Finding, rule: str, values: tuple[str, ...]) -> None:
    assert found.rule == rule
    assert [one for one in values if one not in f"{found.what}; {found.fix}"] == []
    assert found.why
    assert found.fix
    assert not re.search(r"\{\d", found.fix), "a value that was not filled in"


@pytest.mark.parametrize(("name", "rule", "values"), REAL, ids=[row[0] for row in REAL])
def test_a_real_failed_start(name: str, rule: str, values: tuple[str, ...]) -> None:
    lines = (LOGS / f"vllm-0.32.0-cpu-{name}.log").read_text(encoding="utf-8").splitlines()
    told(last_error(lines), rule, values)


def test_every_log_here_has_its_row() -> None:
    there = {path.stem.removeprefix("vllm-0.32.0-cpu-") for path in LOGS.glob("vllm-0.32.0-cpu-*.log")}
    assert there - {"start"} == {row[0] for row in REAL}


@pytest.mark.parametrize(
    ("rule", "values", "line"), LINES, ids=[f"{rule}-{n}" for n, (rule, *_) in enumerate(LINES)]
)
def test_a_line_and_its_cause(rule: str, values: tuple[str, ...], line: str) -> None:
    told(last_error(death(line).splitlines()), rule, values)


def test_the_words_of_a_cause() -> None:
    """What does not fit, beside what there is, and a value that would do."""
    lines = (LOGS / "vllm-0.32.0-cpu-kv-too-small.log").read_text(encoding="utf-8").splitlines()
    found = last_error(lines)
    assert found.what == "max-model-len 2048 needs 0.09 GiB of KV cache, and there are 0.01 GiB"
    assert found.fix == "max-model-len: 128 or less, or more memory"


HEAD = "(EngineCore pid=9) ERROR 10-02 09:00:00 [core.py:1] "


def test_an_unknown_cause_is_the_innermost_error() -> None:
    log = f"""\
(Worker pid=11) ERROR 10-02 09:00:00 [x.py:1] Traceback (most recent call last):
(Worker pid=11) ERROR 10-02 09:00:00 [x.py:1]   File "attention.py", line 3, in forward
(Worker pid=11) ERROR 10-02 09:00:00 [x.py:1] AssertionError: the head dim is odd
{HEAD}Traceback (most recent call last):
{HEAD}RuntimeError: Worker failed with error 'the head dim is odd', please check the stack trace above
Traceback (most recent call last):
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}
"""
    found = last_error(log.splitlines())
    assert (found.rule, found.what) == ("engine-error", "AssertionError: the head dim is odd")


def test_of_a_chain_the_last_error_counts() -> None:
    log = """\
Traceback (most recent call last):
KeyError: 'rope'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
vllm.exceptions.ConfigError: no rope in the config
Traceback (most recent call last):
ValueError: something later
"""
    assert last_error(log.splitlines()).what == "vllm.exceptions.ConfigError: no rope in the config"


def test_code_in_a_traceback_is_no_message() -> None:
    log = [
        "Traceback (most recent call last):",
        '  File "kv_cache_utils.py", line 1010, in check',
        '    raise ValueError("No available memory for the cache blocks. "',
        "ZeroDivisionError: division by zero",
    ]
    assert last_error(log).what == "ZeroDivisionError: division by zero"


def test_warnings_do_not_kill() -> None:
    log = [
        "(APIServer pid=1) WARNING 10-02 09:00:00 [x.py:1] like `OSError: [Errno 24] Too many open files`",
        "(APIServer pid=1) INFO 10-02 09:00:00 [x.py:1] ImportError: triton is not here, never mind",
        "x.py:254: UserWarning: resource_tracker: There appear to be 1 leaked shared_memory objects",
        "ValueError: it is this",
    ]
    assert last_error(log).what == "ValueError: it is this"


def test_only_the_last_run_counts() -> None:
    start = "(APIServer pid=1) INFO 10-02 09:00:00 [x.py:1] non-default args: {}"
    log = [start, "ValueError: of the first run", start, "ValueError: of the second run"]
    assert last_error(log).what == "ValueError: of the second run"


@pytest.mark.parametrize("lines", [[], [""], ["INFO:     Application startup complete."]])
def test_without_a_word_there_is_no_cause(lines: list[str]) -> None:
    assert (last_error(lines).what, last_error(lines).rule) == ("", "engine-unknown")


def test_a_start_that_went_well_has_no_cause() -> None:
    lines = (LOGS / "vllm-0.32.0-cpu-start.log").read_text(encoding="utf-8").splitlines()
    assert last_error(lines).what == ""


def test_a_long_line_is_cut() -> None:
    assert len(last_error([f"ValueError: {'x' * 100_000}"]).what) == MOST
