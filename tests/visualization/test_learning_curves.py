import os

import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import ROWS
from pyg_agfn.visualization.learning_curves import read_history
from pyg_agfn.visualization.palette import METHOD_STYLES


def test_every_row_of_a_table_has_a_style_of_its_own():
    assert list(METHOD_STYLES) == list(ROWS)
    assert len({style["color"] for style in METHOD_STYLES.values()}) == len(ROWS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"epoch,test_accuracy,train_accuracy\n",
        b"epoch,loss\n1,2\n",
        b"epoch,test_accuracy,train_accuracy\n1,2\n",
        b"epoch,test_accuracy,train_accuracy\n1,2,high\n",
        b"epoch,test_accuracy,train_accuracy\n1,0.5,nan\n",
        b"\xff\xfe\n",
        b"epoch,test_accuracy,train_accuracy\n1,2," + b"3" * 200_000,
    ],
    ids=["empty", "header", "columns", "short", "text", "nan", "encoding", "long"],
)
def test_a_log_that_is_none_is_one_line(tmp_path, content):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "metrics.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"metrics.csv: is not the log of a run") as caught:
        read_history(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "log").mkdir()
    os.mkfifo(tmp_path / "log" / "metrics.csv")
    with pytest.raises(InputError, match="is no file"):
        read_history(tmp_path)
    with pytest.raises(InputError, match="there is no such file"):
        read_history(tmp_path / "none")
