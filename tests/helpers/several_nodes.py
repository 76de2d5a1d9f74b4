"""Several nodes of Ray on this machine, in a process of their own: `with Nodes(folder, 3) as nodes: …`.

As a script it starts them and prints the address; then each line on stdin is a command: `add`, or `kill N`.
"""

import os
import subprocess
import sys
from pathlib import Path


class Nodes:
    """Starts a head and others, each of so many slots; a command joins them with the environment `joining`."""

    def __init__(self, folder: Path, number: int, *, slots: int = 1) -> None:
        token = folder / "token"
        token.write_text("0123456789abcdef" * 4)
        token.chmod(0o600)
        self._environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        environment = os.environ | self._environment
        environment.pop("RAY_ADDRESS", None)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(number), str(slots)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.address = self._answer()

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        while line and line.split()[:1] != ["done"]:
            line = self._process.stdout.readline()
        assert line, "the nodes did not start"
        return line.removeprefix("done").strip()

    @property
    def joining(self) -> dict[str, str]:
        return self._environment | {"RAY_ADDRESS": self.address}

    def do(self, command: str) -> str:
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)


def serve(number: int, slots: int) -> None:
    from ray.cluster_utils import Cluster

    more = {"num_cpus": slots, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=more | {"include_dashboard": False})
    others = [cluster.add_node(**more) for _ in range(number - 1)]
    cluster.wait_for_nodes()
    print("done", cluster.address, flush=True)
    for line in sys.stdin:
        match line.split():
            case ["add"]:
                others.append(cluster.add_node(**more))
            case ["kill", which]:
                cluster.remove_node(others[int(which)], allow_graceful=False)
        print("done", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
