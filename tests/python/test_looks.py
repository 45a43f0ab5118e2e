"""Studies that look several times and give more seeds to what is not decided: levels against the
multivariate normal distribution, the seeds that follow, kills, and what is refused."""

import csv
import json
import os
import shutil
import signal
import subprocess
import time

import numpy
import pytest
import scipy.stats
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from test_cli import qgraft, refusal

STUDY = """
steps: 1k
seeds: 2
baseline_seeds: 3
settings: {eval_every: 200, eval_steps: 50, learn_start: 990, validation_size: 50, replay: 1k}
sources: {b: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: b, last: 1}
  - {game: minatar/breakout, from: b, first: [1, 2]}
games: {minatar/freeway: {random: 0, reference: 1}, minatar/breakout: {random: 0, reference: 1}}
"""
UNTIL = ("--until-decided", "--max-seeds", 5)


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looks")
    (folder / "study.yaml").write_text(STUDY)
    result = qgraft("run", folder / "study.yaml", "--out", folder / "out", *UNTIL)
    return folder, result.stderr, json.loads((folder / "out/looks.json").read_text())


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def seeds_of(folder, run):
    return sorted(int(path.name[1:]) for path in (folder / "runs" / run).iterdir())


def test_levels_spend_five_percent(looked):
    """P(no |Z| above its boundary up to a look) is 1 - what has been spent until then."""
    looks = looked[2]["looks"]
    assert [look["seeds"] for look in looks] == [2, 4, 5]
    fractions = numpy.array([look["seeds"] / 5 for look in looks])
    assert [look["fraction"] for look in looks] == pytest.approx(fractions)
    bounds = scipy.stats.norm.isf(numpy.array([look["level"] for look in looks]) / 2)
    for k in range(1, 4):
        t = fractions[:k]
        correlation = numpy.sqrt(numpy.minimum.outer(t, t) / numpy.maximum.outer(t, t))
        inside = scipy.stats.multivariate_normal(cov=correlation, seed=1).cdf(
            bounds[:k], lower_limit=-bounds[:k])
        side = 2 * scipy.stats.norm.sf(scipy.stats.norm.isf(0.0125) / numpy.sqrt(t[-1]))
        assert 1 - inside == pytest.approx(2 * side, abs=2e-5)


def test_only_what_is_open_gets_seeds(looked):
    folder, words, record = looked
    last = {arm["run"]: arm for arm in record["looks"][-1]["arms"]}
    assert set(last) == {"minatar-freeway-from-b-last1", "minatar-breakout-from-b-first1",
                         "minatar-breakout-from-b-first2"}
    most = {"b": 0, "minatar-freeway": 0}
    for run, arm in last.items():
        at = next((look["seeds"] for look in record["looks"] for it in look["arms"]
                   if it["run"] == run and it["decision"] != "open"), 5)
        assert seeds_of(folder / "out", run) == list(range(1, at + 1)) and arm["seeds"] == at
        most["b"] = max(most["b"], at)
        if "freeway" in run:
            most["minatar-freeway"] = -(-3 * at // 2)  # the baseline's three, in proportion
    for run, seeds in most.items():
        assert seeds_of(folder / "out", run) == list(range(1, seeds + 1))
    for number, look in enumerate(record["looks"], 1):
        decided = sum(arm["decision"] != "open" for arm in look["arms"])
        assert f"look {number}, {look['seeds']} seeds, level" in words
        assert f"{decided} of 3 decided" in words
        for arm in look["arms"]:
            if arm["decision"] in ("positive", "negative"):
                assert arm["adjusted_p"] <= max(it["level"] for it in record["looks"][:number])


# A network that always goes up is sure to cross the road; nothing is known of the other arm.
SURE = """
steps: 1k
seeds: 3
baseline_seeds: 4
settings: {eval_every: 200, eval_steps: 500, learn_start: 990, validation_size: 50, replay: 1k}
sources:
  up: {file: up.safetensors}
  b: {game: minatar/breakout, seeds: [1, 2, 3, 100]}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: up, last: 1, freeze: true}
  - {game: minatar/breakout, from: b, first: 1}
games: {minatar/freeway: {random: 0, reference: 10}, minatar/breakout: {random: 0, reference: 10}}
verdicts: {margin: 0.001, adjust: none}
claims: [{says: It helps, expect: positive, of: {from: b}}]
"""


def write_up(folder):
    qgraft("train", "minatar/freeway", "--out", folder / "fresh", "--steps", 60, "--quiet",
           "--set", "learn_start=50", "--set", "validation_size=50", "--set", "eval_steps=5")
    path = folder / "fresh/last.safetensors"
    with safe_open(path, "numpy") as file:
        said = file.metadata()
    network = load_file(path)
    network["fc2.weight"][:] = 0
    network["fc2.bias"][:] = [action == "up" for action in said["actions"].split(",")]
    save_file(network, folder / "up.safetensors", metadata=said)


def test_what_is_decided_early_gets_no_more_seeds(tmp_path):
    """Seeds of a file need not follow one another: 4 to 6 are added to 1, 2, 3 and 100."""
    write_up(tmp_path)
    (tmp_path / "study.yaml").write_text(SURE)
    out = tmp_path / "out"
    words = qgraft("run", tmp_path / "study.yaml", "--out", out, "--until-decided", "--max-seeds", 6,
                   "--spending", "pocock").stderr
    assert "look 1, 3 seeds" in words and "1 of 2 decided; more seeds for the others" in words
    looks = json.loads((out / "looks.json").read_text())["looks"]
    sure, open_one = "minatar-freeway-from-up-last1-frozen", "minatar-breakout-from-b-first1"
    assert [[arm["run"] for arm in look["arms"]] for look in looks] == [[sure, open_one]] * 2
    assert [[arm["decision"] for arm in look["arms"]] for look in looks] == [["positive", "open"]] * 2
    assert [[arm["seeds"] for arm in look["arms"]] for look in looks] == [[3, 3], [3, 6]]
    assert seeds_of(out, sure) == [1, 2, 3]
    assert seeds_of(out, "minatar-freeway") == [1, 2, 3, 4]
    assert seeds_of(out, open_one) == [1, 2, 3, 4, 5, 6]
    assert seeds_of(out, "b") == [1, 2, 3, 4, 5, 6, 100, 101, 102, 103, 104]  # the arm's baseline, too
    qgraft("report", out)
    area = {}
    for row in table(out / "metrics.csv"):
        if row["row"] == "seed":
            area[row["run"], int(row["seed"])] = float(row["area"]) / 10
    mean = {run: numpy.mean([area[run, seed] for seed in seeds])
            for run, seeds in ((open_one, (1, 2, 3)), ("b", (1, 2, 3, 100)))}  # those of the file
    claim, = table(out / "claims.csv")
    assert (claim["seeds"], claim["seeds_baseline"]) == ("3", "4")
    assert float(claim["effect"]) == pytest.approx(mean[open_one] - mean["b"])


def test_the_report_lists_the_looks(looked):
    folder, _, record = looked
    qgraft("report", folder / "out")
    page = (folder / "out/report.html").read_text()
    table = page[page.index("<h3>Looks</h3>"):]
    assert "looked at 3 times" in table and "obrien-fleming spending" in table
    assert table[:table.index("</table>")].count("<tr>") == 1 + 3 * 3
    names = {"open": "not decided"}
    with open(folder / "out/metrics.csv", newline="") as file:
        found = {row["run"]: row["verdict"] for row in csv.DictReader(file) if row["row"] == "pooled"}
    assert found == {arm["run"]: names.get(arm["decision"], arm["decision"])
                     for arm in record["looks"][-1]["arms"]}


def test_a_decision_stands(looked, tmp_path):
    """Whatever the data say later."""
    folder = shutil.copytree(looked[0] / "out", tmp_path / "out")
    record = json.loads((folder / "looks.json").read_text())
    for look in record["looks"]:
        look["arms"][-1]["decision"] = "negative"
    (folder / "looks.json").write_text(json.dumps(record))
    for path in (folder / "runs").glob("minatar-breakout-from-b-first2/s[345]"):
        shutil.rmtree(path)  # they are not asked for now
    qgraft("report", folder)
    page = (folder / "report.html").read_text()
    assert "decided at one of the study&#39;s looks" in page
    with open(folder / "metrics.csv", newline="") as file:
        row = [row for row in csv.DictReader(file) if row["run"] == "minatar-breakout-from-b-first2"
               and row["row"] == "pooled"]
    assert row[0]["verdict"] == "negative" and row[0]["seeds"] == "2"


def test_killed_and_gone_on(looked, tmp_path):
    """Wherever everything is killed, the same looks come out."""
    command = [os.environ["QGRAFT"], "run", tmp_path / "study.yaml", "--out", tmp_path / "out",
               *map(str, UNTIL), "--quiet"]
    (tmp_path / "study.yaml").write_text(STUDY)
    for seconds in (0.3, 0.8, 1.5):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    qgraft("run", tmp_path / "study.yaml", "--out", tmp_path / "out", *UNTIL, "--quiet")
    assert (tmp_path / "out/looks.json").read_bytes() == (looked[0] / "out/looks.json").read_bytes()
    qgraft("run", tmp_path / "out", "--until-decided", "--quiet")  # there is nothing left to do
    assert (tmp_path / "out/looks.json").read_bytes() == (looked[0] / "out/looks.json").read_bytes()


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_rule_stands(looked, tmp_path):
    """Whoever has seen results can change neither the rule nor how often is looked."""
    file = tmp_path / "study.yaml"
    copy = shutil.copytree(looked[0] / "out", tmp_path / "copy")
    before = contents(copy)
    for old, new, name in (
            ("games:", "verdicts: {margin: 0.9}\ngames:", "margin"),
            ("games:", "verdicts: {adjust: none}\ngames:", "adjust"),
            ("games:", "verdicts: {compare: welch}\ngames:", "compare"),
            ("freeway: {random: 0", "freeway: {random: -3", "games"),
            (", minatar/breakout: {random: 0, reference: 1}", "", "games"),
            ("\nseeds: 2", "\nseeds: [1, 7]", "seeds"),
            ("baseline_seeds: 3", "baseline_seeds: [4, 5, 6]", "baseline_seeds"),
            ("baseline_seeds: 3", "baseline_seeds: 9", "baseline_seeds")):
        file.write_text(STUDY.replace(old, new))
        assert STUDY.replace(old, new) != STUDY
        for more in (UNTIL, ()):
            error = qgraft("run", file, "--out", copy, *more, code=1).stderr
            assert f"'{name}' is not what the study was begun with" in error and error.count("\n") == 1
    assert contents(copy) == before
    (copy / "looks.json").unlink()
    file.write_text(STUDY)
    before = contents(copy)
    error = refusal("run", file, "--out", copy, *UNTIL)
    assert "of the runs that are compared have finished" in error and "another --out" in error
    assert contents(copy) == before


def test_a_folder_that_is_worked_on_is_not_begun(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY.replace("steps: 1k", "steps: 1M"))
    command = [os.environ["QGRAFT"], "run", tmp_path / "study.yaml", "--out", tmp_path / "out", "--quiet"]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        while not (tmp_path / "out/runs").exists():
            time.sleep(0.05)
        (tmp_path / "study.yaml").write_text(STUDY.replace("steps: 1k", "steps: 2M"))
        error = qgraft("run", tmp_path / "study.yaml", "--out", tmp_path / "out", *UNTIL, code=1).stderr
        assert f"{process.pid}" in error
        assert not (tmp_path / "out/looks.json").exists()
        assert "1M" in (tmp_path / "out/study.yaml").read_text()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_nonsense_is_refused(looked, tmp_path):
    folder = looked[0]
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    run = ("run", file, "--out", tmp_path / "out")
    assert "needs --max-seeds N" in refusal(*run, "--until-decided")
    assert "not between the 2 of the first look" in refusal(*run, "--until-decided", "--max-seeds", 2)
    assert "--max-seeds" in refusal(*run, "--until-decided", "--max-seeds", "many")
    assert "obrien-fleming or pocock" in refusal(*run, *UNTIL, "--spending", "all")
    assert "goes with --until-decided" in refusal(*run, "--max-seeds", 5)
    assert "goes with --until-decided" in refusal(*run, "--spending", "pocock")
    assert "goes without --plan" in refusal(*run, *UNTIL, "--plan")
    for old, new, message in (
            ("\nseeds: 2", "\nseeds: 1", "one seed decides nothing"),
            ("first: [1, 2]}", "first: 1, seeds: [1]}", "has other seeds than the study"),
            ("from: b, last: 1}", "from: b, last: 1, seeds: 1}", "has other seeds than the study")):
        file.write_text(STUDY.replace(old, new))
        assert message in refusal(*run, *UNTIL)
    file.write_text("steps: 1k\nseeds: 2\nruns: [{game: minatar/freeway}]\n")
    assert "lists no graft" in refusal(*run, *UNTIL)
    assert not (tmp_path / "out").exists()
    copy = shutil.copytree(folder / "out", tmp_path / "copy")
    changed = refusal("run", copy, "--until-decided", "--max-seeds", 9)
    assert "was begun with --max-seeds 5 --spending obrien-fleming" in changed
    text = (copy / "looks.json").read_text()
    for bad in (text[:100], text.replace('"hash": "', '"hash": "0'), text.replace('"seeds": 4', '"seeds": 3'),
                text.replace("obrien", "brien"), text.replace("minatar-freeway-from", "x")):
        (copy / "looks.json").write_text(bad)
        assert "looks.json" in qgraft("report", copy, code=1).stderr
    file.write_text(STUDY.replace("steps: 1k", "steps: 1200"))
    (copy / "looks.json").write_text(text)
    assert "of other runs than the study has now" in qgraft(
        "run", file, "--out", copy, *UNTIL, code=1).stderr
    package, before = pytest.importorskip("qgraft"), (copy / "study.yaml").read_text()
    with pytest.raises(package.Error, match="looks.json"):
        package.run_study(file, out=copy)
    assert (copy / "study.yaml").read_text() == before
