"""Lists of test images that are occluded or turned, in the form of Wang et al., *Region Attention
Networks for Pose and Occlusion Robust Facial Expression Recognition*, IEEE TIP 2020.
"""

import re
from pathlib import Path

from pyg_agfn.errors import InputError

#: ``3_fer0034778.png 8 2``, ``test_0003_aligned 3 4``, ``3/fer0032259.jpg``,
#: ``3/test_0025_aligned.jpg``: an image's name without its ending, and its label from 0.
FORMS = (
    re.compile(r"(?P<label>\d+)_(?P<stem>fer\d+)\.\w+\s+\d+\s+\d+"),
    re.compile(r"(?P<stem>test_\d+_aligned)(\.\w+)?\s+(?P<label>\d+)\s+\d+"),
    re.compile(r"(?P<label>\d+)/(?P<stem>fer\d+|test_\d+_aligned)\.\w+"),
)


def read_subset_list(path: Path) -> dict[str, int]:
    """Labels by image name without its ending, of an occlusion or a pose list.

    The published lists name some images twice, which is no error where the label is the same.

    Raises:
        InputError: The file cannot be read, is empty, or has a line of another form.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    labels: dict[str, int] = {}
    for row, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = next((m for form in FORMS if (m := form.fullmatch(line.strip()))), None)
        if match is None:
            raise InputError(
                f"{path}, row {row}: expected '3_fer0034778.png 8 2', 'test_0003_aligned 3 4', "
                f"'3/fer0032259.jpg' or '3/test_0025_aligned.jpg', got {line[:80]!r}"
            )
        stem, label = match["stem"], int(match["label"])
        if labels.setdefault(stem, label) != label:
            raise InputError(f"{path}, row {row}: {stem} has label {labels[stem]} further above")
    if not labels:
        raise InputError(f"{path}: lists no image")
    return labels
