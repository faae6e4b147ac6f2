import itertools

import numpy as np
import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.methods.method import Method
from pyg_agfn.registry import METHODS, register_method
from pyg_agfn.visualization.palette import (
    CLASS_COLORS,
    FURTHER_COLORS,
    class_color,
    class_marker,
    further_style,
    method_style,
)

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


def test_every_method_has_a_style_of_its_own():
    styles = [method_style(name) for name in METHODS]
    assert len({style["color"] for style in styles}) == len(METHODS)


@pytest.mark.parametrize("eye", ["usual", "protanopia", "deuteranopia", "tritanopia"])
def test_the_further_colours_are_told_from_each_other_and_from_the_methods(eye):
    own = [method_style(name)["color"] for name in METHODS]
    for a, b in itertools.combinations(FURTHER_COLORS, 2):
        assert np.linalg.norm(seen(a, eye) - seen(b, eye)) > 30
    for a, b in itertools.product(FURTHER_COLORS, own):
        assert np.linalg.norm(seen(a, eye) - seen(b, eye)) > 20


def test_no_two_of_16_further_styles_look_the_same():
    assert len({tuple(further_style(place).values()) for place in range(16)}) == 16


@pytest.fixture
def plugins():
    """Three methods from outside the package: the second brings a colour."""

    class Plain(Method):
        pass

    class Coloured(Method):
        color = "#123456"
        linestyle = "--"

    class Other(Method):
        pass

    names = ("plain", "coloured", "other")
    for name, method in zip(names, (Plain, Coloured, Other), strict=True):
        register_method(name)(method)
    yield names
    for name in names:
        METHODS.unregister(name)


def test_a_method_from_outside_has_its_own_style_or_the_free_one_of_its_place(plugins):
    assert method_style("plain") == further_style(0)
    assert method_style("coloured") == {"color": "#123456", "linestyle": "--"}
    assert method_style("other") == further_style(2)
    with pytest.raises(InputError, match="unknown method 'none'"):
        method_style("none")


def test_a_method_that_extends_another_one_does_not_look_like_it():
    register_method("extended")(type("Extended", (METHODS["agfn"],), {}))
    try:
        assert method_style("extended") == further_style(0)
    finally:
        METHODS.unregister("extended")


def test_a_former_name_has_the_style_of_what_it_is_called_now():
    assert method_style("agfn-best") == method_style("agfn-nlc")
