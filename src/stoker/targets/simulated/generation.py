"""One request in the engine, from its arrival to its last token: a state machine on one timer."""

import asyncio
import time
from typing import Any

from stoker.engine.openai import dump
from stoker.system.http1 import Exchange
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.engine import Engine
from stoker.targets.simulated.requests import Request
from stoker.targets.simulated.shapes import Shape, quoted
from stoker.targets.simulated.validation import most_tokens

Headers = list[tuple[bytes, bytes]]
JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_STILL_SECONDS = 0.05


class Lane:
    """One answer of a request: for the engine a sequence of its own. All but the first start a step later."""

    __slots__ = (
        "answer",
        "cached",
        "counts",
        "deltas",
        "first",
        "head",
        "index",
        "last",
        "plain",
        "preempted",
        "start",
        "steps",
        "tail",
    )

    def __init__(self, index: int, answer: Answer, ends: tuple[bytes, bytes] | None) -> None:
        """ends: what stands before and after the text in all events but the last, where that is always the
        same."""
        self.index = index
        self.answer = answer
        self.start = min(index, 1)
        self.deltas = answer.deltas
        self.steps = len(answer.deltas)
        self.plain = self.steps - 1 if ends else 0
        self.head, self.tail = ends or (b"", b"")
        self.first = self.last = 0.0
        self.cached = self.preempted = 0
        self.counts = len(answer.prompt.words) if ends and b"%d" in self.tail else None  # told in each event


class Generation:
    """A request that runs. A stream's headers go out at once; its first event after `ttft`."""

    __slots__ = (
        "_admitted",
        "_arrived",
        "_ask",
        "_due",
        "_engine",
        "_exchange",
        "_headers",
        "_lanes",
        "_loop",
        "_shape",
        "_step",
        "_steps",
        "_timer",
        "blocks",
        "seats",
    )

    def __init__(
        self, engine: Engine, exchange: Exchange, ask: Request, answers: list[Answer], shape: Shape
    ) -> None:
        self._engine = engine
        self._exchange = exchange
        self._ask = ask
        self._lanes = [Lane(index, one, shape.ends(index)) for index, one in enumerate(answers)]
        self._shape = shape
        self._steps = max(lane.start + lane.steps for lane in self._lanes)
        self._step = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._arrived = self._admitted = 0.0
        self.seats = len(answers)
        self.blocks = self._blocks(self._steps)

    def start(self, headers: Headers) -> None:
        """Enters the queue; from then on it runs by itself, to its last token or until the client leaves."""
        self._headers = headers
        self._arrived = self._admitted = time.perf_counter()
        self._exchange.on_gone = self._gone
        if self._ask.stream:
            self._exchange.start(200, [_EVENTS, *headers])
            self._exchange.write(self._shape.greeting())
        self._engine.batch.enter(self)

    def admitted(self) -> None:
        """A seat is free: the prompt is read now, the first token comes after `ttft`."""
        self._admitted, now = time.perf_counter(), self._loop.time()
        self._engine.read(now, self._ask.logprobs is not None)
        self._due = max(now, self._engine.busy_until) + self._engine.ttft
        self._timer = self._loop.call_at(self._due, self._tick)

    def held(self) -> int:
        """KV blocks that prompt and tokens fill, as the last step has left them."""
        return self._blocks(self._step) if self._step else 0

    def failed(self, error: dict[str, Any]) -> None:
        """The engine's core has died: the client is told, and counted nowhere."""
        self._cancel()
        exchange = self._exchange
        if not self._ask.stream:
            exchange.reply(500, dump(self._shape.refusal(error)), [JSON, *self._headers])
            self._engine.leaving()
        elif (last := self._shape.broken(error)) is None:
            exchange.abort()
        else:
            exchange.write(last)
            exchange.end()

    def _blocks(self, tokens: int) -> int:
        size = self._engine.options.block_size
        prompts = sum(-(-(len(prompt.words) + tokens) // size) for prompt in self._ask.prompts)
        return prompts * self._ask.n

    def _tick(self) -> None:
        """One engine step for this request: a token for each answer, then the timer for the next one."""
        engine, step = self._engine, self._step
        if engine.stalled or engine.hung or self._due < engine.busy_until:
            self._due = max(self._loop.time() + _STILL_SECONDS, engine.busy_until)
            self._timer = self._loop.call_at(self._due, self._tick)
            return
        if engine.breaks and self._dies(step):
            return
        self._said(step)
        self._step = step = step + 1
        if step < self._steps:
            self._due += engine.itl
            self._timer = self._loop.call_at(self._due, self._tick)
        else:
            self._finish()
        engine.batch.stepped()

    def _said(self, step: int) -> None:
        """Counts each answer's token, and writes it where it is streamed."""
        now, streams, shape = time.perf_counter(), self._ask.stream, self._shape
        said = b"" if step or not streams else shape.opening()
        for lane in self._lanes:
            at = step - lane.start
            if 0 <= at < lane.steps:
                self._count(lane, at, now)
                if streams:
                    said += self._written(lane, at)
        if streams:
            self._exchange.write(said)

    def _written(self, lane: Lane, at: int) -> bytes:
        """The event of an answer's token."""
        if at >= lane.plain:
            return self._shape.frame(lane.index, at)
        if lane.counts is None:
            return lane.head + quoted(lane.deltas[at]) + lane.tail
        return lane.head + quoted(lane.deltas[at]) + lane.tail % (lane.counts + at + 1, at + 1)

    def _dies(self, step: int) -> bool:
        """Whether the engine's core dies with this step. The whole process may die, too."""
        faults = self._engine.faults
        whole, core = faults.die_mid_stream_after_tokens, faults.core_dies_mid_stream_after_tokens
        if whole is not None and step >= whole:
            self._engine.die(f"simulated death after {step} tokens of a request")
        if core is None or step < core:
            return False
        self._engine.lose_core(f"simulated death after {step} tokens of a request")
        return True

    def _count(self, lane: Lane, step: int, now: float) -> None:
        metrics = self._engine.metrics
        metrics.generation_tokens.add(1)
        if step == 0:
            lane.first = now
            metrics.ttft.observe(now - self._arrived)
            self._count_prompt(lane)
        else:
            metrics.itl.observe(now - lane.last)
        lane.last = now
        if step == lane.steps - 1:
            self._count_whole(lane, now)

    def _count_prompt(self, lane: Lane) -> None:
        metrics, words = self._engine.metrics, lane.answer.prompt.words
        metrics.prompt_tokens.add(len(words))
        metrics.prefix_queries.add(len(words))
        lane.cached = cached = self._found_before(lane)
        metrics.prefix_hits.add(cached)
        metrics.cached.add(cached)
        metrics.by_source.add(cached, "local_cache_hit")
        metrics.by_source.add(len(words) - cached, "local_compute")

    def _found_before(self, lane: Lane) -> int:
        """Tokens of its prompt that the prefix cache had."""
        return self._engine.prefixes.read(lane.answer.prompt.words)

    def _count_whole(self, lane: Lane, now: float) -> None:
        metrics = self._engine.metrics
        metrics.finished.add(1, lane.answer.finish)
        metrics.e2e.observe(now - self._arrived)
        metrics.queue.observe(self._admitted - self._arrived)
        metrics.inference.observe(now - self._admitted)
        metrics.prefill.observe(lane.first - self._admitted)
        metrics.decode.observe(now - lane.first)
        metrics.prompt_length.observe(len(lane.answer.prompt.words))
        metrics.answer_length.observe(lane.steps)
        metrics.asked_tokens.observe(self._most(lane))
        metrics.computed.observe(len(lane.answer.prompt.words) - lane.cached)
        metrics.preempted.observe(lane.preempted)
        metrics.tpot.observe((lane.last - lane.first) / (lane.steps - 1) if lane.steps > 1 else 0.0)

    def _most(self, lane: Lane) -> int:
        length = self._engine.options.max_model_len
        return most_tokens(self._ask, len(lane.answer.prompt.words), length)

    def _finish(self) -> None:
        metrics = self._engine.metrics
        metrics.longest.observe(max(lane.steps for lane in self._lanes))
        metrics.asked_n.observe(self._ask.n)
        self._engine.batch.leave(self)
        if self._ask.stream:
            self._exchange.write(self._shape.closing())
            self._exchange.end()
        else:
            self._exchange.reply(200, self._shape.whole(), [JSON, *self._headers])

    def _gone(self) -> None:
        """The client has left: its request ends here, and is counted nowhere."""
        self._cancel()
        if not self._engine.stalled:
            self._engine.batch.stepped()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._engine.batch.leave(self)
