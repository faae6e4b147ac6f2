"""Lists of test images that are occluded or turned, in the form of Wang et al., *Region Attention
Networks for Pose and Occlusion Robust Facial Expression Recognition*, IEEE TIP 2020.
"""

import re
from pathlib import Path

from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.lists import read_lines
from pyg_agfn.errors import InputError

#: ``3_fer0034778.png 8 2``, ``test_0003_aligned 3 4``, ``3/fer0032259.jpg``,
#: ``3/test_0025_aligned.jpg``, and of the whole test part ``7/fer0032220 6``: an image's name
#: without its ending, and its label from 0.
FORMS = (
    re.compile(r"(?P<label>\d)_(?P<stem>fer\d+)\.\w+\s+\d+\s+\d+", re.ASCII),
    re.compile(r"(?P<stem>test_\d+_aligned)(\.\w+)?\s+(?P<label>\d)\s+\d+", re.ASCII),
    re.compile(r"(?P<label>\d)/(?P<stem>fer\d+|test_\d+_aligned)\.\w+", re.ASCII),
    re.compile(r"(?P<label>\d)/(?P<stem>fer\d+|test_\d+_aligned)\s+\d+", re.ASCII),
)


def read_subset_list(path: Path, bad: BadData | None = None) -> dict[str, int]:
    """Labels by image name without its ending, of an occlusion or a pose list.

    The published lists name some images twice, which is no error where the label is the same.

    Args:
        path: The list.
        bad: Gathers bad rows, and says whether to continue without them.

    Raises:
        InputError: The file cannot be read, or lists no image.
        BadDataError: A row is of another form, or gives an image a second label.
    """
    bad = bad or BadData()
    labels: dict[str, int] = {}
    for row, line in read_lines(path):
        match = next((m for form in FORMS if (m := form.fullmatch(line))), None)
        if match is None:
            forms = (
                "'3_fer0034778.png 8 2', 'test_0003_aligned 3 4', '3/fer0032259.jpg', "
                "'3/test_0025_aligned.jpg' or '7/fer0032220 6'"
            )
            bad.add(f"expected {forms}, got {line[:80]!r}", path, row)
            continue
        stem, label = match["stem"], int(match["label"])
        if labels.setdefault(stem, label) != label:
            bad.add(f"has label {labels[stem]} further above", path, row, stem)
    bad.raise_if_any()
    if not labels:
        raise InputError(f"{path}: lists no image")
    return labels
