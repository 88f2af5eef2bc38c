"""How networks learned: told beside the tested figure, drawn fold by fold, absent without them."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from emodask.display import show_evaluation
from emodask.evaluation.pages.report import render_report
from emodask.evaluation.pages.training_figure import training_figure
from emodask.evaluation.training import Curves, trainings
from tests.evaluation.fabricated import fabricated, metrics_of

HEADING = "How the networks learned"


def learned(fold: str, losses: list[float], best: int | None) -> dict:
    """A fold as ``metrics.json`` holds it, with a validation part if an epoch of it was best."""
    history = [
        {
            "epoch": epoch,
            "train_loss": loss - 0.5,
            "valid_loss": loss if best else None,
            "valid_uar": 0.1 * epoch if best else None,
        }
        for epoch, loss in enumerate(losses, 1)
    ]
    return {"fold": fold, "epochs": len(losses), "best_epoch": best, "history": history}


@pytest.fixture
def metrics() -> dict:
    pairs = [(p, m) for p in ("loso", "within-actor") for m in ("cnn", "svc")]
    found = metrics_of({pair: fabricated(0.4, n_actors=3, takes=1) for pair in pairs})
    folds = [
        learned("actor-01", [2.0, 1.5, 1.8], 2),
        learned("actor-02", [2.0, 1.6, 1.4, 1.9, 2.2], 3),
        learned("actor-03", [2.0, 1.5, 1.1, 1.3, 1.0, 1.2], 5),
    ]
    for name in ("loso", "within-actor"):
        found["protocols"][name]["models"]["cnn"]["training"] = {
            "parameters": 102_280,
            "folds": folds,
        }
    return found


def test_the_table_says_how_many_parameters_and_epochs_beside_the_tested_figure(metrics):
    page = render_report(metrics)
    assert HEADING in page
    loso, leaky = trainings(metrics)
    assert (loso.protocol, leaky.protocol) == ("loso", "within-actor")
    assert (loso.epochs, loso.best_epochs) == ("5 (3 to 6)", "3 (2 to 5)")
    assert loso.valid_uar == pytest.approx(0.3)
    assert loso.uar == metrics["protocols"]["loso"]["models"]["cnn"]["uar"]
    section = page[page.index(HEADING) :]
    row = re.search(r'<tr><th scope="row">cnn</th>.*?</tr>', section).group()
    for told in ("102 280", "5 (3 to 6)", "3 (2 to 5)", "30.0 %", f"{100 * loso.uar:.1f} %"):
        assert told in row


def test_the_caption_says_that_validation_lies_inside_the_training_part(metrics):
    page = render_report(metrics)
    captions = re.findall(r"<figcaption>(cnn under [^<]*)</figcaption>", page)
    assert [caption.split(":")[0] for caption in captions] == [
        "cnn under loso",
        "cnn under within-actor",
    ]
    assert all("inside the training part" in caption for caption in captions)
    assert "<summary>How they learned under within-actor</summary>" in page


def test_the_terminal_says_it_in_a_line(metrics):
    out = io.StringIO()
    show_evaluation(Console(file=out, width=200), metrics, "report")
    line = "loso: cnn learned 102 280 parameters in 5 (3 to 6) epochs, best 3 (2 to 5)"
    assert line in out.getvalue()
    assert out.getvalue().count("learned") == 1


def test_a_run_without_networks_shows_nothing_of_them(metrics):
    for entry in metrics["protocols"].values():
        del entry["models"]["cnn"]["training"]
    assert HEADING not in render_report(metrics)
    out = io.StringIO()
    show_evaluation(Console(file=out, width=200), metrics, "report")
    assert "learned" not in out.getvalue()


def test_a_network_without_a_validation_part_shows_its_training_loss_alone(metrics):
    for entry in metrics["protocols"].values():
        entry["models"]["cnn"]["training"]["folds"] = [
            {**learned("actor-01", [2.0, 1.0], None), "best_epoch": 2}
        ]
    page = render_report(metrics)
    section = page[page.index(HEADING) : page.index("</main>")]
    assert "No part of the training clips was held out" in section
    assert "validation UAR, percent" not in section
    assert ">validation<" not in section
    assert ">training<" in section


def curves(*losses: float, fold: str = "actor-01") -> Curves:
    epochs = tuple(range(1, len(losses) + 1))
    return Curves(fold, epochs, losses, losses, (0.5,) * len(losses), 1)


def lines(svg: str, color: str) -> list[tuple[float, int]]:
    """Width and number of points of every line of a colour."""
    found = re.findall(r'<path d="([^"]*)"[^>]*style="([^"]*)"', svg)
    return [
        (float(re.search(r"stroke-width: ([\d.]+)", style).group(1)), len(re.findall("[ML]", d)))
        for d, style in found
        if f"stroke: {color}" in style
    ]


def test_each_fold_has_a_line_and_the_median_ends_where_half_have_stopped():
    folds = [curves(3.0, 1.0), curves(3.0, 2.0, 1.0), curves(3.0, 2.5, 2.0, 1.5, 1.0, 2.5)]
    training = lines(training_figure(folds), "#1c6cb0")
    thin = [points for width, points in training if width < 1]
    assert thin == [2, 3, 6]
    assert (2.2, 3) in training


def test_one_runaway_loss_leaves_the_others_legible_and_is_said_to_be_cut_off():
    folds = [curves(*[2.0, 1.5] * 20) for _ in range(5)]
    folds.append(curves(*[2.0] * 39, 1e9))
    assert ">loss, above 2 cut off<" in training_figure(folds)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_was_not_measured_is_left_out(metrics, value):
    folds = metrics["protocols"]["loso"]["models"]["cnn"]["training"]["folds"]
    folds[0]["history"][1]["train_loss"] = value
    first = next(trainings(metrics)).folds[0]
    assert first.train_loss == (1.5, None, pytest.approx(1.3))
    assert "nan" not in training_figure([first]).lower()


def test_long_trainings_do_not_swell_the_page():
    long = [curves(*[1 + 1 / (1 + n) for n in range(1000)], fold=f"{k}") for k in range(24)]
    assert len(training_figure(long)) < 400_000


def test_names_are_data_not_markup(metrics):
    hostile = '"><script>alert(1)</script>'
    models = metrics["protocols"]["loso"]["models"]
    models[hostile] = models.pop("cnn")
    assert "<script" not in render_report(metrics)
