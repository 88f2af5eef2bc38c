"""The report leads with the honest figure, names the leaky one, and needs nothing but itself."""

from __future__ import annotations

import copy
import functools
import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from emodask.emotions import EMOTIONS
from emodask.errors import EvaluationError
from emodask.evaluation.calibration import calibration
from emodask.evaluation.metrics import summarise
from emodask.evaluation.pages.actor_figure import per_actor_figure
from emodask.evaluation.pages.figures import confusion_figure, per_emotion_figure
from emodask.evaluation.pages.reliability_figure import reliability_figure
from emodask.evaluation.pages.report import render_report, write_report
from emodask.evaluation.protocols import PROTOCOLS
from emodask.evaluation.results import headline, headline_row, rows
from emodask.evaluation.terminal import terminal_table
from tests.evaluation.fabricated import fabricated, metrics_of

HOSTILE = '"><script>alert(1)</script><img src="https://evil.example/x" onerror=alert(1)>'
VOID = {"meta", "link", "br", "img", "input", "hr"}


@functools.lru_cache
def _scores(skill: float, n_actors: int = 14, seed: int = 0) -> dict:
    """Fabricate scores of a model that is right with probability ``skill``, else guesses."""
    rng = np.random.default_rng(seed)
    actors = np.repeat(np.arange(1, n_actors + 1), 16)
    true = np.tile(np.arange(1, 9), 2 * n_actors)
    guess = rng.integers(1, 9, len(true))
    predicted = np.where(rng.random(len(true)) < skill, true, guess)
    return summarise(true, predicted, actors, EMOTIONS, seed)


def _summary(skill: float) -> dict:
    return copy.deepcopy(_scores(skill))


def _entry(name: str, models: dict) -> dict:
    protocol = PROTOCOLS[name]
    return {
        "speaker_independent": protocol.speaker_independent,
        "description": protocol.description,
        "notes": [],
        "n_clips": 224,
        "n_actors": 14,
        "folds": 14,
        "models": models,
    }


def _metrics() -> dict:
    loso = {
        "svm": _summary(0.3),
        "mlp": _summary(0.4),
        "mlp+adapted": _summary(0.6),
        "mlp+permuted": _summary(0.0),
    }
    return {
        "protocols": {
            "within-actor": _entry("within-actor", {"mlp": _summary(0.8)}),
            "luna-5": {
                "speaker_independent": True,
                "description": PROTOCOLS["luna-5"].description,
                "not_run": "no clips of group 3",
            },
            "actors-20-4": _entry("actors-20-4", {"mlp": _summary(0.7)}),
            "loso": _entry("loso", loso),
        },
        "job": {"name": "hog3d-spline", "description": "two modalities", "model": {"alpha": 0.07}},
        "versions": {"emodask": "0.1.0"},
        "data": {
            "clips": 227,
            "done": 224,
            "failed": 3,
            "incomplete": 0,
            "actors": list(range(1, 15)),
            "emotions": list(EMOTIONS),
            "failures": [{"clip_id": "01-06-01-02-01-12", "error": "decode: no frames"}],
            "credit": "Livingstone & Russo 2018",
        },
        "created": "2025-11-21",
        "digest": "9f2c61d5",
    }


@pytest.fixture
def metrics() -> dict:
    return _metrics()


@pytest.fixture(scope="module")
def page() -> str:
    """Render the page of the metrics, unaltered."""
    return render_report(_metrics())


class _Page(HTMLParser):
    """Collects elements and attributes, and checks that elements close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.stack: list[str] = []
        self.feed(page)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_headline_is_the_best_unadapted_model_on_people_never_met(metrics):
    row = headline_row(metrics)
    assert (row.protocol, row.model) == ("loso", "mlp")
    summary = metrics["protocols"]["loso"]["models"]["mlp"]
    sentence = headline(metrics)
    assert sentence.startswith("On people it has never heard or seen, hog3d-spline recognises")
    low, high = summary["uar_ci95"]
    assert f"{100 * summary['uar']:.1f} % of emotions" in sentence
    assert f"95 % interval {100 * low:.1f}–{100 * high:.1f}" in sentence
    assert sentence.endswith("chance is 12.5 %.")


def test_headline_falls_back_to_the_next_speaker_independent_protocol(metrics):
    metrics["protocols"]["loso"] = {"speaker_independent": True, "not_run": "x"}
    assert headline_row(metrics).protocol == "actors-20-4"


def test_headline_never_quotes_a_leaky_protocol(metrics):
    metrics["protocols"] = {"within-actor": metrics["protocols"]["within-actor"]}
    assert headline_row(metrics) is None
    assert "is not known" in headline(metrics)
    assert "%" not in headline(metrics)
    assert "Under the leaky protocol within-actor" in render_report(metrics)


def test_headline_of_an_adapted_model_alone_says_so(metrics):
    loso = metrics["protocols"]["loso"]["models"]
    metrics["protocols"] = {"loso": _entry("loso", {"mlp+adapted": loso["mlp+adapted"]})}
    assert "after adapting to each" in headline(metrics)


def test_headline_says_when_the_interval_holds_chance(metrics):
    metrics["protocols"] = {"loso": _entry("loso", {"mlp": _summary(0.0)})}
    assert headline(metrics).endswith("That is not distinguishable from guessing.")


def test_a_control_is_never_the_headline(metrics):
    metrics["protocols"] = {"loso": _entry("loso", {"mlp+permuted": _summary(0.0)})}
    assert headline_row(metrics) is None


def test_speaker_independent_rows_come_first_and_leaky_last(metrics):
    found = rows(metrics)
    names = list(dict.fromkeys(row.protocol for row in found))
    assert names == ["loso", "luna-5", "actors-20-4", "within-actor"]
    loso = [row.model for row in found if row.protocol == "loso"]
    assert loso == ["mlp", "svm", "mlp+adapted", "mlp+permuted"]


def test_a_protocol_unknown_here_still_comes_before_leaky_ones(metrics):
    metrics["protocols"]["other"] = metrics["protocols"].pop("loso")
    assert [r.protocol for r in rows(metrics)][-2:] == ["other", "within-actor"]


def test_page_names_leaky_protocols_with_the_reason(page):
    body = page[page.index("<tbody") :]
    assert body.index(">loso<") < body.index(">actors-20-4<") < body.index(">within-actor<")
    leaky = body[body.index(">within-actor<") :]
    assert ">leaky<" in leaky
    assert PROTOCOLS["within-actor"].leaky_reason in leaky
    assert ">leaky<" not in body[: body.index(">within-actor<")]


def test_page_tells_what_did_not_run_what_failed_and_where_it_comes_from(page):
    text = " ".join(_Page(page).text)
    for expected in (
        "Not run: no clips of group 3.",
        "227 clips: 224 done, 3 failed",
        "decode: no frames",
        "and 2 more",
        "model.alpha",
        "0.07",
        "9f2c61d5",
        "Livingstone & Russo 2018",
    ):
        assert expected in text


def test_page_says_that_the_headline_model_was_picked_among_others(page):
    assert "of mlp, the best of 2 models by this very figure, under" in page


def test_page_states_leakage_as_one_number_with_its_interval(metrics, page):
    assert "Leakage" not in page
    metrics["leakage"] = {"mlp": {"difference": 0.315, "ci95": [0.25, 0.38]}}
    text = " ".join(_Page(render_report(metrics)).text).replace("\u2060", "")
    assert "Leakage: 31.5 points (95\u00a0% interval 25.0–38.0)" in text
    assert "Leakage, the difference: +31.5 points." in text
    assert "+25.0 to +38.0" in text
    metrics["leakage"]["mlp"] = {"difference": -0.02, "ci95": None}
    assert "shows no advantage for mlp" in render_report(metrics)


def test_page_warns_of_intervals_over_few_actors(metrics, page):
    warning = "cannot show how much people differ"
    assert warning not in page
    metrics["protocols"]["actors-20-4"]["n_actors"] = 2
    assert f"2 actors {warning}" in render_report(metrics)


def test_credit_is_given_only_where_there_is_one(metrics):
    del metrics["data"]["credit"]
    assert "<footer>" not in render_report(metrics)


def test_page_makes_no_requests_and_runs_nothing(page):
    found = _Page(page)
    assert not {"script", "iframe", "object", "embed", "img", "base", "form"} & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "xlink:href", "data", "action"):
            assert value.startswith(("data:", "#"))
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", page)


def _spoil(value):
    """Replace every text that a job, a store or a model's name could bring in."""
    if isinstance(value, dict):
        return {
            HOSTILE + k if k in ("mlp", "alpha", "calm", "emodask") else k: _spoil(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_spoil(v) for v in value]
    return HOSTILE + value if isinstance(value, str) else value


def test_hostile_text_is_inert(metrics, page):
    plain, spoiled = _Page(page), _Page(render_report(_spoil(metrics)))
    assert set(spoiled.tags) == set(plain.tags)
    assert {name for name, _ in spoiled.attributes} == {name for name, _ in plain.attributes}
    assert any(HOSTILE in text for text in spoiled.text)


def test_page_ids_are_unique_and_pictures_are_drawn_per_protocol(page):
    found = _Page(page)
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {v for name, v in found.attributes if name == "xlink:href"}
    assert used <= {f"#{i}" for i in ids}
    assert found.tags.count("svg") == 3 * 3


def test_the_same_metrics_give_the_same_page(metrics, page):
    assert render_report(metrics) == page


def test_page_of_the_least_metrics_is_whole(metrics):
    summary = metrics["protocols"]["loso"]["models"]["mlp"]
    least = {
        "protocols": {"loso": {"speaker_independent": True, "models": {"mlp": summary}}},
        "job": {},
    }
    page = render_report(least)
    _Page(page)
    assert "this system recognises" in page
    assert "Clips</h2>" not in page


def test_report_is_written_into_a_new_folder(metrics, page, tmp_path):
    target = write_report(metrics, str(tmp_path / "new" / "report"))
    written = tmp_path / "new" / "report" / "index.html"
    assert target == str(written)
    assert written.read_text(encoding="utf-8") == page


def test_a_report_that_cannot_be_written_is_an_error_with_the_place(metrics, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    metrics["protocols"] = {"loso": {"speaker_independent": True, "not_run": "x"}}
    with pytest.raises(EvaluationError, match=r"taken.*cannot be written"):
        write_report(metrics, str(tmp_path / "taken"))


def test_page_lists_a_hundred_failures_and_counts_the_rest(metrics):
    metrics["protocols"] = {"loso": {"speaker_independent": True, "not_run": "x"}}
    metrics["data"]["failures"] = [{"clip_id": f"clip-{i}", "error": "e"} for i in range(150)]
    found = render_report(metrics)
    assert found.count(">clip-") == 100
    assert "and 50 more" in found


def _drawn_text(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter() if "text" in e.tag]


def test_confusion_figure_shows_counts_and_row_percentages():
    text = _drawn_text(confusion_figure([[30, 10], [0, 7]], ["happy", "$x^2$ & <b>"]))
    assert text.count("$x^2$ & <b>") == 2
    for shown in ("75", "30", "25", "10", "100", "7", "40 clips", "7 clips"):
        assert shown in text
    assert "0" not in text


def test_confusion_figure_survives_an_emotion_without_clips():
    assert "0 clips" in _drawn_text(confusion_figure([[2, 1], [0, 0]], ["happy", "calm"]))


def test_per_emotion_figure_shows_values_and_dashes_for_undefined():
    scores = {
        "happy": {"recall": 0.51, "precision": 0.62, "f1": 0.56, "support": 9},
        "calm": {"recall": None, "precision": 0.0, "f1": 0.0, "support": 0},
    }
    text = _drawn_text(per_emotion_figure(scores))
    assert {"51", "62", "56", "9", "–"} <= set(text)


@pytest.mark.parametrize("figure", [confusion_figure, per_emotion_figure])
def test_figures_take_the_page_colour_and_leave_pyplot_alone(figure, metrics):
    import matplotlib

    before = dict(matplotlib.rcParams)
    summary = metrics["protocols"]["loso"]["models"]["mlp"]
    if figure is confusion_figure:
        svg = figure(summary["confusion"], EMOTIONS, 'a "title" & <more>')
    else:
        svg = figure(summary["per_emotion"], 'a "title" & <more>')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'a "title" & <more>'
    assert "currentColor" in svg
    assert "#000000" not in svg
    assert "<style" not in svg
    assert dict(matplotlib.rcParams) == before


def _printed(metrics: dict, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(terminal_table(metrics))
    return out.getvalue()


def test_terminal_table_fits_eighty_columns_without_cutting(metrics):
    metrics["protocols"]["within-actor"]["models"]["mlp+adapted"] = _summary(1.0)
    text = _printed(metrics)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    for row in rows(metrics):
        line = next(
            line
            for line in text[text.index(row.protocol) :].splitlines()
            if not row.model or f" {row.model} " in line
        )
        if row.not_run:
            assert "not run" in line
            continue
        low, high = row.uar_ci95
        assert f"{100 * row.uar:.1f} [{100 * low:.1f}–{100 * high:.1f}]" in line
        assert f"{100 * row.accuracy:.1f} {100 * row.macro_f1:.1f}".replace(" ", "") in (
            line.replace(" ", "")
        )
        assert ("leaky" in line) == (not row.speaker_independent)


def test_terminal_table_shows_names_as_they_are(metrics):
    metrics["protocols"]["loso"]["models"] = {"[red]m[/]": _summary(0.5)}
    assert "[red]m[/]" in _printed(metrics)


@pytest.fixture
def described() -> dict:
    """Metrics as an evaluation writes them now, of models whose predictions are known."""
    return metrics_of(
        {
            ("loso", "mlp"): fabricated(0.4),
            ("loso", "svm"): fabricated(0.3, seed=1),
            ("within-actor", "mlp"): fabricated(0.9, seed=2),
        }
    )


def test_page_shows_whom_it_understands_what_it_got_wrong_and_whether_it_knows(described):
    summary = described["protocols"]["loso"]["models"]["mlp"]
    page = render_report(described)
    found = _Page(page)
    text = " ".join(" ".join(found.text).split()).replace("\u2060", "").replace("\u00a0", " ")
    assert found.tags.count("svg") == 4 * 2
    surest = summary["mistakes"][0]
    assert f"{surest['clip_id']} {surest['actor']} {surest['true']} {surest['predicted']}" in text
    assert "80.0 %" in text
    assert f"{100 * summary['calibration']['ece']:.1f} points" in text
    assert "mlp is overconfident: it states 80.0 % on average" in text
    assert "(p < 0.001): its figure is not luck" in text
    assert text.index("Surest mistakes") < text.index("Under the other protocols")


def test_luck_is_called_luck(described):
    control = described["protocols"]["loso"]["models"]["mlp"]["control"]
    control["p_value"] = 0.2
    text = " ".join(_Page(render_report(described)).text)
    assert "(p = 0.200): its figure may be luck" in text


def test_hostile_names_of_clips_and_actors_are_inert(described):
    plain = _Page(render_report(described))
    mistakes = described["protocols"]["loso"]["models"]["mlp"]["mistakes"]
    mistakes[0] |= {"clip_id": HOSTILE, "true": HOSTILE, "predicted": HOSTILE}
    described |= {"command": HOSTILE, "digest": "x"}
    spoiled = _Page(render_report(described))
    assert set(spoiled.tags) == set(plain.tags)
    assert sum(text.count(HOSTILE) for text in spoiled.text) == 4


def test_actor_figure_ranks_actors_and_stays_legible_with_many():
    scores = {str(a): {"uar": a / 200, "accuracy": 0.5, "clips": 8} for a in range(1, 101)}
    few = {actor: scores[actor] for actor in ("11", "91", "51")}
    text = _drawn_text(per_actor_figure(few, mean=0.25, chance=0.125))
    places = [text.index(actor) for actor in ("91", "51", "11")]
    assert places == sorted(places)
    assert {"46", "all", "chance"} <= set(text)
    assert "91" not in _drawn_text(per_actor_figure(scores))


def test_reliability_figure_shows_each_bin_and_draws_no_empty_one():
    bins = calibration([True, False, True], [0.95, 0.95, 0.35])["bins"]
    svg = reliability_figure(bins, "a <title>")
    text = _drawn_text(svg)
    assert text.count("0") >= 8
    assert {"1", "2", "clips"} <= set(text)
    assert ElementTree.fromstring(svg).get("aria-label") == "a <title>"
    assert svg.count("currentColor") > 5
