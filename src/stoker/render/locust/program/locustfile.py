"""A load test for Locust 2.47, written by `stoker render --only locust`: the requests of `stoker bench`.

    locust -f locustfile.py --headless --host http://HOST:PORT         the endpoint's key: ENDPOINT_KEY=…

on several cores, or machines: the same with --master --expect-workers 2, and as often --worker.

It stops by itself. A rate is an open loop: each request is sent when it is due, whatever became of those
before, and every time below counts from then. So in Locust's table one user a process stands for all
clients; without a rate, its users are the clients.

  POST   the whole answer. A stream that tells of an error, or that ends without [DONE] or without a finish
         reason, is a failure, whatever its status was
  TTFT   its first token; only of whole answers, as the next two
  TPOT   its mean time between two tokens
  ITL    each time between two tokens
  LAG    how late requests were sent: by 5 ms, and more machines, or workers, are needed

Lengths of prompts are words here, as no tokenizer is asked: a server counts a few tokens more.
"""

import itertools
import logging
import os
import time
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Group
from locust import FastHttpUser, LoadTestShape, events, task
from locust.event import EventHook
from locust.runners import WORKER_REPORT_INTERVAL, MasterRunner, WorkerRunner
from stoker_answers import Answer
from stoker_requests import ARRIVALS, DURATION, HOST, LIMIT, USERS, WARMUP, body, sessions, turns

PATH = "/v1/chat/completions"
HEADERS = {"Content-Type": "application/json", "Accept": "text/event-stream", "Accept-Encoding": "identity"}
if os.environ.get("ENDPOINT_KEY"):
    HEADERS["Authorization"] = f"Bearer {os.environ['ENDPOINT_KEY']}"
TIMEOUT, GRACE = 600.0, 30.0  # seconds for an answer; for those that run when the last request was due
LEAD = 2.0 + (USERS or 0) / 100  # seconds in which processes learn of the start, and users are spawned
AHEAD = 1.0  # seconds before it is due in which a request is made ready
LATE = 0.005  # seconds of lag that spoil a test
clock = time.monotonic


class Share:
    """This process's part of the load: `worker` of `workers`; start: by its clock, once `ready` is set."""

    worker, workers, start, done = 0, 1, 0.0, 0

    def __init__(self) -> None:
        self.ready = Event()
        self.places = itertools.count()

    def begin(self, environment: Any, worker: int, workers: int) -> None:
        """The test begins in a moment, for every process in the same."""
        self.worker, self.workers, self.start = worker, workers, clock() + LEAD
        count_anew(environment)
        self.places = itertools.count(worker, workers)
        self.ready.set()

    def end(self) -> None:
        """The test is over; the web UI may begin another."""
        self.done = 0
        self.ready.clear()


SHARE = Share()


class Client(FastHttpUser):
    """One of the users of a closed loop; of an open loop, all that one process sends."""

    host = HOST
    insecure = False
    concurrency = 100_000  # connections: as many as there are answers at once
    network_timeout = TIMEOUT

    def on_start(self) -> None:
        """What Locust itself would time of a stream are its headers: every event is fired below."""
        self.client.request_event = EventHook()
        SHARE.ready.wait()

    @task
    def work(self) -> None:
        """Everything that it has to send, and a word to the master at the end, which then stops the test."""
        (self.dispatch if USERS is None else self.loop)()
        runner = self.environment.runner
        if isinstance(runner, WorkerRunner):  # what it has not reported by then, Locust may lose
            gevent.sleep(WORKER_REPORT_INTERVAL + 0.5)
        runner.send_message("user_done")
        gevent.sleep(TIMEOUT * 1000)

    def dispatch(self) -> None:
        """An open loop: a greenlet for each conversation, a moment before it is due."""
        talks = Group()
        try:
            for index, at in sessions(SHARE.worker, SHARE.workers):
                gevent.sleep(max(0.0, SHARE.start + at - AHEAD - clock()))
                talks.spawn(self.talk, index, SHARE.start + at)
            talks.join()
        finally:
            talks.kill(block=False)

    def loop(self) -> None:
        """A closed loop: users take turns, so that who takes which conversation is known before."""
        index = next(SHARE.places)
        due = max(clock(), SHARE.start + ARRIVALS["spawn"] * index / USERS)
        while due - SHARE.start < DURATION and (LIMIT is None or index < LIMIT):
            due = self.talk(index, due) + ARRIVALS["think_time"]
            index += USERS

    def talk(self, index: int, due: float) -> float:
        """A conversation, each answer in the next prompt. Returns when it ended."""
        messages: list[dict[str, Any]] = []
        left = turns(index)
        for number, turn in enumerate(left, 1):
            messages += turn["messages"]
            due += turn["think"]
            if due - SHARE.start >= DURATION:
                break
            sent = body(messages, turn["output"])
            gevent.sleep(max(0.0, due - clock()))
            answer, due, why = self.ask(due, sent)
            if why:
                for _ in left[number:] if due - SHARE.start >= WARMUP else ():  # none of them can be sent
                    fire("POST", PATH, 0.0, 0, "skipped: the turn before it failed")
                break
            if number < len(left):
                messages.append({"role": "assistant", "content": answer.text()})
        return due

    def ask(self, due: float, sent: bytes) -> tuple[Answer, float, str]:
        """One request: its answer, when that ended, and why it failed."""
        answer, lag = Answer(), clock() - due
        limit = gevent.Timeout(min(TIMEOUT, SHARE.start + DURATION + GRACE - clock()))
        limit.start()
        try:
            why = self.read(answer, sent)
        except gevent.Timeout:
            why = "timeout: no whole answer"
        except Exception as error:  # whatever a broken connection makes of the client
            why = f"cut: {type(error).__name__}: {error}"
        finally:
            limit.close()
        ended = clock()
        if due - SHARE.start >= WARMUP:
            report(self.environment.stats, answer, due, ended, lag, why)
        return answer, ended, why

    def read(self, answer: Answer, sent: bytes) -> str:
        """Sends a request and reads its answer to the end. Returns why it is none."""
        got = self.client.post(PATH, data=sent, headers=HEADERS, stream=True)
        if not got.status_code:
            return f"refused: {getattr(got, 'error', '')}"
        if got.status_code != 200:
            return f"status {got.status_code}: {str(got.text)[:300]}"
        while line := got.stream.readline(b"\n"):
            answer.line(clock(), bytes(line))
        return str(answer.failure())


def report(stats: Any, answer: Answer, due: float, ended: float, lag: float, why: str) -> None:
    """What became of a request, as events; times between tokens, and lag, straight into the table: an event
    for each would cost more than the token."""
    fire("POST", PATH, ended - due, answer.size, why)
    stats.get("sent after it was due", "LAG").log(1000 * max(0.0, lag), 0)
    if why or not answer.times:
        return
    fire("TTFT", "first token", answer.times[0] - due)
    count = sum(answer.counts)
    if count > 1:
        fire("TPOT", "time per output token", (answer.times[-1] - answer.times[0]) / (count - 1))
    gaps = stats.get("between two tokens", "ITL")
    for gap in answer.gaps():
        gaps.log(1000 * gap, 0)


def fire(kind: str, name: str, seconds: float, size: int = 0, why: str = "") -> None:
    """An event of Locust's, which takes milliseconds."""
    fault = RuntimeError(why) if why else None
    events.request.fire(
        request_type=kind, name=name, response_time=1000 * seconds, response_length=size, exception=fault
    )


@events.init.add_listener
def listen(environment: Any, **_: Any) -> None:
    """Workers are told their share; the master hears of every user that has sent all."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        runner.register_message("share", lambda environment, msg, **_: SHARE.begin(environment, *msg.data))
    else:
        runner.register_message("user_done", heard)


def heard(**_: Any) -> None:
    """Another user has sent all that was its own."""
    SHARE.done += 1


@events.test_start.add_listener
def begin(environment: Any, **_: Any) -> None:
    """Numbers the workers in the order in which Locust gives them users, and begins."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        names = sorted(one.id for one in runner.clients.ready)
        hosts = [name.split("_")[0] for name in names]
        order = sorted((hosts[:at].count(hosts[at]), name) for at, name in enumerate(names))
        for number, place in enumerate(order):
            runner.send_message("share", [number, len(order)], place[1])
        count_anew(environment)
    elif not isinstance(runner, WorkerRunner):
        SHARE.begin(environment, 0, 1)


def count_anew(environment: Any) -> None:
    """What is sent in the warm-up is in no table, and its time in no rate."""
    gevent.spawn_later(LEAD + WARMUP - 0.2, environment.stats.reset_all)


@events.test_stop.add_listener
def end(**_: Any) -> None:
    """The test is over."""
    SHARE.end()
    Whole.count = Whole.workers = 0


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    """Says so, where the test itself was late."""
    lag = environment.stats.get("sent after it was due", "LAG")
    if USERS is None and lag.num_requests and lag.get_response_time_percentile(0.99) > 1000 * LATE:
        late = lag.get_response_time_percentile(0.99)
        logging.warning(f"99 % of requests left within {late} ms of their time, not at it: more workers")


class Whole(LoadTestShape):
    """As many users as the workload has, or one a process, until each has sent all that is its own."""

    count = workers = 0

    def tick(self) -> tuple[int, float] | None:
        """Users, and how many are spawned a second; None ends the test."""
        runner, limit = self.runner, LEAD + DURATION + GRACE + 10
        Whole.workers = self.workers or runner.worker_count
        Whole.count = self.count or USERS or self.workers
        if runner.worker_count < self.workers:
            logging.error("a worker is gone: what it was sending is missing")
            runner.environment.process_exit_code = 1
            return None
        if SHARE.done >= self.count or self.get_run_time() > limit:
            return None
        return self.count, min(self.count, 100)
