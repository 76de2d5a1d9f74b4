"""Jobs as files in ~/jobs: `<id>.json`, `<id>.log`, and `<id>.code` when it has ended."""

import json
import os
import shlex
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

JOBS = Path.home() / "jobs"


class JobSubmissionClient:
    def __init__(self, address):
        if (Path.home() / "ray is down").exists():
            raise ConnectionError(f"Failed to connect to Ray at address: {address}.")
        assert address == "http://127.0.0.1:8265"
        assert not {"RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"} & set(os.environ)
        assert os.environ["RAY_AUTH_MODE"] == "token"
        JOBS.mkdir(exist_ok=True)

    def list_jobs(self):
        if (Path.home() / "ray is down").exists():
            raise ConnectionError("Connection refused")
        return [_job(path) for path in sorted(JOBS.glob("*.json"))]

    def submit_job(self, *, entrypoint, submission_id, metadata):
        path = JOBS / f"{submission_id}.json"
        assert not path.exists(), f"{submission_id} has already been used"
        told = {"entrypoint": entrypoint, "metadata": metadata, "start_time": int(time.time() * 1000)}
        path.write_text(json.dumps(told))
        log, code = (shlex.quote(str(path.with_suffix(end))) for end in (".log", ".code"))
        supervisor = f"( {entrypoint} ) > {log} 2>&1; echo $? > {code}.new; mv {code}.new {code}"
        subprocess.Popen(
            ["sh", "-c", supervisor], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return submission_id

    def get_job_logs(self, job_id):
        return (JOBS / f"{job_id}.log").read_text()


def _job(path):
    ended = path.with_suffix(".code")
    code = int(ended.read_text()) if ended.exists() else None
    stopped = path.with_suffix(".stopped").exists()
    status = "RUNNING" if code is None else "STOPPED" if stopped else "FAILED" if code else "SUCCEEDED"
    return SimpleNamespace(
        submission_id=path.stem, status=status, driver_exit_code=None if stopped else code, message=None,
        **json.loads(path.read_text()),
    )  # fmt: skip
