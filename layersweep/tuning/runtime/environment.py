"""How Ray is to behave: it reads these variables when it is imported, which a replay or a search may do first."""

import os
from typing import Final

_ENVIRONMENT: Final = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a relative path means the same in every process
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else Ray copies the working directory, results and all, to its workers
    "RAY_AUTH_MODE": "token",  # Ray listens on every address: nobody without the user's token gets in
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",  # Ray's spare workers, which Tune's actors do not take
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # else Tune starts a preempted trial anew, unknown to the records
    "RAY_memory_monitor_refresh_ms": "0",  # each slot watches its training; Ray would kill the slot, and Tune give up
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed step has no metric
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000000",  # else Tune starts its actors one after another
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the records are the only state
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def settle() -> None:
    """Sets what is not set yet; to be called before Ray is imported."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
