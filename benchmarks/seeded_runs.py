"""Benchmarks of which each seed is a line in a file of results, computed once."""

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pyg_agfn.training import TrainOptions, parse_options

Line = dict[str, Any]

#: What tables call the kinds of noise.
KINDS = {"symmetric": "random", "pair": "pair-flip", "instance": "instance-dependent"}


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of every such benchmark."""
    parser.add_argument("--results", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", help="what the table calls it")
    parser.add_argument("training", nargs="*", help="after --: options of train_pyg.py")


def set_name(options: TrainOptions) -> str:
    """What a table calls the images and labels of these options."""
    noise = f"{KINDS[options.noise_kind]}, {options.noise:.0%}"
    return f"{options.dataset}, {options.noise_file.stem if options.noise_file else noise}"


def run_seeds(
    arguments: Namespace,
    compute: Callable[[TrainOptions, str], Line],
    name_of: Callable[[TrainOptions], str] = set_name,
) -> list[Line]:
    """All lines of the file of results, with those that were missing, one thread each.

    Args:
        arguments: Of :func:`add_arguments`.
        compute: The results of one seed, by its options and the name of its set.
        name_of: The set's name where the arguments have none.
    """
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    file = arguments.results
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for seed in arguments.seeds if arguments.training else ():
        options = parse_options([*arguments.training, "--seed", str(seed)])
        name = arguments.set or name_of(options)
        if any((line["set"], line["seed"]) == (name, seed) for line in lines):
            continue
        lines.append({"set": name, "seed": seed, **compute(options, name)})
        with file.open("a") as results:
            results.write(json.dumps(lines[-1]) + "\n")
    return lines
