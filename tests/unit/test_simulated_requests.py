"""What the simulated engine reads, answers and counts, without a process."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from stoker.targets.simulated import faults, options, requests
from stoker.targets.simulated.answers import answers
from stoker.targets.simulated.batch import Batch
from stoker.targets.simulated.engine import Engine
from stoker.targets.simulated.faults import ControlFile, Faults, Simulation
from stoker.targets.simulated.metrics import Metrics
from stoker.targets.simulated.prefixes import PrefixCache
from stoker.targets.simulated.refusals import Refused
from stoker.targets.simulated.validation import Served, settle
from stoker.targets.simulated.words import Vocabulary, embedding

USER = {"messages": [{"role": "user", "content": "one two"}]}


SERVED = Served("m", max_model_len=100)


def ask(body: dict[str, Any]) -> requests.Request:
    return settle(requests.chat(body), SERVED, Vocabulary())


@pytest.mark.parametrize(
    ("more", "text", "finish"),
    [
        ({}, "one two one two", "stop"),
        ({"max_tokens": 3}, "one two one", "length"),
        ({"max_tokens": 3.0, "top_k": 1.0, "temperature": "0.5"}, "one two one", "length"),
        ({"max_tokens": 2, "max_completion_tokens": 3}, "one two one", "length"),
        ({"max_tokens": 6, "ignore_eos": True}, "one two one two one two", "length"),
        ({"min_tokens": 5}, "one two one two one", "stop"),
        ({"stop": "two"}, "one ", "stop"),
        ({"stop": ["zero", "wo o"], "include_stop_str_in_output": True}, "one two o", "stop"),
        ({"stop": "zero"}, "one two one two", "stop"),
        ({"messages": [{"role": "user", "content": ""}]}, "word0 word1 word2 word3", "stop"),
        ({"max_tokens": 4}, "one two one two", "length"),
        ({"max_tokens": 5}, "one two one two", "stop"),
    ],
)
def test_an_answer_repeats_the_last_user_message(more: dict[str, Any], text: str, finish: str) -> None:
    [answer] = answers(ask({**USER, **more}), tokens=4, max_model_len=100)
    assert (answer.text, answer.finish) == (text, finish)


@pytest.mark.parametrize(
    ("more", "deltas", "tokens"),
    [
        ({"max_tokens": 3}, ("one", " two", " one"), 3),
        ({}, ("one", " two", " one", " two", ""), 5),
        ({"stop": "two"}, ("o", "ne "), 2),
        ({"stop": "zero"}, ("", "one ", "two ", "one ", "two"), 5),
        ({"stop": "zero", "max_tokens": 2}, ("", "one two"), 2),
        ({"stop": "zero", "include_stop_str_in_output": True, "max_tokens": 2}, ("one", " two"), 2),
        ({"stop": ["one", "two"], "min_tokens": 1}, ("o", "ne "), 2),
    ],
)
def test_an_answer_in_steps_holds_back_what_may_be_a_stop_text(
    more: dict[str, Any], deltas: tuple[str, ...], tokens: int
) -> None:
    [answer] = answers(ask({**USER, **more}), tokens=4, max_model_len=100)
    assert answer.deltas == deltas
    assert len(answer.tokens) == tokens
    assert not any("two" in text for text in answer.deltas) or more.get("stop") != "two"


def test_each_word_beyond_the_context_is_left_out() -> None:
    [answer] = answers(ask({**USER, "max_tokens": 100, "ignore_eos": True}), tokens=4, max_model_len=100)
    assert (len(answer.tokens), answer.finish) == (98, "length")


def test_the_last_user_message_counts_whatever_its_form() -> None:
    parts = [{"type": "text", "text": "three"}]
    system, late = {"role": "system", "content": "be brief"}, {"role": "user", "content": parts}
    found = ask({"messages": [system, *USER["messages"], late, {"role": "assistant", "content": None}]})
    assert found.prompts[0].repeated == ("three",)
    assert found.prompt_tokens == 5


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({}, "'loc': 'body.messages', 'msg': 'Field required'"),
        ({"messages": "hi"}, "valid list"),
        ({"messages": ["hi"]}, "valid dictionary"),
        ({**USER, "max_tokens": 1.5}, "fractional part"),
        ({**USER, "max_tokens": 0}, "max_tokens must be at least 1"),
        ({**USER, "max_tokens": 101}, "cannot be greater than max_model_len=100"),
        ({**USER, "n": 10**9}, "n must be at most"),
        ({**USER, "n": 2, "temperature": 0}, "n must be 1 when using greedy sampling, got 2."),
        ({**USER, "tools": [{"type": "function", "function": {"name": "f"}}]}, "--enable-auto-tool-choice"),
        ({"messages": []}, "empty conversation"),
        ({**USER, "temperature": -1}, "non-negative"),
        ({**USER, "temperature": []}, "valid number"),
        ({**USER, "top_p": 0}, "top_p"),
        ({**USER, "stream": "perhaps"}, "valid boolean"),
        ({**USER, "stop": [1]}, "body.stop.0"),
        ({**USER, "stream_options": {"include_usage": True}}, "when `stream=True`"),
        ({"messages": [{"role": "user", "content": "x " * 101}]}, "maximum context length is 100 tokens"),
    ],
)
def test_refused_with_400_and_the_reason(body: dict[str, Any], part: str) -> None:
    with pytest.raises(Refused) as refused:
        answers(ask(body), tokens=4, max_model_len=100)
    assert refused.value.status == refused.value.body["error"]["code"] == 400
    assert part in refused.value.body["error"]["message"]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a b", [("a", "b")]),
        (["a", "b c"], [("a",), ("b", "c")]),
        ([7, 8], [("word7", "word8")]),
        ([[7], [8, 9]], [("word7",), ("word8", "word9")]),
    ],
)
def test_prompts_of_completions(prompt: Any, words: list[tuple[str, ...]]) -> None:
    found = settle(requests.completion({"prompt": prompt}), SERVED, Vocabulary())
    assert [item.words for item in found.prompts] == words
    assert found.limit == 16


@pytest.mark.parametrize("prompt", [None, [], 3, [["a"]], [-1], ["a", 3]])
def test_prompts_that_are_none(prompt: Any) -> None:
    with pytest.raises(Refused):
        settle(requests.completion({"prompt": prompt}), SERVED, Vocabulary())


def test_words_have_numbers_and_back() -> None:
    words = Vocabulary()
    numbers = [words.id(word) for word in ("a", "b", "a")]
    assert numbers == [0, 1, 0]
    assert [words.word(number) for number in (*numbers, 99)] == ["a", "b", "a", "word99"]


def test_an_embedding_depends_on_the_words_only() -> None:
    assert embedding(("a",)) == embedding(("a",)) != embedding(("b",))
    assert sum(value**2 for value in embedding(("a",))) == pytest.approx(1)


class Sequence:
    """A request without an engine."""

    def __init__(self, seats: int = 1, blocks: int = 1) -> None:
        self.seats, self.blocks, self.runs = seats, blocks, False

    def admitted(self) -> None:
        self.runs = True

    def held(self) -> int:
        return self.blocks


def batch_of(seats: int, blocks: int) -> Any:
    """A batch, for guests that are no requests."""
    return Batch(seats=seats, blocks=blocks)


def test_as_many_run_as_there_are_seats_and_the_others_follow_in_order() -> None:
    batch = batch_of(seats=2, blocks=100)
    guests = [Sequence() for _ in range(4)]
    for guest in guests:
        batch.enter(guest)
    assert [guest.runs for guest in guests] == [True, True, False, False]
    assert (batch.seats_running, batch.seats_waiting, batch.blocks_held) == (2, 2, 2)
    batch.leave(guests[2])
    batch.leave(guests[0])
    assert [guest.runs for guest in guests] == [True, True, False, True]


def test_blocks_hold_back_too_but_never_for_ever() -> None:
    batch = batch_of(seats=8, blocks=4)
    small, large = Sequence(blocks=1), Sequence(blocks=9)
    batch.enter(small)
    batch.enter(large)
    assert not large.runs
    batch.leave(small)
    assert large.runs


def test_a_prefix_is_found_block_by_block_but_never_the_whole_prompt() -> None:
    cache = PrefixCache(blocks=100, block_size=2)
    assert cache.read(("a", "b", "c", "d")) == 0
    assert cache.read(("a", "b", "c", "d")) == 2
    assert cache.read(("a", "b", "c", "d", "e")) == 4
    assert cache.read(("x", "b", "c", "d")) == 0
    tiny = PrefixCache(blocks=1, block_size=1)
    assert [tiny.read((word, "z")) for word in "aaba"] == [0, 0, 0, 0]


def test_the_page_is_well_formed() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    metrics = Metrics({"engine": "0", "model_name": 'a "b"\\c'})
    metrics.ttft.observe(0.03)
    metrics.ttft.observe(9999)
    metrics.finished.add(2, "stop")
    page = metrics.page([("vllm:num_requests_running", "Running.", {}, 3)]).decode()
    samples = {
        (sample.name, sample.labels.get("le"), sample.labels.get("finished_reason")): sample
        for family in parser.text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["vllm:num_requests_running", None, None].labels["model_name"] == 'a "b"\\c'
    assert samples["vllm:request_success_total", None, "stop"].value == 2
    assert samples["vllm:time_to_first_token_seconds_bucket", "0.02", None].value == 0
    assert samples["vllm:time_to_first_token_seconds_bucket", "0.04", None].value == 1
    assert samples["vllm:time_to_first_token_seconds_bucket", "+Inf", None].value == 2
    assert samples["vllm:time_to_first_token_seconds_sum", None, None].value == pytest.approx(9999.03)


def test_a_simulation_is_read_strictly() -> None:
    found = faults.parse('{"ttft": 1, "faults": {"die_after_requests": 3, "fail_start": null}}')
    assert found == Simulation(ttft=1, faults=Faults(die_after_requests=3))
    assert faults.parse('{"itl": 0.5}', found) == Simulation(ttft=1, itl=0.5, faults=found.faults)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[]", "JSON object"),
        ("{", "Expecting"),
        ('{"tft": 1}', "unknown field 'tft': expected one of start_seconds, ttft"),
        ('{"tokens": 1.5}', "tokens is 1.5"),
        ('{"faults": true}', "faults is a JSON object"),
        ('{"faults": {"hang": 1}}', "hang is 1: expected bool"),
        ('{"faults": {"error_status": true}}', "error_status is True"),
    ],
)
def test_a_wrong_simulation_names_the_field(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        faults.parse(text)
    assert part in str(error.value)


def test_a_control_file_is_read_when_it_changes(tmp_path: Path) -> None:
    path, base = tmp_path / "control.json", Simulation(ttft=3)
    control = ControlFile(path, base)
    assert control.poll() is None
    path.write_text('{"itl": 9}')
    assert control.poll() == Simulation(ttft=3, itl=9)
    assert control.poll() is None
    path.write_text('{"itl": ')
    with pytest.raises(ValueError, match="Expecting"):
        control.poll()
    assert control.poll() is None
    path.unlink()
    assert control.poll() == base


def test_vllms_command_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 512}))
    words = (
        f"serve {tmp_path} --host 127.0.0.1 --port=81 --served-model-name a b --max_num_seqs 3 --dtype auto"
    )
    found = options.read([*words.split(), "--lora-modules", "x=/x", '{"name": "y", "path": "/y"}'], {})
    assert (found.model, found.names, found.port, found.max_num_seqs) == (str(tmp_path), ("a", "b"), 81, 3)
    assert found.loras == (("x", "/x"), ("y", "/y"))
    assert (found.max_model_len, found.api_key) == (512, None)
    assert options.read(["m", "--max-model-len", "32K"], {"VLLM_API_KEY": "k"}).max_model_len == 32768
    assert options.read(["m"], {"VLLM_API_KEY": "k"}).api_key == "k"


def test_a_wrong_command_line_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        options.read(["m", "--simulate", '{"ttf": 1}'], dict(os.environ))
    assert stopped.value.code == 2
    assert "unknown field 'ttf'" in capsys.readouterr().err


def test_every_family_of_the_page_is_one_of_vllms(tmp_path: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    real = Path(__file__).parent.parent / "data" / "metrics" / "vllm-0.32.txt"
    engine = Engine(options.read(["m", "--max-model-len", "2048"], {}))
    ours, theirs = (
        {
            family.name: (
                family.type,
                family.documentation,
                {tuple(sorted(sample.labels)) for sample in family.samples},
                [sample.labels["le"] for sample in family.samples if "le" in sample.labels],
            )
            for family in parser.text_string_to_metric_families(text)
        }
        for text in (engine.page().decode(), real.read_text())
    )
    assert len(ours) > 40
    for name, family in ours.items():
        if name != "vllm:cache_config_info":
            assert family == theirs[name], name
