"""Which image of a data set a list means by a path."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

#: What is found where a path could mean several images.
SEVERAL = -1


class ImageNames:
    """Finds images by the paths that published lists have for them.

    A list rarely holds the path below our root: its paths are absolute, or relative to another
    folder, or bare file names. A path means the image that shares the most trailing components with
    it, if no other image shares as many. A path whose next component is a folder of this data set,
    but not the folder of that image, means no image: ``sad/4.png`` is not ``happy/4.png``.

    All images of the data set count, also those outside of the training part. A bare name that a
    training image and a test image share means several.

    Args:
        names: The training images, as paths below the data set's root.
        set_aside: Its other images: the test part, and images that are left out.
    """

    def __init__(self, names: Sequence[str], set_aside: Iterable[str] = ()) -> None:
        self.num_training = len(names)
        own = [composed(name) for name in names]
        known = set(own)
        others = dict.fromkeys(composed(name) for name in set_aside)
        self._names = [*own, *(name for name in others if name not in known)]
        self._whole = {name: i for i, name in enumerate(self._names)}
        self._in_training_folder = _below_common_folder(own)
        #: Most components of a path; a longer common end there cannot be.
        self._depth = max((name.count("/") + 1 for name in self._names), default=0)
        self._folders = {part for name in self._names for part in name.split("/")[:-1]}
        self._by_suffix = self._index(lambda name: name)
        self._by_stem = self._index(_without_ending)

    def find(self, path: str) -> int | None:
        """The position of the image that a path means; :data:`SEVERAL`, or None for none.

        Positions from ``num_training`` on are those of images that are set aside.
        """
        path = composed(path)
        # A backslash separates folders on Windows. Elsewhere it may be a part of a name.
        for text in dict.fromkeys((path, path.replace("\\", "/"))):
            if (found := self._find(text)) is not None:
                return found
        return None

    def has_folder(self, name: str) -> bool:
        """Whether any image's path has a folder of this name."""
        return name in self._folders

    def _find(self, path: str) -> int | None:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts:
            return None
        whole = "/".join(parts)
        for exactly in (self._whole, self._in_training_folder):
            if whole in exactly:
                return exactly[whole]
        # A list may leave the ending out. Another ending means another file.
        index = self._by_suffix if "." in parts[-1] else self._by_stem
        for start in range(max(0, len(parts) - self._depth), len(parts)):
            found = index.get("/".join(parts[start:]))
            if found is not None:
                contradicted = found != SEVERAL and self._is_elsewhere(found, parts, start)
                return None if contradicted else found
        return None

    def _is_elsewhere(self, found: int, parts: Sequence[str], start: int) -> bool:
        """Whether the component before the shared ones is a folder that the image is not in."""
        more = len(self._names[found].split("/")) > len(parts) - start
        return start > 0 and more and parts[start - 1] in self._folders

    def _index(self, spelled: Callable[[str], str]) -> dict[str, int]:
        """Each trailing part of each image's path, and which image has it."""
        index: dict[str, int] = {}
        for i, name in enumerate(self._names):
            for suffix in _suffixes(name):
                text = spelled(suffix)
                index[text] = i if index.get(text, i) == i else SEVERAL
        return index


def composed(text: str) -> str:
    """The text with composed accents: macOS decomposes those of file names, most lists do not."""
    return unicodedata.normalize("NFC", text)


def _suffixes(name: str) -> Iterator[str]:
    """``a/b/c``, ``b/c``, ``c``; for RAF-DB's aligned images also without ``_aligned``.

    RAF-DB's lists say ``train_00001.jpg`` where the file is ``train_00001_aligned.jpg``.
    """
    parts = name.split("/")
    files = dict.fromkeys((parts[-1], parts[-1].replace("_aligned", "")))
    for start in range(len(parts)):
        for file in files:
            yield "/".join([*parts[start:-1], file])


def _without_ending(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file.rpartition(".")[0] or file)


def _below_common_folder(names: Sequence[str]) -> dict[str, int]:
    """Positions by the path below the first folder, if all images are in the same one.

    That folder is the training part: a list for it may leave ``train/`` out.
    """
    first = {name.partition("/")[0] for name in names}
    if len(first) != 1 or not all("/" in name for name in names):
        return {}
    return {name.partition("/")[2]: i for i, name in enumerate(names)}
