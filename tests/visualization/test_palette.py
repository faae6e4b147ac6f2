import itertools

import numpy as np
import pytest

from pyg_agfn.visualization.palette import CLASS_COLORS, class_color, class_marker

#: Machado, Oliveira and Fernandes, *A Physiologically-based Model for Simulation of Color Vision
#: Deficiency*, 2009: severity 1, on linear RGB.
EYES = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def seen(color: str, eye: str) -> np.ndarray:
    """The CIELAB coordinates of a colour, in which distances are perceived differences."""
    rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x = TO_XYZ @ np.clip(EYES[eye] @ linear, 0, 1) / (0.9505, 1, 1.089)
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(
    ("eye", "apart"), [("usual", 40), ("protanopia", 25), ("deuteranopia", 25), ("tritanopia", 16)]
)
def test_ten_classes_are_told_apart(eye, apart):
    for a, b in itertools.combinations(range(len(CLASS_COLORS)), 2):
        distance = np.linalg.norm(seen(class_color(a), eye) - seen(class_color(b), eye))
        assert distance > apart
        if distance < 25:  # then the markers differ
            assert class_marker(a) != class_marker(b)


def test_no_two_of_40_classes_look_the_same():
    assert len({(class_color(k), class_marker(k)) for k in range(40)}) == 40
