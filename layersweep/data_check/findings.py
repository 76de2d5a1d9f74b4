"""What the data check says: one sentence for each thing that spoils results, wastes pictures, or is as it should be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from layersweep.data_check.collection import TEST, TRAIN, VALIDATION, Collection
from layersweep.data_check.copies import MIRRORED, NEAR, Copies, Copy
from layersweep.formatting import count
from trainables.data.pictures.picture_list import PARTS

SPOILS: Final = "spoils results"
MATTERS: Final = "worth a look"
FINE: Final = "as it should be"

_EXAMPLES: Final = 3
_LITTLE: Final = 0.005
"""A share of pictures that are nearly the same as others; below it, no comparison changes."""
_UNEQUAL: Final = 3
"""The ratio of the largest class to the smallest one from which accuracy alone misleads."""
_SHAPES: Final = 1.1
"""The ratio of two proportions from which a stretched picture looks stretched."""
_FEW_SHAPES: Final = 0.02

WORDS: Final = ("training", "validation", "test")
"""What the parts are called in a sentence."""

_Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that the check has to say.

    Attributes:
        level: one of SPOILS, MATTERS and FINE.
        text: a sentence or two.
        examples: the first files, one line each.
    """

    level: str
    text: str
    examples: tuple[str, ...] = ()


def findings(pictures: Collection, copies: Copies, fit: str = "stretch") -> list[Finding]:
    """Everything that the check has to say, the worst first.

    Args:
        pictures: the data set.
        copies: those among its pictures.
        fit: how pictures of other proportions are brought to one size.
    """
    texts = [
        *_unusable(pictures),
        *_leaks(pictures, copies),
        *_two_labels(pictures, copies),
        *_copies_within(pictures, copies),
        *_damaged(pictures),
        *_balance(pictures),
        *_looks(pictures, fit),
    ]
    return sorted(texts, key=lambda finding: (SPOILS, MATTERS, FINE).index(finding.level))


def pair_text(pictures: Collection, pair: Copy) -> str:
    """Both names of a pair, and what they have in common."""
    return f"{_place(pictures, pair.first)}  =  {_place(pictures, pair.second)}  ({pair.kind})"


def in_order(pictures: Collection, copies: Copies) -> list[Copy]:
    """All pairs, those first that matter most: across test and training, across other parts, of two labels."""

    def weight(pair: Copy) -> tuple[int, int, int, int]:
        parts = {int(pictures.parts[pair.first]), int(pictures.parts[pair.second])}
        crossing = 2 * (len(parts) > 1) + (TEST in parts and len(parts) > 1)
        return -crossing, int(not _differ(pictures.labels, pair)), pair.first, pair.second

    return sorted(copies.pairs, key=weight)


def _place(pictures: Collection, index: int) -> str:
    name, label = pictures.names[index], pictures.classes[pictures.labels[index]]
    part = PARTS[pictures.parts[index]]
    words = [word for word in (part if part not in name else "", label if label not in name else "") if word]
    return f"{name} [{', '.join(words)}]" if words else name


def _differ(values: _Indices, pair: Copy) -> bool:
    return bool(values[pair.first] != values[pair.second])


def _examples(pictures: Collection, pairs: Sequence[Copy]) -> tuple[str, ...]:
    return tuple(pair_text(pictures, pair) for pair in pairs[:_EXAMPLES])


def _unusable(pictures: Collection) -> Iterator[Finding]:
    if pictures.problem:
        yield Finding(level=SPOILS, text=f"A sweep refuses this data: {pictures.problem}.")


def _leaks(pictures: Collection, copies: Copies) -> Iterator[Finding]:
    """Pictures of one part that another part has, too."""
    crossing = [pair for pair in in_order(pictures, copies) if _differ(pictures.parts, pair)]
    for part, others in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
        members = np.flatnonzero(pictures.parts == part)
        elsewhere = copies.groups[np.isin(pictures.parts, others)]
        leaked = members[np.isin(copies.groups[members], elsewhere)]
        if not len(leaked):
            continue
        pairs = [
            pair for pair in crossing if _parts(pictures, pair) <= {part, *others} and part in _parts(pictures, pair)
        ]
        yield _leak(pictures, part, leaked, pairs)
    if not crossing and len(set(pictures.parts.tolist())) > 1:
        yield Finding(level=FINE, text="No picture is in two parts.")


def _leak(pictures: Collection, part: int, leaked: _Indices, pairs: Sequence[Copy]) -> Finding:
    """The pictures of a part that others have, too."""
    total, word = np.count_nonzero(pictures.parts == part), WORDS[part]
    others = sorted({other for pair in pairs for other in _parts(pictures, pair)} - {part})
    where = " or the ".join(WORDS[other] for other in others)
    text = (
        f"{len(leaked):,} of {total:,} {word} pictures {_verb(len(leaked))} also in the {where} part. A model has seen "
        f"{'it' if len(leaked) == 1 else 'them'}: {word} accuracy may be too high by up to {len(leaked) / total:.2%}."
    )
    if part == TEST and pictures.draws_test:
        text += " The test part is drawn from the pictures, so leave only one copy of each."
    else:
        text += " Leave each picture in one part only."
    little = len(leaked) < _LITTLE * total and all(pair.kind in (NEAR, MIRRORED) for pair in pairs)
    return Finding(level=MATTERS if little else SPOILS, text=text, examples=_examples(pictures, pairs))


def _parts(pictures: Collection, pair: Copy) -> set[int]:
    return {int(pictures.parts[pair.first]), int(pictures.parts[pair.second])}


def _verb(number: int) -> str:
    return "is" if number == 1 else "are"


def _two_labels(pictures: Collection, copies: Copies) -> Iterator[Finding]:
    pairs = [pair for pair in in_order(pictures, copies) if _differ(pictures.labels, pair)]
    if not pairs:
        return
    least = np.full(len(copies.groups), len(pictures.classes))
    most = np.full(len(copies.groups), -1)
    np.minimum.at(least, copies.groups, pictures.labels)
    np.maximum.at(most, copies.groups, pictures.labels)
    number = int(np.count_nonzero(least < most))
    subject = "One picture is" if number == 1 else f"{number:,} pictures are"
    text = f"{subject} in two classes. At most one of the labels is right: move or delete the other copy."
    yield Finding(level=SPOILS, text=text, examples=_examples(pictures, pairs))


def _copies_within(pictures: Collection, copies: Copies) -> Iterator[Finding]:
    """Copies in one part, of one label."""
    pairs = [p for p in copies.pairs if not _differ(pictures.parts, p) and not _differ(pictures.labels, p)]
    keys = np.stack([copies.groups, pictures.parts, pictures.labels])
    surplus = keys.shape[1] - np.unique(keys, axis=1).shape[1]
    if surplus:
        text = f"{count(surplus, 'picture')} {_verb(surplus)} a further copy of one in the same part and class."
        in_training = any(pictures.parts[pair.first] == TRAIN for pair in pairs)
        spoils = in_training and not (pictures.parts == VALIDATION).any()
        if spoils:
            text += (
                " Each seed draws its validation pictures from the training part, so copies come to lie on both sides."
            )
        yield Finding(level=MATTERS, text=text, examples=_examples(pictures, pairs))
    elif not copies.pairs:
        yield Finding(level=FINE, text="No picture is there twice.")


def _damaged(pictures: Collection) -> Iterator[Finding]:
    for files, noun, verb in (
        (pictures.damages, "picture", "cannot be read, and {} left out"),
        (pictures.strangers, "file", "{} no picture, and not used"),
    ):
        if files:
            what = verb.format(_verb(len(files)))
            if noun == "file" and len(files) > 1:
                what = "are no pictures, and not used"
            examples = tuple(f"{name}: {reason}" for name, reason in files[:_EXAMPLES])
            yield Finding(level=MATTERS, text=f"{count(len(files), noun)} {what}.", examples=examples)
    if not pictures.damages:
        yield Finding(level=FINE, text="Every picture can be read.")


def _balance(pictures: Collection) -> Iterator[Finding]:
    train = pictures.counts[:, TRAIN]
    largest, smallest = int(train.argmax()), int(train.argmin())
    share = train[largest] / max(1, train.sum())
    if train[smallest] and train[largest] < _UNEQUAL * train[smallest]:
        yield Finding(level=FINE, text=f"The classes are of similar size: {train[smallest]:,} to {train[largest]:,}.")
        return
    text = (
        f"{pictures.classes[largest]} has {share:.0%} of the training pictures, {pictures.classes[smallest]} "
        f"{train[smallest] / max(1, train.sum()):.1%}: a model that always says {pictures.classes[largest]} is right "
        f"in {share:.0%}. Compare by --metric val_balanced_accuracy; class_weight=balanced or oversample=true may help."
    )
    yield Finding(level=MATTERS, text=text)


def _looks(pictures: Collection, fit: str) -> Iterator[Finding]:
    flat = np.flatnonzero(pictures.thumbnails.flat)
    if len(flat):
        examples = tuple(pictures.names[index] for index in flat[:_EXAMPLES])
        text = f"{count(len(flat), 'picture')} {_verb(len(flat))} of one colour, or nearly so."
        yield Finding(level=MATTERS, text=text, examples=examples)
    sizes = pictures.thumbnails.sizes
    proportions = sizes[:, 0] / np.maximum(1, sizes[:, 1]) / (pictures.native[0] / pictures.native[1])
    odd = np.count_nonzero(np.maximum(proportions, 1 / np.maximum(proportions, 1e-9)) > _SHAPES)
    if fit == "stretch" and odd > _FEW_SHAPES * len(sizes):
        text = (
            f"{odd / len(sizes):.0%} of the pictures have other proportions than most, and are stretched to "
            "them; --fit crop or --fit pad keeps proportions."
        )
        yield Finding(level=MATTERS, text=text)
