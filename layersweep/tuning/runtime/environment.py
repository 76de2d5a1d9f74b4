"""The environment variables that configure Ray, which reads them when it is imported."""

import os
from typing import Final

_ENVIRONMENT: Final = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a relative path means the same in every process
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else Ray copies the working directory with all results to its workers
    "RAY_AUTH_MODE": "token",  # Ray listens on every address: it must refuse whoever has no token
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",  # else Ray starts spare workers, which Tune's actors do not use
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # else Tune restarts a preempted trial without a record
    "RAY_memory_monitor_refresh_ms": "0",  # slots watch their training; Ray would kill slots, and Tune give up
    "RAY_ROTATION_MAX_BYTES": "16777216",  # else each of Ray's logs may take 3 GB, and a worker's has no bound
    "RAY_ROTATION_BACKUP_COUNT": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed step has no metric
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000000",  # else Tune starts its actors one after another
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the records are the only state
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def set_defaults() -> None:
    """Sets the variables that are not set yet; call it before Ray is imported, which a replay or a search may do."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
