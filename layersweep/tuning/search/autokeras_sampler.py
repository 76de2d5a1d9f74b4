"""AutoKeras' oracles, seen from the driver, which does not import TensorFlow: a process answers, while trials run."""

from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Final

from layersweep.tuning.common.errors import BrokenOffError
from layersweep.tuning.runtime.processes import Started, end, start
from layersweep.tuning.search.samplers import NOT_YET, NotYet
from trainables.config import Dataclass, Value
from trainables.nas import configuration
from trainables.nas.oracles import Drawn, Proposal, Search
from trainables.worker.training_server import Failure

_FAREWELL_SECONDS: Final = 10.0


class OracleProcess:
    """The process that answers for all searches of a command, one after another.

    Attributes:
        ready: whether candidates may be asked for; until then the answer is NOT_YET.
    """

    def __init__(self) -> None:
        self.ready = False
        self._process: Started | None = None
        self._pipe: Connection | None = None
        self._questions: deque[tuple[Search, Sequence[Drawn]]] = deque()
        self._asked: Search | None = None
        self._answers: dict[str, Proposal | None] = {}

    def start(self) -> None:
        """Starts the process, if it does not run: it imports Keras and AutoKeras while the caller goes on."""
        if self._process is not None:
            return
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = start(theirs, module="trainables.nas.oracles")

    def close(self) -> None:
        """Ends the process."""
        if self._process is None or self._pipe is None:
            return
        self._pipe.close()
        end(self._process, within=0 if self._asked else _FAREWELL_SECONDS)
        self._process = self._pipe = None

    def first(self, search: Search) -> Proposal:
        """What AutoKeras' defaults mean in a search's space; waits for the answer.

        Raises:
            BrokenOffError: if the process died.
        """
        assert self._asked is None, "the first question of all"
        self._send(search, None)
        answer = self._receive()
        assert isinstance(answer, Proposal)
        return answer

    def proposal(self, search: Search, drawn: Sequence[Drawn]) -> Proposal | NotYet | None:
        """The candidate behind these, NOT_YET while the oracle thinks about it, None if it has no other.

        What was drawn is what it was when the question was put: an end in between is heard the next time.

        Raises:
            BrokenOffError: if the process died.
        """
        if not self.ready:
            return NOT_YET
        waiting = {asked.name for asked, _ in self._questions} | self._answers.keys()
        if search.name not in waiting and search != self._asked:
            self._questions.append((search, drawn))
        self._go_on()
        return self._answers.pop(search.name, NOT_YET)

    def _go_on(self) -> None:
        """Takes the answer, if it is there, and puts the next question: to a process that thinks, it could block."""
        if self._asked is not None and self._pipe is not None and self._pipe.poll():
            self._answers[self._asked.name] = self._receive()
            self._asked = None
        if self._asked is None and self._questions:
            self._asked, drawn = self._questions.popleft()
            self._send(self._asked, drawn)

    def _send(self, search: Search, drawn: Sequence[Drawn] | None) -> None:
        self.start()
        assert self._pipe is not None
        try:
            self._pipe.send((search, drawn))
        except OSError:
            raise self._death() from None

    def _receive(self) -> Proposal | None:
        assert self._pipe is not None
        try:
            word = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise self._death() from None
        if isinstance(word, Failure):
            raise BrokenOffError(f"AutoKeras' oracle raised {word.error_type}: {word.message}")
        answer: Proposal | None = word
        return answer

    def _death(self) -> BrokenOffError:
        assert self._process is not None
        code = self._process.wait()
        return BrokenOffError(f"the process of AutoKeras' oracles ended with code {code}; the same command goes on")


class OracleSampler:
    """A `layersweep.tuning.search.samplers.Drawer` of networks: what an oracle proposes, as configurations.

    Args:
        oracles: the process that is asked.
        search: what is searched, and how.
        recorded: the configurations drawn by earlier commands, in their order.
    """

    def __init__(self, oracles: OracleProcess, search: Search, recorded: Sequence[Dataclass] = ()) -> None:
        self._oracles, self._search = oracles, search
        self._drawn: dict[Dataclass, float | None] = dict.fromkeys(recorded)

    def draw(self) -> Dataclass | NotYet | None:
        """The next configuration, NOT_YET while the oracle thinks; None if it has no other."""
        drawn = [Drawn(values=_values(config), metric=metric) for config, metric in self._drawn.items()]
        answer = self._oracles.proposal(self._search, drawn)
        if answer is None or isinstance(answer, NotYet):
            return answer
        config = configuration.configured(self._search.config, answer.values)
        self._drawn[config] = None
        return config

    def tell(self, config: Dataclass, value: float | None) -> None:
        """Says how a drawn one ended.

        Raises:
            KeyError: if it was never drawn.
        """
        if config not in self._drawn:
            raise KeyError(config)
        self._drawn[config] = float("nan") if value is None else value


def _values(config: Dataclass) -> Mapping[str, Value]:
    assert isinstance(config, configuration.Config)
    return config.every_value
