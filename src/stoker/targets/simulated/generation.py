"""One request in the engine, from its arrival to its last token: a state machine on one timer."""

import asyncio
import time

from stoker.system.http1 import Exchange
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.asks import Ask
from stoker.targets.simulated.engine import Engine
from stoker.targets.simulated.shapes import Shape

Headers = list[tuple[bytes, bytes]]
_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_HUNG_SECONDS = 0.05


class Generation:
    """A request that runs. A stream's headers go out at once; its first event after `ttft`."""

    __slots__ = (
        "_admitted", "_answers", "_arrived", "_ask", "_due", "_engine", "_exchange", "_first", "_headers",
        "_last", "_loop", "_sent", "_shape", "_steps", "_timer", "blocks", "seats",
    )  # fmt: skip

    def __init__(
        self, engine: Engine, exchange: Exchange, ask: Ask, answers: list[Answer], shape: Shape
    ) -> None:
        self._engine = engine
        self._exchange = exchange
        self._ask = ask
        self._answers = answers
        self._shape = shape
        self._steps = max(len(answer.pieces) for answer in answers)
        self._sent = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._arrived = self._admitted = self._first = self._last = 0.0
        self.seats = len(answers)
        self.blocks = self._blocks(self._steps)

    def start(self, headers: Headers) -> None:
        """Enters the queue; from then on it runs by itself, to its last token or until the client leaves."""
        self._headers = headers
        self._arrived = self._admitted = time.perf_counter()
        self._exchange.on_gone = self._gone
        if self._ask.stream:
            self._exchange.start(200, [_EVENTS, *headers])
        self._engine.batch.enter(self)

    def admitted(self) -> None:
        """A seat is free: the prompt is read now, the first token comes after `ttft`."""
        self._admitted, now = time.perf_counter(), self._loop.time()
        self._engine.read(now, self._ask.logprobs is not None)
        self._due = max(now, self._engine.busy_until) + self._engine.ttft
        self._timer = self._loop.call_at(self._due, self._tick)

    def held(self) -> int:
        """KV blocks that prompt and tokens fill so far."""
        return self._blocks(self._sent)

    def _blocks(self, tokens: int) -> int:
        size = self._engine.options.block_size
        prompts = sum(-(-(len(prompt.words) + tokens) // size) for prompt in self._ask.prompts)
        return prompts * self._ask.n

    def _tick(self) -> None:
        """One engine step for this request: a token, then the timer for the next one."""
        engine, step = self._engine, self._sent
        if engine.stalled or engine.hung or self._due < engine.busy_until:
            self._due = max(self._loop.time() + _HUNG_SECONDS, engine.busy_until)
            self._timer = self._loop.call_at(self._due, self._tick)
            return
        dies_at = engine.faults.die_mid_stream_after_tokens
        if dies_at is not None and step >= dies_at:
            engine.die(f"simulated death after {step} tokens of a request")
        self._count(step)
        if step < self._steps:
            if self._ask.stream:
                self._exchange.write(self._shape.frame(step))
            self._sent = step = step + 1
        if step >= self._steps:
            self._finish()
        else:
            self._due += engine.itl
            self._timer = self._loop.call_at(self._due, self._tick)

    def _count(self, step: int) -> None:
        now, metrics = time.perf_counter(), self._engine.metrics
        if step == 0:
            self._first = now
            metrics.ttft.observe(now - self._arrived)
            self._count_prompt()
            if self._ask.stream:
                self._exchange.write(self._shape.opening())
        else:
            metrics.itl.observe(now - self._last)
        self._last = now
        made = 1 if self.seats == 1 else sum(step < len(answer.pieces) for answer in self._answers)
        metrics.generation_tokens.add(made if self._steps else 0)

    def _count_prompt(self) -> None:
        metrics = self._engine.metrics
        metrics.prompt_tokens.add(self._ask.prompt_tokens)
        metrics.prefix_queries.add(self._ask.prompt_tokens)
        metrics.prefix_hits.add(sum(self._engine.prefixes.read(prompt.words) for prompt in self._ask.prompts))

    def _finish(self) -> None:
        self._leave([answer.finish for answer in self._answers])
        if self._ask.stream:
            self._exchange.write(self._shape.closing())
            self._exchange.end()
        else:
            self._exchange.reply(200, self._shape.whole(), [_JSON, *self._headers])

    def _gone(self) -> None:
        """The client has left: its request ends here."""
        if self._timer is not None:
            self._timer.cancel()
        self._leave(["abort"] * self.seats)

    def _leave(self, reasons: list[str]) -> None:
        self._engine.batch.leave(self)
        for reason in reasons:
            self._engine.metrics.finished.add(1, reason)
        if self._sent:
            self._measure()

    def _measure(self) -> None:
        now, metrics = time.perf_counter(), self._engine.metrics
        metrics.e2e.observe(now - self._arrived)
        metrics.queue.observe(self._admitted - self._arrived)
        metrics.inference.observe(now - self._admitted)
        metrics.prefill.observe(self._first - self._admitted)
        metrics.decode.observe(now - self._first)
        metrics.prompt_length.observe(self._ask.prompt_tokens)
        metrics.answer_length.observe(self._sent)
        if self._sent > 1:
            metrics.tpot.observe((self._last - self._first) / (self._sent - 1))
