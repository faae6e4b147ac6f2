"""Small data sets of each layout, and what can be wrong with their rows and images."""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from small_ferplus import write_ferplus

from pyg_agfn.datasets import RAFDB, FERPlus, ImageDataset, ImageFolder
from pyg_agfn.datasets.ferplus import VOTES

#: Images of each class.
PER_CLASS = 4

Reader = Callable[..., ImageDataset]


def face(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (48, 48), dtype=np.uint8)


def ferplus_folders(root: Path) -> Reader:
    for part in ("Train", "Valid"):
        numbers = range(8 * PER_CLASS)
        votes = ([10 * (c == i % 8) for c in range(10)] for i in numbers)
        write_ferplus(root / f"FER2013{part}", map(face, numbers), votes)
    return partial(FERPlus, root)


def ferplus_pair(root: Path) -> Reader:
    root.mkdir()
    pixels = [["emotion", "pixels", "Usage"]]
    votes = [["Usage", "Image name", *VOTES]]
    for i in range(8 * PER_CLASS):
        pixels.append([0, " ".join(map(str, face(i).ravel())), "Training"])
        votes.append(["Training", f"fer{i:07d}.png", *(10 * (c == i % 8) for c in range(10))])
    for name, rows in (("fer2013.csv", pixels), ("fer2013new.csv", votes)):
        with (root / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return partial(FERPlus, root)


def rafdb(root: Path) -> Reader:
    (root / "Image" / "aligned").mkdir(parents=True)
    (root / "EmoLabel").mkdir()
    lines = []
    for split in ("train", "test"):
        for i in range(7 * PER_CLASS):
            image = Image.fromarray(face(i)).convert("RGB")
            image.save(root / "Image" / "aligned" / f"{split}_{i:05d}_aligned.jpg", quality=100)
            lines.append(f"{split}_{i:05d}.jpg {i % 7 + 1}")
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines))
    return partial(RAFDB, root)


def image_folder(root: Path) -> Reader:
    for part in ("train", "test"):
        for c in range(8):
            (root / part / f"class{c}").mkdir(parents=True)
            for i in range(c, 8 * PER_CLASS, 8):
                Image.fromarray(face(i)).save(root / part / f"class{c}" / f"{i:07d}.png")
    return partial(ImageFolder, root)


def rewrite(path: Path, edit: Callable[[list[str]], None]) -> None:
    lines = path.read_text().splitlines()
    edit(lines)
    path.write_text("\n".join(lines) + "\n")


def broken_file(path: Path, kind: int) -> None:
    """Zero bytes, half of an image, text, no file at all, another size, in turn."""
    if kind == 0:
        path.write_bytes(b"")
    elif kind == 1:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == 2:
        path.write_text("<html>404</html>")
    elif kind == 3:
        path.unlink()
    else:
        Image.new("L", (5, 7)).save(path)


def spoil_ferplus_folders(root: Path) -> set[int]:
    folder = root / "FER2013Train"

    def edit(lines: list[str]) -> None:
        lines[0] = lines[0].replace(",10,", ",nan,")
        lines[1] = lines[1].replace(",10,", ",-10,")
        lines[2] = lines[2].replace(",10,", ",9.5,")
        lines[3] = lines[3].rsplit(",", 1)[0]
        lines[4] = "../" + lines[4]
        lines[5] = '"' + lines[5]  # the quote is not closed
        lines[6] = ""  # an empty line is none
        lines.append(lines[8])  # says the same: no conflict
        # Listed twice, with votes for another label: the first one stays.
        lines.append(lines[7].partition(",")[0] + "," + lines[8].partition(",")[2])

    rewrite(folder / "label.csv", edit)
    for kind, i in enumerate(range(9, 14)):
        broken_file(folder / f"fer{i:07d}.png", kind)
    return {0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13}


def spoil_ferplus_pair(root: Path) -> set[int]:
    def edit_votes(lines: list[str]) -> None:
        lines[1] = lines[1].replace(",10,", ",nan,")
        lines[2] = lines[2].replace(",10,", ",-10,")
        lines[3] = lines[3].replace(",10,", ",9.5,")
        lines[4] = lines[4].rsplit(",", 1)[0]
        lines[5] = lines[5].replace("Training", "Trainning")
        lines[6] = lines[6].replace(",fer", ',"fer')
        lines[10] = lines[10].replace("0000009", "0000008")  # which is in the row before

    def edit_pixels(lines: list[str]) -> None:
        for row, text in ((12, "1 2 3"), (13, "x " * 2304), (14, "256 " * 2304), (15, "")):
            lines[row] = f"0,{text},Training"

    rewrite(root / "fer2013new.csv", edit_votes)
    rewrite(root / "fer2013.csv", edit_pixels)
    return {0, 1, 2, 3, 4, 5, 9, 11, 12, 13, 14}


def spoil_rafdb(root: Path) -> set[int]:
    def edit(lines: list[str]) -> None:
        lines[0] += "5"  # label 15
        lines[1] = lines[1].replace(" ", " -")
        lines[2] = lines[2].replace(" ", " 1.")
        lines[3] = lines[3].split()[0]
        lines[4] = "../" + lines[4]
        lines[5] = "C:\\" + lines[5]
        lines[6] = ""
        lines.append(lines[8])  # says the same: no conflict
        lines.append(lines[7].split()[0] + " " + lines[8].split()[1])

    rewrite(root / "EmoLabel" / "list_patition_label.txt", edit)
    for kind, i in enumerate(range(9, 14)):
        broken_file(root / "Image" / "aligned" / f"train_{i:05d}_aligned.jpg", kind)
    return {0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13}


def spoil_image_folder(root: Path) -> set[int]:
    bad = [i for i in range(16) if i % 5 != 3]
    for i in bad:
        broken_file(root / "train" / f"class{i % 8}" / f"{i:07d}.png", i % 5)
    return set(bad)


#: How each is made and spoilt, and how many rows or images are bad then.
KINDS = {
    "ferplus folders": (ferplus_folders, spoil_ferplus_folders, 12),
    "ferplus pair": (ferplus_pair, spoil_ferplus_pair, 11),
    "rafdb": (rafdb, spoil_rafdb, 12),
    "folder": (image_folder, spoil_image_folder, 13),
}
