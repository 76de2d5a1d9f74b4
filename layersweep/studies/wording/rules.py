"""What is compared, and what is left out: the rules of a comparison, for a reader who checks it."""

from layersweep.formatting import count
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.wording.answer_sentences import metric_name


def rules(comparison: Comparison) -> str:
    """The rules of a comparison."""
    epoch = comparison.common_epoch
    common = (
        f" The column at epoch {epoch} compares all arms at the last epoch that all of them reached." if epoch else ""
    )
    if epoch and comparison.common_basis:
        common += f" It shows only the {comparison.common_basis}, because stopped arms were not trained on others."
    return (
        f"Arms are compared by {metric_name(comparison)} after {count(comparison.epoch, 'epoch')}.{common} A trial "
        "that the scheduler stopped was screened out; its final value is unknown. Failed, diverged and hopeless trials "
        "(at chance, ended early) are counted, but left out of the means. If a trial was run again, its latest attempt "
        "counts; if it was continued, its last end and the seconds of all ends count. The test set has no influence on "
        "the verdicts: it was read only for the leading arm and those that are not shown to be worse."
    )
