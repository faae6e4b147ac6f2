"""The load on the server, as the benchmark measures and checks it."""

import json
import re

import pytest
import serve


@pytest.mark.slow
def test_the_load_is_answered(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["serve.py", "--clients", "1", "5", "--requests", "70"])
    assert serve.main() == 0
    rows = re.findall(r"│ +(\d+) │ +(\d+) │", capsys.readouterr().out)
    assert rows == [("1", "70"), ("5", "70")]


def test_a_lost_or_other_answer_is_found():
    expected = [{"probabilities": {"a": 0.9, "b": 0.1}, "references": []}]
    body = json.dumps(expected).encode()
    serve.check([(0, 0.1, 200, body), (1, 0.1, 200, body)], expected, 2)
    other = [{"probabilities": {"a": 0.8, "b": 0.2}, "references": []}]
    for faulty in (
        [(0, 0.1, 200, body)],
        [(0, 0.1, 200, body), (0, 0.1, 200, body)],
        [(0, 0.1, 200, body), (1, 0.1, 503, body)],
        [(0, 0.1, 200, body), (1, 0.1, 200, json.dumps(other).encode())],
    ):
        with pytest.raises(AssertionError):
            serve.check(faulty, expected, 2)
