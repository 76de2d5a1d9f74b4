"""A sampler that asks AutoKeras' oracles.

They run in a process of their own, since they need Keras and may think for seconds: the driver asks, goes on, and takes
the answer when it is there.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Final

from layersweep.tuning.common.errors import BrokenOffError
from layersweep.tuning.runtime.processes import StartedProcess, end, start
from layersweep.tuning.search.samplers import NOT_YET, NotYet
from trainables.config import Dataclass, Value
from trainables.nas import configuration
from trainables.nas.oracles import Candidate, Proposal
from trainables.nas.oracles import Search as OracleSearch
from trainables.worker.training_server import Failure

_CLOSE_SECONDS: Final = 10.0


class OracleProcess:
    """The process that answers for all searches of a command, one after another.

    Attributes:
        ready: whether the searches' spaces are checked, so that candidates may be drawn; before, it returns NOT_YET.
    """

    def __init__(self) -> None:
        self.ready = False
        self._process: StartedProcess | None = None
        self._pipe: Connection | None = None
        self._requests: deque[tuple[OracleSearch, Sequence[Candidate]]] = deque()
        self._current_search: OracleSearch | None = None
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
        end(self._process, within=0 if self._current_search else _CLOSE_SECONDS)
        self._process = self._pipe = None

    def first(self, search: OracleSearch) -> Proposal:
        """The network that AutoKeras' defaults mean in a search's space; waits for the answer.

        Raises:
            BrokenOffError: if the process died.
        """
        assert self._current_search is None, "ask before any search has begun"
        self._send(search, None)
        answer = self._receive()
        assert isinstance(answer, Proposal)
        return answer

    def proposal(self, search: OracleSearch, candidates: Sequence[Candidate]) -> Proposal | NotYet | None:
        """The candidate that follows these, NOT_YET while the oracle computes it, None if it has no other.

        The oracle knows the candidates as they were when it was asked: it learns of later ends at the next request.

        Raises:
            BrokenOffError: if the process died.
        """
        if not self.ready:
            return NOT_YET
        busy_names = {queued.name for queued, _ in self._requests} | self._answers.keys()
        if search.name not in busy_names and search != self._current_search:
            self._requests.append((search, candidates))
        self._go_on()
        return self._answers.pop(search.name, NOT_YET)

    def _go_on(self) -> None:
        """Takes the answer if it is there, and only then sends a request: a busy process could block the pipe."""
        if self._current_search is not None and self._pipe is not None and self._pipe.poll():
            self._answers[self._current_search.name] = self._receive()
            self._current_search = None
        if self._current_search is None and self._requests:
            self._current_search, candidates = self._requests.popleft()
            self._send(self._current_search, candidates)

    def _send(self, search: OracleSearch, candidates: Sequence[Candidate] | None) -> None:
        self.start()
        assert self._pipe is not None
        try:
            self._pipe.send((search, candidates))
        except OSError:
            raise self._death() from None

    def _receive(self) -> Proposal | None:
        assert self._pipe is not None
        try:
            answer: Proposal | Failure | None = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise self._death() from None
        if isinstance(answer, Failure):
            raise BrokenOffError(f"AutoKeras' oracle raised {answer.error_type}: {answer.message}")
        return answer

    def _death(self) -> BrokenOffError:
        assert self._process is not None
        code = self._process.wait()
        return BrokenOffError(
            f"the process of AutoKeras' oracles ended with code {code}. To continue, run the same command"
        )


class OracleSampler:
    """A `layersweep.tuning.search.samplers.Sampler` of networks: it turns an oracle's proposals into configurations.

    Args:
        process: the process that answers.
        search: what is searched, and how.
        earlier_configs: the configurations drawn by earlier commands, in their order.
    """

    def __init__(self, process: OracleProcess, search: OracleSearch, earlier_configs: Sequence[Dataclass] = ()) -> None:
        self._process, self._search = process, search
        self._metrics: dict[Dataclass, float | None] = dict.fromkeys(earlier_configs)

    def draw(self) -> Dataclass | NotYet | None:
        """The next configuration, NOT_YET while the oracle thinks; None if it has no other."""
        candidates = [Candidate(values=_values(config), metric=metric) for config, metric in self._metrics.items()]
        answer = self._process.proposal(self._search, candidates)
        if answer is None or isinstance(answer, NotYet):
            return answer
        config = configuration.config_of(self._search.config, answer.values)
        self._metrics[config] = None
        return config

    def tell(self, config: Dataclass, value: float | None) -> None:
        """Notes how a configuration ended.

        Raises:
            KeyError: if the configuration was never drawn.
        """
        if config not in self._metrics:
            raise KeyError(config)
        self._metrics[config] = float("nan") if value is None else value


def _values(config: Dataclass) -> Mapping[str, Value]:
    assert isinstance(config, configuration.Config)
    return config.every_value
