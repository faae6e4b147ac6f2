import dataclasses
from pathlib import Path

import pytest
from result_records import answers, ferplus, lines, record

from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import paired_p_value
from pyg_agfn.registry import METHODS
from pyg_agfn.reproduction.grid import grid, settings
from pyg_agfn.reproduction.paper_targets import ABLATION
from pyg_agfn.reproduction.render import render
from pyg_agfn.reproduction.results_file import ResultsFile
from pyg_agfn.reproduction.target import NLC
from pyg_agfn.training import TrainOptions

ROWS = tuple(METHODS)


def test_table_1_has_ours_beside_the_papers_with_the_paired_test():
    right = {"baseline": 70, "scn": 75, "agfn": 72}
    records = [
        record(options, answers(right[options.method[0]]))
        for options in grid("table-1", ferplus(), tuple(right), [0])
    ]
    text = render("table-1", records, "ferplus")
    p = paired_p_value(answers(75)[None], answers(70)[None])
    assert lines(text, "scn") == [
        ["scn", "**75.00**", f"+5.00 (p = {p:.3f})", "74.00", "+12.3", "25.0%", "38.0", "89.35"]
    ]
    assert lines(text, "baseline")[0][1:3] == ["70.00", ""]
    assert lines(text, "baseline")[0][-1] == "85.37"
    assert lines(text, "TransFER") == [["TransFER", "", "", "", "", "", "", "90.83"]]
    assert "AGFN does not lead; it is behind scn by 3.00 points (p = 0.250)." in text
    assert "paper (quoted)" in text
    assert "| inductive |" in text
    assert "on 100 images (ferplus, valid split), last epoch, mean over 1 seed:" in text
    assert "--table 1 --dataset ferplus --root DATA --seeds 0 --epochs 14 --lr 0.05" in text


def test_seeds_are_averaged_with_their_standard_deviation():
    records = [
        record(options, answers(70 + 2 * options.seed))
        for options in grid("table-1", ferplus(), ("agfn",), [2, 0, 1])
    ]
    text = render("table-1", records, "ferplus")
    assert lines(text, "agfn")[0][1] == "**72.00 ± 2.00**"
    assert "mean ± standard deviation over 3 seeds" in text
    assert "--seeds 0 1 2" in text


def test_agfn_leads_where_it_leads():
    right = {"baseline": 70, "agfn": 90}
    records = [
        record(options, answers(right[options.method[0]]))
        for options in grid("table-1", ferplus(), tuple(right), [0])
    ]
    assert "AGFN leads, ahead of baseline by 20.00 points (p < 0.001)." in render(
        "table-1", records, "ferplus"
    )


@pytest.mark.parametrize(
    ("method", "missing"), [("agfn", "No other method is"), ("scn", "AGFN is not")]
)
def test_where_nothing_can_be_compared_it_says_what_is_missing(method, missing):
    records = [record(ferplus(method=(method,), noise=0.0), answers(50))]
    assert render("table-1", records, "ferplus").endswith(f"\n\n{missing} among these runs.\n")


def test_label_correction_is_a_row_also_beside_records_of_an_older_version():
    new = ("teacher_decay", "memory_size", "label_source", "classifier_inputs", "max_share")
    records = []
    for options in grid("table-1", ferplus(), ("baseline", "agfn", NLC), [0]):
        (method,) = options.method
        records.append(record(options, answers({"baseline": 80, "agfn": 70, NLC: 85}[method])))
        if method != NLC:
            for name in (*new, "graph_optimizer", "propagation"):
                del records[-1]["settings"][name]
    text = render("table-1", records, "ferplus")
    assert text.count("Accuracy in %") == 1
    assert "--seeds 0 --epochs 14 --lr 0.05\n" in text
    assert [lines(text, name)[0][1] for name in ("baseline", "agfn", NLC)] == [
        "80.00",
        "70.00",
        "**85.00**",
    ]
    assert "AGFN does not lead; it is behind baseline by 10.00 points" in text
    assert "AGFN with corrected labels leads, ahead of baseline by 5.00 points" in text


@pytest.mark.parametrize(
    "lacking", [{"max_share": 1.0}, {"label_source": "given"}, {"alpha": 1.0}, {"lr_graph": 0.001}]
)
def test_label_correction_without_a_part_is_not_averaged_with_the_whole(lacking):
    records = []
    for options in grid("table-1", ferplus(), ("baseline", NLC), [0]):
        records.append(record(options, answers(80)))
    other = dataclasses.replace(options, **lacking, seed=1)
    text = render("table-1", [*records, record(other, answers(20))], "ferplus")
    whole, part = text.split("Accuracy in %")[1:]
    assert lines(whole, NLC)[0][1].strip("*") == "80.00"
    assert lines(part, NLC)[0][1].strip("*") == "20.00"
    ((name, value),) = lacking.items()
    assert f" --{name.replace('_', '-')} {value}" in part


def test_an_older_run_without_a_part_is_in_the_ablation_alone():
    (paper,) = grid("table-2", TrainOptions.for_dataset("digits"), ("agfn",), [0], {"noise": [0.2]})
    made = record(paper, answers(20))
    made["metrics"] |= {"alpha": 1.0, "beta": 0.0}
    made["metrics"]["accuracy"]["single"] = 0.2
    best = {"recipe": "best", "teacher": 0.0, "memory": 4096, "judges": "neighbours"}
    best |= {"heads": "alone", "correct_at_most": None, "graph_optimizer": "adam"}
    best |= {"alpha": 8.0, "beta": -4.0, "lr_graph": 0.02}
    for name in ("teacher_decay", "memory_size", "label_source", "classifier_inputs", "max_share"):
        del made["settings"][name]
    made["settings"] |= best
    with pytest.raises(InputError, match="no finished run"):
        render("table-2", [made], "digits")
    assert lines(render("ablation", [made], "digits"), "no teacher")[0][1] == "20.00"


def test_methods_stand_beside_each_other_whatever_options_they_do_not_take():
    base = ferplus(pretrain_epochs=3, samples=2, threshold=0.1, method=ROWS)
    records = [record(options, answers(70)) for options in grid("table-1", base, ROWS, [0])]
    text = render("table-1", records, "ferplus")
    assert text.count("Accuracy in %") == 1
    assert all(len(lines(text, row)) == 1 for row in ROWS)
    assert " --pretrain-epochs 3 --samples 2 --threshold 0.1\n" in text


def test_of_two_records_of_one_run_the_last_counts():
    (options,) = grid("table-1", ferplus(), (NLC,), [0])
    older = record(options, answers(20), cell="ferplus-agfn-best-under-an-older-name")
    text = render("table-1", [older, record(options, answers(80))], "ferplus")
    assert lines(text, NLC)[0][1] == "**80.00**"
    assert "over 1 seed:" in text


def test_the_runs_of_the_documents_are_in_the_rows_that_the_older_version_rendered():
    """``older_records.txt`` is what it rendered, by today's names of methods and options."""
    documents = Path(__file__).parents[2] / "docs" / "results.jsonl"
    records = [r for r in ResultsFile(documents).records() if "recipe" in r["settings"]]
    found = []
    for target in ("table-1", "table-2", "table-5", "figure-4", "sweep", "ablation"):
        for dataset in ("digits", "mnist", "ferplus", "rafdb"):
            try:
                text = render(target, records, dataset)
            except InputError:  # there are no such runs
                continue
            for line in text.splitlines():
                if line.startswith("    scripts/"):
                    found.append(f"# {line.strip()}")
                elif line.startswith("| ") and not line.startswith(("| method", "| net", "|  |")):
                    found.append(line)
    expected = (Path(__file__).parent / "older_records.txt").read_text().splitlines()
    assert found == expected


def test_the_ablation_compares_each_run_with_all_parts():
    base = TrainOptions.for_dataset("digits")
    records = []
    for options in grid("ablation", base, ROWS, [0, 1]):
        right = 60 if options.label_source == "given" else 90
        graph = {"single": right / 100, "bank": right / 100, "shuffled": {"mean": 0.5}}
        made = record(options, answers(right))
        made["metrics"] |= {"accuracy": graph, "alpha": 7.0 + options.seed, "beta": -4.0}
        records.append(made)
    text = render("ablation", records, "digits")
    assert "scripts/reproduce.py --ablation --dataset digits --seeds 0 1\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(ABLATION)
    p = paired_p_value(answers(60).expand(2, -1), answers(90).expand(2, -1))
    assert lines(text, "all parts")[0][1:4] == ["90.00 ± 0.00", "", "90.00 ± 0.00"]
    assert lines(text, "labels as given")[0][1:3] == ["60.00 ± 0.00", f"-30.00 (p = {p:.3f})"] or (
        p < 0.001 and lines(text, "labels as given")[0][2] == "-30.00 (p < 0.001)"
    )
    assert lines(text, "no teacher")[0][6:] == ["7.50", "-4.00"]
    with pytest.raises(InputError, match="--ablation --dataset mnist"):
        render("ablation", records, "mnist")


def test_a_row_without_all_seeds_says_so_and_is_compared_on_the_seeds_it_has():
    right = {"baseline": {0: 60, 1: 80}, "agfn": {0: 62}}
    records = [
        record(options, answers(right[options.method[0]][options.seed]))
        for options in grid("table-1", ferplus(), tuple(right), [0, 1])
        if options.seed in right[options.method[0]]
    ]
    text = render("table-1", records, "ferplus")
    p = paired_p_value(answers(62)[None], answers(60)[None])
    assert lines(text, "baseline")[0][1] == "**70.00 ± 14.14**"
    assert lines(text, "agfn (seed 0)")[0][1:3] == ["62.00", f"+2.00 (p = {p:.3f})"]
    assert f"AGFN leads, ahead of baseline by 2.00 points (p = {p:.3f})." in text


def test_noise_levels_are_parts_and_other_runs_stay_out():
    base = ferplus()
    records = [
        record(options, answers(round(100 * (0.9 - options.noise))))
        for target in ("table-1", "table-2")
        for options in grid(target, base, ("baseline", "agfn"), [0])
    ]
    text = render("table-2", records, "ferplus")
    assert [row[1].strip("*") for row in lines(text, "agfn")] == ["80.00", "70.00"]
    assert [row[-1] for row in lines(text, "agfn")] == ["87.03", "86.55"]
    assert text.index("**10% wrong labels**") < text.index("**20% wrong labels**")
    assert [row[1].strip("*") for row in lines(render("table-1", records, "ferplus"), "agfn")] == [
        "90.00"
    ]


def test_other_noise_rates_are_parts_too_and_the_command_names_them():
    rates = [0.2, 0.4]
    records = [
        record(options, answers(round(100 * (0.9 - options.noise))))
        for options in grid("table-2", ferplus(), ("baseline", "agfn"), [0], {"noise": rates})
    ]
    text = render("table-2", records, "ferplus")
    assert [row[1].strip("*") for row in lines(text, "agfn")] == ["70.00", "50.00"]
    assert " --noise-rates 0.2 0.4" in text
    assert "--noise-rates" not in render("table-2", records[:2], "ferplus")


def test_runs_with_other_options_are_never_averaged_with_these():
    records = [
        record(options, answers(right))
        for epochs, right in ((14, 70), (28, 80))
        for options in grid(
            "table-1",
            TrainOptions.for_dataset("ferplus", root=Path("DATA"), epochs=epochs),
            ("agfn",),
            [0],
        )
    ]
    text = render("table-1", records, "ferplus")
    assert [row[1] for row in lines(text, "agfn")] == ["**70.00**", "**80.00**"]
    assert "--epochs 28" in text


def test_table_5_compares_each_backbone_with_itself_and_quotes():
    records = [
        record(options, answers(60 if options.method == ("baseline",) else 70))
        for options in grid("table-5", ferplus(), ROWS, [0])
    ]
    text = render("table-5", records, "ferplus")
    row = lines(text, "resnet152 + AGFN")[0]
    assert row[1:3] == ["70.00", "+10.00 (p = 0.002)"]
    assert row[-1] == "87.22"
    assert lines(text, "resnet34")[0][2] == ""


def test_the_lists_of_tables_3_and_4_have_a_part_each():
    records = []
    for options in grid("table-4", ferplus(), ("baseline", "agfn"), [0]):
        records.append(record(options, answers(70)))
        for name, n in (("pose_30", 20), ("pose_45", 10)):
            found = record(options, answers(70)[:n], subset=name, images=n)
            del found["metrics"]
            records.append(found)
    text = render("table-4", records, "ferplus")
    assert text.index("**pose_30**") < text.index("**pose_45**")
    assert [row[1].strip("*") for row in lines(text, "agfn")] == ["100.00", "100.00"]
    assert lines(text, "agfn")[0][-1] == "84.87"
    assert "shuffled" not in text
    assert "AGFN is level with baseline." in text


def test_no_finished_run_is_said_with_the_command():
    failed = {"cell": "x", "settings": settings(ferplus(method=("agfn",))), "error": "nan"}
    with pytest.raises(InputError, match=r"no finished run of table-1 on ferplus.*--table 1"):
        render("table-1", [failed], "ferplus")
