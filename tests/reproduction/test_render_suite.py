from pathlib import Path

import pytest
from result_records import answers, lines, record

from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import paired_p_value
from pyg_agfn.reproduction.grid import grid, quick
from pyg_agfn.reproduction.render import render
from pyg_agfn.reproduction.results_file import pack
from pyg_agfn.reproduction.suites import SUITES
from pyg_agfn.training.command_line import options_of


def base(suite="digits", on_cpu=False, **given):
    target = SUITES[suite]
    given = {"dataset": target.dataset, **given}
    return options_of(target.options_of(given, on_cpu), refuse=False)


def measured(options, right: int, epochs: list[float] | None = None, **metrics) -> dict:
    """A record with the figures of its last epochs."""
    made = record(options, answers(right))
    last = epochs or [right / 100] * 5
    made["metrics"] |= {
        "class_accuracy": 0.5,
        "last_epochs": {"single_accuracy": last, "single_class_accuracy": [0.6] * 5},
        "best_on_test": max(last),
        **metrics,
    }
    return made


def suite(right: dict[str, int], rates=(0.2,), seeds=(0,), **given) -> list[dict]:
    found = grid("digits", base(**given), tuple(right), seeds, {"noise": rates}, given)
    return [measured(options, right[options.method[0]] - options.seed) for options in found]


def test_a_row_has_the_mean_of_the_last_five_epochs_and_the_paired_test():
    records = suite({"baseline": 70, "ssr": 82, "agfn-nlc": 80})
    records[1]["metrics"] |= {"seconds_per_epoch": 152.0, "best_on_test": 0.9}
    records[1]["metrics"]["last_epochs"]["single_accuracy"] = [0.80, 0.81, 0.82, 0.83, 0.84]
    text = render("digits", records, "digits")
    ahead = f"-2.00 (p = {paired_p_value(answers(80)[None], answers(82)[None]):.3f})"
    assert lines(text, "ssr") == [
        ["ssr", "**82.00**", "60.00", "82.00", ahead, "+12.3", "25.0%", "4.0x", "90.00"]
    ]
    assert lines(text, "agfn-nlc")[0][3:5] == ["80.00", ""]
    assert lines(text, "baseline")[0][-2:] == ["1.0x", "70.00"]
    assert "| best epoch on test |" in text
    assert (
        "agfn-nlc is ahead of 1 of 2 methods (1 of them at p < 0.01); it is behind ssr by 2.00 "
        "(p = 0.500)." in text
    )
    assert "scripts/reproduce.py --suite digits --seeds 0 --noise-rates 0.2\n" in text
    assert "on 100 images (digits, test split), each image alone, mean over 1 seed" in text


def test_seeds_are_averaged_and_rates_are_side_by_side():
    rates = SUITES["digits"].varied["noise"]
    records = suite({"baseline": 60, "agfn-nlc": 80}, rates, (0, 1, 2))
    text = render("digits", records, "digits")
    assert "--suite digits --seeds 0 1 2\n" in text  # all rates of the suite: none is named
    overview = lines(text, "agfn-nlc")[0]
    assert overview == ["agfn-nlc", *["**79.00 ± 1.00**"] * 5]
    assert text.count("agfn-nlc is ahead of 1 of 1 methods (1 of them at p < 0.01).") == 5
    assert "**No wrong labels added**" in text
    assert "**40% wrong labels**" in text


def test_records_of_an_older_version_have_the_last_epoch_alone():
    records = suite({"baseline": 70, "agfn-nlc": 80})
    for made in records:
        for name in ("last_epochs", "best_on_test", "class_accuracy"):
            del made["metrics"][name]
    text = render("digits", records, "digits")
    assert lines(text, "agfn-nlc") == [["agfn-nlc", "**80.00**", "", "+12.3", "25.0%", "1.0x"]]
    assert "last five epochs" not in text
    beside = render("digits", [*records, *suite({"scn": 60})], "digits")
    assert lines(beside, "baseline")[0][1:4] == ["-", "-", "70.00"]
    assert "best epoch on test" not in beside


def test_runs_with_other_options_than_the_suites_are_not_in_it():
    records = suite({"baseline": 70, "agfn-nlc": 80})
    (other,) = grid("table-2", base(warmup_epochs=0), ("scn",), [0], {"noise": [0.2]})
    text = render("digits", [*records, measured(other, 99)], "digits")
    assert not lines(text, "scn")
    with pytest.raises(InputError, match="no finished run of digits on digits"):
        render("digits", [measured(other, 99)], "digits")


def test_what_the_user_chose_is_a_part_of_its_own_with_its_option():
    records = suite({"baseline": 70}) + suite({"baseline": 50}, precision="bf16")
    first, second = render("digits", records, "digits").split("scikit-learn's digits. ")[1:]
    assert "--precision" not in first
    assert " --precision bf16" in second
    given = {"lr": 0.2}
    changed = suite({"baseline": 50}, **given)
    text = render("digits", [*records, *changed], "digits", given)
    assert " --lr 0.2" in text
    assert [row[1] for row in lines(text, "baseline")] == ["**50.00**"]


def test_a_try_out_is_marked_and_has_no_p():
    found = grid("digits", quick(base()), ("baseline", "agfn-nlc"), [0], {"noise": [0.2]})
    text = render("digits", [measured(o, 70 + 5 * len(o.method[0])) for o in found], "digits")
    assert "--suite digits --seeds 0 --quick --noise-rates 0.2\n" in text
    assert "(p " not in text
    assert "does not tell where agfn-nlc stands" in text


def test_lists_of_labels_and_the_device_are_told_apart():
    lists = {"noise_file": [None, Path("a/worst.txt")]}
    records = []
    for on_cpu, right in ((False, 90), (True, 60)):
        options = base("cifar10n", on_cpu, root=Path("DATA"))
        found = grid("cifar10n", options, ("baseline", "agfn-nlc"), [0], lists)
        records += [measured(o, right) for o in found]
    text = render("cifar10n", records, "folder")
    on_gpu, on_cpu = text.split("CIFAR-10 with labels by people (CIFAR-10N). ")[1:]
    assert "**Labels of worst.txt**" in on_gpu
    assert "--suite cifar10n --root DATA --noise-files FILE ... --seeds 0\n" in on_gpu
    assert " --device cpu" in on_cpu
    assert lines(on_gpu, "baseline")[-1][3] == "90.00"
    assert lines(on_cpu, "baseline")[-1][3] == "60.00"


def test_the_images_of_a_list_are_a_table_of_their_own():
    records = suite({"baseline": 70, "agfn-nlc": 80})
    for made, right in zip(list(records), (3, 4), strict=True):
        subset = {k: v for k, v in made.items() if k != "metrics"}
        options = {"subset": "occlusion", "images": 5, "accuracy": right / 5}
        records.append({**subset, **options, "correct": pack(answers(right)[:5])})
    text = render("digits", records, "digits")
    part = text[text.index("**Occlusion, 20% wrong labels**") :]
    assert "| method | last epoch | agfn-nlc to it |" in part
    assert lines(part, "agfn-nlc") == [["agfn-nlc", "**80.00**", ""]]
    assert lines(part, "baseline") == [["baseline", "60.00", "+20.00 (p = 1.000)"]]


def test_a_table_without_label_correction_compares_nothing():
    text = render("digits", suite({"baseline": 70, "scn": 80}), "digits")
    assert text.endswith("agfn-nlc is not compared here.\n")
    level = render("digits", suite({"baseline": 70, "agfn-nlc": 70}), "digits")
    assert "agfn-nlc is ahead of 0 of 1 methods, and level with baseline." in level


def test_a_method_without_some_of_the_seeds_says_so():
    records = suite({"baseline": 70, "agfn-nlc": 80}, seeds=(0, 1)) + suite({"scn": 75})
    text = render("digits", records, "digits")
    assert lines(text, "scn (seed 0)")[0][1] == "75.00"
