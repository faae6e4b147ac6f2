"""An HTTP server that answers images: a trained model behind a queue that batches requests."""

from pyg_agfn.lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "answerer": ["Answerer"],
        "app": ["make_app"],
        "batcher": ["Batcher"],
        "exported_answerer": ["ExportedAnswerer"],
        "limits": ["ServeLimits"],
        "run_answerer": ["RunAnswerer"],
        "server": ["serve"],
        "service": ["Service"],
    },
)
