"""The server's side of a model's process: what it is asked, and what happens if it ends."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from time import monotonic
from typing import Any, get_args

from errors import ModelRefused, ModelWorkerEnded, Reason
from schemas import Confinement
from settings import Settings
from worker.exchange import Array, ExchangeError, Message
from worker.failures import LONGEST_TEXT, read_failure
from worker.nursery import Nursery, WorkerProcess
from worker.rows import write_question

log = logging.getLogger(__name__)

COMPILE_SECONDS = 10  # rarely more than one
DEATHS = 3  # within so many seconds show that it is the model's fault
DEATHS_SECONDS = 60.0
ROUNDED = 1e-6  # by which a probability may be beyond 0 and 1
WALLS = {"calls", "files"}  # one of them keeps a model from changing a file or being heard outside
APART_ROWS = 1000  # a larger array has a process of its own, so that single rows need not wait

UNCONFINED = (
    "It is not signed, and this system cannot confine the process that opens it. Sign it, or "
    "set MODEL_TRUST=auto if you trust all who can write to the models folder."
)


class ModelWorker:
    """One version's process, which is replaced when it ends; any thread may ask it."""

    def __init__(self, nursery: Nursery, read: Callable[[], Message], settings: Settings) -> None:
        """`read` makes the message that opens the model, but for whether it is tried out."""
        self._nursery = nursery
        self._read = read
        self._settings = settings
        self._lock = Lock()
        self._process: WorkerProcess | None = None
        self._is_tried = False
        self._sparing = Lock()
        self._spare: WorkerProcess | None = None
        self._deaths: deque[float] = deque(maxlen=DEATHS)
        self.classes = 0
        self.has_probabilities = True
        self.held: list[Confinement] = []
        self.needs_walls = False  # anybody's file is opened only where its process is confined

    @property
    def is_unfit(self) -> bool:
        """Whether it has died too often to be replaced once more."""
        return len(self._deaths) == DEATHS and monotonic() - self._deaths[0] < DEATHS_SECONDS

    def open(self) -> dict[str, Any]:
        """Start the process, and return what it tells of the model; raises ModelRefused."""
        with self._lock:
            self._process, told = self._start()
        return told

    def answer(self, X: Array) -> tuple[Array, Array | None]:
        """Class indices, shape (n,), and probabilities, shape (n, k), or None.

        Raises ModelWorkerEnded, or what the estimator is said to have raised.
        """
        question = write_question(X)
        if len(X) > APART_ROWS:
            try:
                answer = self.ask_apart(question, self._settings.batch_seconds)
                return self._read_answer(answer, len(X))
            except ExchangeError as error:
                raise _ended(error) from None
        with self._lock:
            try:
                if self._process is None:
                    self._process, _ = self._start()
                answer = self._process.ask(question, self._settings.predict_seconds)
                return self._read_answer(answer, len(X))
            except (ExchangeError, ModelRefused, TimeoutError) as error:
                self._note_end(error, len(X))
                raise _ended(error) from None

    async def answer_soon(self, X: Array) -> tuple[Array, Array | None]:
        """As `answer`, for a few rows on an event loop, which serves others meanwhile."""
        question = write_question(X)
        if not self._lock.acquire(blocking=False):  # another thread is asking
            return await asyncio.to_thread(self.answer, X)
        if self._process is None:  # and has to be started, which takes a while
            self._lock.release()
            return await asyncio.to_thread(self.answer, X)
        try:
            seconds = self._settings.predict_seconds
            await self._process.tell_soon(question, seconds)
            return self._read_answer(await self._process.receive_soon(seconds), len(X))
        except (ExchangeError, TimeoutError) as error:
            await asyncio.to_thread(self._note_end, error, len(X))
            raise _ended(error) from None
        except asyncio.CancelledError:  # its answer would be taken for that to the next
            self._process = None
            raise
        finally:
            self._lock.release()

    def compile(self) -> Message:
        """A compiled form, or why there is none; raises ModelWorkerEnded."""
        return self.ask_apart(Message({"ask": "compile"}), COMPILE_SECONDS)

    def ask_apart(self, message: Message, seconds: float) -> Message:
        """The answer of a process that is started for this alone."""
        process = self.start_another()
        try:
            return process.ask(message, seconds)
        except (ExchangeError, TimeoutError) as error:
            raise _ended(error) from None
        finally:
            process.end()

    def take_spare(self, *, is_kept: bool) -> WorkerProcess:
        """Another process with the same model, for one table; raises ModelWorkerEnded.

        Only a table that leaves its process to the next one takes one that was left so.
        """
        with self._sparing:
            spare, self._spare = self._spare, None
        is_fit = spare and spare.waits and (is_kept or not spare.has_read)
        return spare if spare and is_fit else self.start_another()

    @contextmanager
    def lend(
        self, process: WorkerProcess, head: dict[str, Any], *, is_kept: bool
    ) -> Iterator[None]:
        """Have the next process stand by once the table is answered.

        It is the same if it is kept, else one that has rehearsed a table with such a head.
        """
        try:
            yield
        except BaseException:
            process.end()
            raise
        if is_kept:
            process.has_read = True
            self._spare = process
            return
        process.end()
        # Not while the table is answered: a fork would take its time from it.
        Thread(target=self._refill, args=[head], daemon=True).start()

    def _refill(self, head: dict[str, Any]) -> None:
        with self._sparing, suppress(ExchangeError, ModelWorkerEnded, TimeoutError):
            if self._spare is None:
                spare = self.start_another()
                rehearsal = Message(head | {"ask": "rehearse"})
                spare.tell(rehearsal, self._settings.predict_seconds)
                self._spare = spare

    def start_another(self) -> WorkerProcess:
        """A process that only its caller asks; raises ModelWorkerEnded."""
        try:
            return self._start()[0]
        except ModelRefused as refusal:
            raise ModelWorkerEnded(str(refusal)) from None

    def _note_end(self, error: Exception, rows: int) -> None:
        """Count it among the deaths, unless too many rows at once were to blame."""
        if self._process is not None:
            self._process.end()
            self._process = None
        if rows == 1 or not isinstance(error, TimeoutError):
            self._deaths.append(monotonic())
        log.error("model worker ended error=%r", error)

    def _start(self) -> tuple[WorkerProcess, dict[str, Any]]:
        opening = self._read()
        opening.head["is_tried"] = self._is_tried
        seconds = self._settings.model_load_seconds
        try:
            memory = self._settings.worker_memory_bytes + 8 * opening.arrays["pickle"].size
            process = self._nursery.fork(memory)
        except ExchangeError as error:
            raise ModelRefused("crash", str(error)) from None
        try:
            said = process.receive(seconds).head["held"]
            self.held = [limit for limit in get_args(Confinement) if limit in said]
            if self.needs_walls and not WALLS.intersection(self.held):
                raise ModelRefused("isolation", UNCONFINED)
            told = process.ask(opening, seconds).head
            if "reason" in told:
                raise _read_refusal(told)
            self.has_probabilities, self._is_tried = bool(told["has_probabilities"]), True
        except TimeoutError:
            process.end()
            message = f"It did not load and answer within {seconds:g} seconds."
            raise ModelRefused("hang", message) from None
        except (ExchangeError, LookupError, TypeError):
            process.end()
            message = "It crashed, or ran out of memory, when tried out."
            raise ModelRefused("crash", message) from None
        return process, told

    def _read_answer(self, message: Message, rows: int) -> tuple[Array, Array | None]:
        """Raises ExchangeError unless it is an answer to so many rows, or why there is none."""
        head, arrays = message
        if "failure" in head:
            raise read_failure(head["failure"])
        indices, probabilities = arrays.get("indices"), arrays.get("probabilities")
        if indices is None or not _fits(indices, (rows,), "<i8", (-1, self.classes - 1)):
            raise ExchangeError("It answers no classes.")
        if not self.has_probabilities:
            return indices, None
        if probabilities is None or probabilities.shape != (rows, self.classes):
            raise ExchangeError("It answers no probabilities.")
        answered = probabilities[indices >= 0]
        if not _fits(answered, answered.shape, "<f8", (-ROUNDED, 1 + ROUNDED)):
            raise ExchangeError("It answers with what are not probabilities.")
        return indices, probabilities


def _fits(array: Array, shape: tuple[int, ...], dtype: str, ends: tuple[float, float]) -> bool:
    if array.shape != shape or array.dtype.str != dtype:
        return False
    return bool(((array >= ends[0]) & (array <= ends[1])).all())  # which nan is not


def _read_refusal(told: dict[str, Any]) -> ModelRefused:
    """Quote a process that may say anything, as far as that is safe."""
    reasons = [reason for reason in get_args(Reason) if reason == told["reason"]]
    return ModelRefused(reasons[0], str(told["message"])[:LONGEST_TEXT])


def _ended(error: Exception) -> ModelWorkerEnded:
    if isinstance(error, ModelRefused):
        return ModelWorkerEnded(str(error))
    if isinstance(error, TimeoutError):
        return ModelWorkerEnded("The model took too long. Its process is started again.")
    return ModelWorkerEnded("The model's process has ended. It is started again; ask once more.")
