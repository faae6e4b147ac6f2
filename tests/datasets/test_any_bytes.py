"""Whatever bytes a file holds: a data set or an InputError, and nothing is written elsewhere."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pyg_agfn.datasets import RAFDB, FERPlus, ImageDataset, ImageFolder, read_noise_file
from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.image_cache import cached_images
from pyg_agfn.datasets.subset_list import read_subset_list
from pyg_agfn.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, about what it is given

quick = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: Pieces that rows are made of, good and bad, so that examples get past the first check.
PIECES = [
    *(b"fer0000000.png", b"fer0000001.png", b"train_00001.jpg", b"test_0003_aligned", b"0.png"),
    *(
        b"../../etc/passwd",
        b"C:\\x.png",
        b"/etc/passwd",
        b".",
        b"",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
    ),
    *(b",", b",", b" ", b"\t", b'"', b'""', b"\n", b"\r", b"\r\n", b"\x0c", b"\xe2\x80\xa8"),
    *(b"0", b"1", b"10", b"-1", b"nan", b"1e9", b"9" * 5000, b"\xd9\xa3", b"(0, 0, 48, 48)"),
    *(b"Training", b"PublicTest", b"Usage,Image name", b"neutral,happiness", b"3/", b"3_"),
    b"fer0000000.png,box,10,0,0,0,0,0,0,0,0,0\n",
    b"Training,fer0000000.png,10,0,0,0,0,0,0,0,0,0\n",
    b"train_00001.jpg 3\n",
    b"0.png 1\n",
]
texts = st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


def picture(form: str, **options) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
WHOLE = [*map(picture, FORMATS), picture("TIFF", compression="tiff_lzw")]


@st.composite
def images(draw) -> bytes:
    """Bytes of an image, some of them changed, and perhaps cut off."""
    content = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 6))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)


@pytest.fixture(autouse=True)
def cache_dir(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PYG_AGFN_CACHE", str(folder))
    return folder


def state(folder: Path) -> dict[Path, object]:
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


def holds(read, root: Path, cache: Path) -> None:
    """Reads twice, so also from the cache; strictly, and without what is bad."""
    before = state(root.parent)
    for skip in (False, True):
        outcomes = []
        for _ in range(2):
            try:
                found = read(skip)
            except InputError as error:
                outcomes.append(str(error))
            else:
                if isinstance(found, ImageDataset):
                    assert len(found.images) == len(found.labels) == len(found.names) > 0
                    found = (found.names, found.images.sum().item(), found.skipped)
                outcomes.append(found)
        assert outcomes[0] == outcomes[1]
        if isinstance(outcomes[0], str):
            assert all(line.isprintable() for line in outcomes[0].split("\n"))
    assert state(root.parent) == before
    assert {file.suffix for file in cache.iterdir()} <= {".npy"}


@given(content=texts)
@quick
def test_label_csv(tmp_path, cache_dir, content):
    folder = tmp_path / "FER2013Train"
    folder.mkdir(exist_ok=True)
    (folder / "fer0000000.png").write_bytes(WHOLE[0])
    (folder / "label.csv").write_bytes(content)
    holds(lambda skip: FERPlus(tmp_path, skip_bad=skip), folder, cache_dir)


HEADER = (
    b"Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
)


@given(
    votes=texts, header=st.booleans(), pixels=texts | st.just(b"0," + b"1 " * 2304 + b",Training")
)
@quick
def test_the_pair(tmp_path, cache_dir, votes, header, pixels):
    (tmp_path / "fer2013new.csv").write_bytes(HEADER * header + votes)
    (tmp_path / "fer2013.csv").write_bytes(b"emotion,pixels,Usage\n" + pixels)
    holds(lambda skip: FERPlus(tmp_path, skip_bad=skip), tmp_path / "fer2013.csv", cache_dir)


@given(content=texts)
@quick
def test_the_list_of_raf_db(tmp_path, cache_dir, content):
    folder = tmp_path / "EmoLabel"
    folder.mkdir(exist_ok=True)
    (folder / "list_patition_label.txt").write_bytes(content)
    holds(lambda skip: RAFDB(tmp_path, skip_bad=skip), folder, cache_dir)


@given(content=texts)
@quick
def test_a_noise_list(tmp_path, cache_dir, content):
    path = tmp_path / "noise.txt"
    path.write_bytes(content)
    names = ["a/0.png", "b/0.png", "train_00001.jpg", "fer0000000.png"]
    holds(lambda skip: read_noise_file(path, names, ["x", "y"], bad=BadData(skip)), path, cache_dir)


@given(content=texts)
@quick
def test_a_subset_list(tmp_path, cache_dir, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    holds(lambda skip: read_subset_list(path, BadData(skip)), path, cache_dir)


@given(content=images() | st.binary(max_size=100), size=st.sampled_from([None, 5]))
@quick
def test_an_image_in_a_folder(tmp_path, cache_dir, content, size):
    for name, count in (("a", 3), ("b", 3)):
        (tmp_path / name).mkdir(exist_ok=True)
        for i in range(count):
            (tmp_path / name / f"{i}.png").write_bytes(WHOLE[0])
    (tmp_path / "a" / "1.png").write_bytes(content)
    holds(
        lambda skip: ImageFolder(tmp_path, image_size=size, skip_bad=skip),
        tmp_path / "a",
        cache_dir,
    )


@given(content=images(), channels=st.sampled_from([1, 3]))
@quick
def test_an_image_alone(tmp_path, cache_dir, content, channels):
    path = tmp_path / "face.jpg"
    path.write_bytes(content)

    def read(skip: bool) -> bytes:
        unreadable: dict[int, str] | None = {} if skip else None
        return cached_images([path], None, channels, unreadable=unreadable).tobytes()

    holds(read, path, cache_dir)
