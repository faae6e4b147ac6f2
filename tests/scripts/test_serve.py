import pytest

from pyg_agfn.serving.server import listen


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--references", "-1"], "--references must be 0 to 65536"),
        (["--port", "65536"], "--port must be 0 to 65535"),
        (["--port", "x"], "argument --port: invalid int value: 'x'"),
        (["--max-batch", "0"], "--max-batch must be 1 to 4,096, got 0"),
        (["--max-wait-ms", "nan"], "--max-wait-ms must be 0 to 1,000, got nan"),
        (["--max-queue", "3"], "--max-images 16: the queue holds 3 images; raise --max-queue"),
        (["--max-seconds", "0"], "--max-seconds must be 0.1 to 3,600, got 0"),
        (["--max-bytes", "2000000000"], "--max-bytes must be 1 to 1,073,741,824"),
        (["--port", "0", "--device", "cuda:x"], "--device cuda:x: choose"),
        (["--port", "0", "--backbone", "a:B"], "--backbone has no effect"),
    ],
)
def test_bad_input_is_one_line(script, trained, arguments, complaint):
    done = script("serve.py", "--checkpoint", trained["baseline"], *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("serve.py: error: ")
    assert complaint in line


def test_a_folder_that_is_no_run_is_named(script, photos):
    done = script("serve.py", "--checkpoint", photos, "--port", 0)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "model.json: there is no such file" in line


def test_a_port_that_is_taken_is_named(script, trained):
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        done = script("serve.py", "--checkpoint", trained["baseline"], "--port", port)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"--host 127.0.0.1 --port {port}: " in line


def test_a_package_that_is_missing_is_named_with_its_extra(script, trained, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = script("serve.py", "--checkpoint", trained["baseline"])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith('which is not installed: pip install "pyg_agfn[serve]"')
