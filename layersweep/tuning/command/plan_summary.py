"""The text about a plan that a sweep prints before it runs, and that `--dry-run` prints in full."""

from typing import TYPE_CHECKING

from layersweep.formatting import count, duration, exact_duration, first_names
from layersweep.records.questions import SCREENING, TUNING
from trainables.meaning import MEANING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersweep.terminal import Console
    from layersweep.tuning.driver.planner import SweepPlan
    from layersweep.tuning.driver.time_estimate import TrialToRun
    from layersweep.tuning.experiment.trials import Trial


def print_plan(console: "Console", plan: "SweepPlan") -> None:
    """Prints what is to run, what is recorded already, and for a dry run about how long it takes on this machine."""
    from layersweep.tuning.driver.planner import trial_counts

    request, settings, data = plan.request, plan.request.settings, plan.data
    recorded_trials = sum(trial.trial_id in plan.endings for trial in plan.trials)
    counts = trial_counts(plan.trials, has_followers=plan.has_followers)
    names = ", ".join(sorted({t.arm.name for t in plan.trials} | {arm.name for arm in request.tuned_arms}))
    console.print(request.sweep.name, style="bold", end="")
    console.print(f": {names}")
    console.print(
        f"{count(len(plan.trials), 'trial')} ({counts}), up to {count(settings.epochs, 'epoch')} each; "
        f"{recorded_trials} recorded already\n"
        f"{data.name}: {data.train_images:,} images to train, {data.validation_images:,} to validate, "
        f"{data.test_images:,} to test"
    )
    if request.tuned_arms:
        _print_searches(console, plan)
    _print_notes(console, plan)
    if settings.dry_run:
        _print_trials(console, plan)


def without_metric(trials: "Sequence[Trial]", metric: str) -> str:
    """One line about recorded trials that lack the metric that decides, and what to do."""
    labels = first_names([f"{trial.label} ({trial.trial_id})" for trial in trials])
    return (
        f"{count(len(trials), 'recorded trial')} of an older version without {metric}: {labels}; nothing that {metric} "
        "decides counts them. Another --results trains them again"
    )


def _print_searches(console: "Console", plan: "SweepPlan") -> None:
    """Prints the number of searches and their limits."""
    settings = plan.request.settings
    limits = [] if settings.search_time is None else [exact_duration(settings.search_time)]
    if settings.candidates is not None:
        limits.append(count(settings.candidates * settings.epochs, "epoch"))
    console.print(
        f"tuning: {count(len(plan.searches), 'arm')} by {settings.search} search, at most {' and '.join(limits)} each; "
        "then the best candidate of each on fresh seeds"
    )
    if settings.dry_run:
        for search in plan.searches:
            if space := search.tuned_arm.space_text:
                console.print(f"  {search.tuned_arm.name}: {space}")
    times = [f"{s.tuned_arm.name} {duration(s.seconds_before)}" for s in plan.searches if s.seconds_before]
    if times:
        console.print(f"time that the searches have taken so far: {', '.join(times)}")


def _print_notes(console: "Console", plan: "SweepPlan") -> None:
    """Prints what a person should know before the sweep starts."""
    if (earlier := plan.earlier_meaning) is not None:
        console.print(
            f"the meaning of the training code has changed since this sweep was last run (from {earlier} to "
            f"{MEANING}): these are new trials, and the earlier ones are kept apart",
            style="yellow",
        )
    if uncached := sorted({arm.name for arm in plan.arms_to_train if getattr(arm.config, "uncached", False)}):
        console.print(
            "random augmentation makes new images in each epoch, so each passes through the frozen base again: "
            f"{', '.join(uncached)}; --set augmented_views=4 keeps four views of each image instead",
        )
    halved = plan.request.tuned_arms or {trial.question for trial in plan.trials} & {SCREENING, TUNING}
    if not (plan.asha_settings.questions and halved):
        return
    grace, epochs = plan.asha_settings.grace, plan.request.settings.epochs
    console.print(f"ASHA: grace period {count(grace, 'epoch')}, reduction {plan.asha_settings.reduction:g}")
    if grace >= epochs:
        console.print(
            "ASHA cannot stop any trial: its grace period is as long as a trial. Give more --epochs or --images, or a "
            "shorter --grace (after few steps, batch normalisation makes the ranking by accuracy noise)"
        )


def _print_trials(console: "Console", plan: "SweepPlan") -> None:
    """Prints about how long the plan takes, and each trial of it."""
    from layersweep.tuning.runtime.machine import default_slots

    slots = plan.request.settings.slots or default_slots()
    if time := plan.estimate.text(slots):
        console.print(f"time on {count(slots, 'slot')} of this machine: {time}")
    for end in plan.due_ends:
        if end.due_row is not None:
            line = f"  {end.trial.trial_id}  {end.trial.question}  {end.trial.label}: stopped now, since "
            console.print(f"{line}{end.due_row['reason']}")
    for each in plan.to_run:
        last_epoch = plan.history.attempt(each.trial.trial_id).last
        console.print(f"  {_trial_line(each, recorded_epochs=last_epoch)}")
    if any(plan.estimate.search_seconds):
        console.print("  and the candidates that the searches draw in their time")
    if plan.epochs_to_come:
        console.print(f"  and trials that follow when these end: up to {count(plan.epochs_to_come, 'epoch')}")


def _trial_line(to_run: "TrialToRun", *, recorded_epochs: int) -> str:
    """One line about a trial that is to run: what it is, and from where it continues."""
    trial, start = to_run.trial, to_run.start_epoch
    repeated = min(recorded_epochs, trial.epochs) - start
    again = f" ({count(repeated, 'recorded epoch')} again)" if recorded_epochs > start else ""
    source = f"from its checkpoint after epoch {start}" if start else "from epoch 1"
    return f"{trial.trial_id}  {trial.question}  {trial.label}: {count(to_run.epochs, 'epoch')} {source}{again}"
