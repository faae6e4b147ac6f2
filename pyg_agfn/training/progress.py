"""What is shown of a training while it runs."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pyg_agfn.training.checkpoint import Epoch


def progress_bar(console: Console) -> Progress:
    """The bar of a method's steps, which is gone once they are done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def epoch_line(method: str, epochs: int, epoch: Epoch) -> str:
    """What an epoch measured, in one line."""
    graph = f"  α {epoch['alpha']:.3f} β {epoch['beta']:.3f}" if epoch["alpha"] is not None else ""
    if epoch.get("noise_rate") is not None:
        graph += f"  wrong labels {epoch['noise_rate']:.1%}"
    if epoch.get("val_accuracy") is not None:
        graph = f"  val {epoch['val_accuracy']:.1%}{graph}"
    if epoch["test_accuracy"] is not None:
        graph = f"  test {epoch['test_accuracy']:.1%}{graph}"
    return (
        f"{method} epoch {epoch['epoch']}/{epochs}  loss {epoch['loss']:.3f}"
        f"  train {epoch['train_accuracy']:.1%}{graph}"
        f"  {epoch['seconds']:.1f} s  {epoch['images_per_second']:,.0f} images/s"
    )
