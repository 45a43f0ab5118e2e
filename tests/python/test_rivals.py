"""Rivals to copying, from outside: what the source plays is what it would choose, nothing is learned
meanwhile, what is off changes no bit, and all that `graft` and studies have of grafts they have, too."""

import csv
import json
import pathlib
import re
import signal
import subprocess
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from networks import activations, padded
from test_graft import ACTIONS, QGRAFT, SMALL, SOURCE, TARGET, plan, refused, run, said, train

pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")
ALL = ["--warm-replay", 500, "--qdagger", 60, "--kickstart", 700, "--distill-weight", 0.5,
       "--distill-tau", 0.3, "--policy-reuse", 0.7, "--policy-reuse-decay", 0.9]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rivals") / "source"
    train(SOURCE, folder, "--steps", 0, "--seed", 7, settings=SMALL)
    network = load_file(folder / "last.safetensors")
    random = np.random.default_rng(5)
    for name, values in network.items():  # its choices differ from state to state
        spread = random.normal(size=values.shape) * (0.3 if name.endswith("weight") else 0)
        network[name] = spread.astype(np.float32)
    train(TARGET, folder / "seen", "--steps", 500, "--keep-replay", settings=SMALL)
    run("replay", folder / "seen" / "replay.data", "--export", folder / "screens")
    seen = q_values(network, load_file(folder / "screens")["observations"])
    network["fc2.bias"] = -seen.mean(0).astype(np.float32)
    save_file(network, folder / "spread.safetensors", said(folder / "last.safetensors"))
    return folder / "spread.safetensors"


def reuse(source, folder, *words, steps=1500, **settings):
    run("graft", source, "--to", TARGET, "--out", folder, "--quiet", "--seed", 3, "--steps", steps,
        *words, settings={**SMALL, "log_every": 100, **settings})
    return load_file(folder / "last.safetensors")


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def q_values(network, screens):
    return activations(network, padded(screens))[-1]


def test_what_the_source_plays(source, tmp_path):
    """Its best action among those that both games have; nothing learns before it has ended."""
    played = 600
    folder = tmp_path / "run"
    reuse(source, folder, "--warm-replay", played, "--keep-replay", "--snapshot", f"0,{played},900",
          epsilon_end=0)
    run("replay", folder / "replay.data", "--export", tmp_path / "played")
    data = load_file(tmp_path / "played")
    values = q_values(load_file(source), data["observations"])[:, [0, 1, 2]]  # noop, left, right
    assert ACTIONS[TARGET][:3] == ACTIONS[SOURCE]
    steps = np.flatnonzero(data["ends"][:played] == 0)
    best, chosen = values.max(1), values[np.arange(len(values)), np.minimum(data["actions"], 2)]
    assert len(steps) > 500 and (data["actions"][steps] < 3).all()
    assert (chosen[steps] >= best[steps] - 1e-4).all()
    assert len(set(data["actions"][steps])) > 1
    later = np.flatnonzero(data["ends"][played:1400] == 0) + played
    assert 3 in data["actions"][later]  # fire, which the source does not know
    begin, then, after = (load_file(folder / f"step-{s}.safetensors") for s in (0, played, 900))
    for name in begin:
        assert (begin[name] == then[name]).all() and not (begin[name] == after[name]).all()
    updates = {int(r["step"]): int(r["updates"]) for r in rows(folder / "training.csv")}
    assert updates[600] == 0 and updates[1500] == 1499 // 8 - played // 8


def test_a_source_with_many_outputs(source, tmp_path):
    """More than any game has actions."""
    network = load_file(source)
    for name in ("fc2.weight", "fc2.bias"):
        network[name] = np.concatenate([network[name], np.zeros((5000, *network[name].shape[1:]), np.float32)])
    save_file(network, tmp_path / "wide", said(source))
    few, many = (reuse(path, tmp_path / path.name[0], "--warm-replay", 300, steps=600, epsilon_end=0)
                 for path in (source, tmp_path / "wide"))
    assert all((few[name] == many[name]).all() for name in few)


def test_offline_updates(source, tmp_path):
    """QDagger's come before the steps go on, between the last played step and the next."""
    reuse(source, tmp_path / "run", "--warm-replay", 500, "--qdagger", 60, "--kickstart", 700)
    updates = {int(r["step"]): int(r["updates"]) for r in rows(tmp_path / "run" / "training.csv")}
    assert updates[500] == 0 and updates[600] == 60 + (599 - 500) // 8
    assert updates[1500] == 60 + 1499 // 8 - 500 // 8
    without = reuse(source, tmp_path / "without", "--warm-replay", 500, "--kickstart", 700)
    assert not (without["fc2.weight"] == load_file(tmp_path / "run" / "last.safetensors")["fc2.weight"]).all()


def test_the_target_network_in_offline_updates(source, tmp_path):
    """Moves as often as in the steps of so many updates: 60 of 8 steps, a target network every 12, are 40."""
    words = ["--warm-replay", 500, "--qdagger", 60, "--kickstart", 700]
    every = {n: reuse(source, tmp_path / str(n), *words, steps=508, target_update="soft", target_every=n)
             for n in (8, 12, 479, 481)}
    same = [{n for n in every if all((every[n][k] == every[m][k]).all() for k in every[m])} for m in every]
    assert same == [{8}, {12}, {479}, {481}]


def stop_after(pause, source, out, *words):
    """Stopped `pause` seconds behind the evaluation of step 501, where offline updates begin; how many there
    were, 0: not known."""
    sets = [w for k, v in {**SMALL, "eval_every": 501, "eval_steps": 50}.items()
            for w in ("--set", f"{k}={v}")]
    process = subprocess.Popen(
        list(map(str, [QGRAFT, "graft", source, "--to", TARGET, "--out", out, "--quiet", "--steps", 1000,
                       "--warm-replay", 500, "--qdagger", "5M", "--kickstart", 600, "--snapshot", 501, *sets, *words])),
        stderr=subprocess.PIPE, text=True)
    while not (out / "step-501.safetensors").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode in (130, -signal.SIGINT), stderr
    found = re.search(r"after (\d+) of", stderr)
    return int(found[1]) if found else 0


def test_stopped_in_offline_updates(source, tmp_path):
    """At a step that was evaluated: the network that is kept is another one by now, and has no score."""
    for pause in (0.3, 1, 3, 10, 30):  # a busy machine may not have begun with them
        out = tmp_path / str(pause)
        if count := stop_after(pause, source, out):
            break
    evaluated, kept = said(out / "step-501.safetensors"), said(out / "last.safetensors")
    assert kept["step"] == "501" and "score" in evaluated and "score" not in kept
    before = (out / "step-501.safetensors").read_bytes()
    for pause in (0.3, 1, 3, 10, 30):
        if (now := stop_after(pause, source, out, "--resume")) > count:
            break
    assert now > count > 0
    assert (out / "step-501.safetensors").read_bytes() == before and "score" not in said(out / "last.safetensors")


def test_kickstarting_imitates(source, tmp_path):
    """With all the weight on the distillation the source's choices are learned; a distillation that is
    over before the first update leaves the baseline's bits, as does a policy that is not reused."""
    baseline = train(TARGET, tmp_path / "baseline", "--steps", 1500, "--seed", 3,
                     settings={**SMALL, "log_every": 100})
    off = reuse(source, tmp_path / "off", "--kickstart", 1)
    never = reuse(source, tmp_path / "never", "--policy-reuse", 1e-6)
    for name in baseline:
        assert off[name].tobytes() == never[name].tobytes() == baseline[name].tobytes()
    for name in ("evaluations.csv", "training.csv"):
        assert (tmp_path / "off" / name).read_bytes() == (tmp_path / "baseline" / name).read_bytes()
    strong = ["--kickstart", "1M", "--distill-weight", 100, "--keep-replay"]
    student = reuse(source, tmp_path / "strong", *strong, learning_rate=0.0005)
    run("replay", tmp_path / "strong" / "replay.data", "--export", tmp_path / "seen")
    screens = load_file(tmp_path / "seen")["observations"][-1000:]
    choice = q_values(load_file(source), screens).argmax(1)
    agreement = [(q_values(n, screens)[:, :3].argmax(1) == choice).mean() for n in (student, baseline)]
    assert agreement[0] > 0.8 and agreement[0] > agreement[1] + 0.1


def test_same_bits(source, tmp_path):
    """For any number of threads, and done again; all that was asked for is written down."""
    folder = tmp_path / "one"
    reuse(source, folder, *ALL, "--first", 2)
    reuse(source, tmp_path / "two", *ALL, "--first", 2, "--threads", 2)
    run("perform", folder / "run.yaml", "--out", tmp_path / "again", "--quiet")
    for other in ("two", "again"):
        for name in ("last.safetensors", "training.csv", "evaluations.csv", "run.yaml"):
            assert (folder / name).read_bytes() == (tmp_path / other / name).read_bytes(), name
    words = ("kickstart=700 distill_weight=0.5 distill_tau=0.3 warm_replay=500 qdagger=60 "
             "policy_reuse=0.7 policy_reuse_decay=0.9")
    assert f"choice: first 2 {words}\n" in (folder / "run.yaml").read_text()
    notes = said(folder / "last.safetensors")
    assert notes["reused"] == words and notes["copied"] == "conv1,conv2"
    reuse(source, tmp_path / "alone", "--kickstart", 9, steps=0)
    notes = said(tmp_path / "alone" / "last.safetensors")
    assert notes["reused"] == "kickstart=9" and "copied" not in notes and notes["parent_domain"] == SOURCE
    shown = json.loads(run("inspect", tmp_path / "alone" / "last.safetensors", "--pedigree", "--json").stdout)
    assert "kickstart=9" in json.dumps(shown)
    table = plan(source, TARGET, "--kickstart", 9)
    assert table["choice"] == "none kickstart=9" and {l["copied_from"] for l in table["layers"]} == {None}


def test_by_position(source, tmp_path):
    """A source whose file names no actions."""
    save_file(load_file(source), tmp_path / "nameless", {**said(source), "actions": ""})
    assert "`match`" not in refused(tmp_path / "nameless", TARGET, "--kickstart", 9)
    text = refused(tmp_path / "nameless", TARGET, "--kickstart", 9)
    assert "source's (unknown); --match index pairs by position" in text
    assert "has 3 actions, the target 4" in refused(tmp_path / "nameless", TARGET, "--kickstart", 9,
                                                    "--match", "index")
    for name, folder in (("nameless", "index"), (source, "meaning")):
        run("graft", tmp_path / name, "--to", SOURCE, "--warm-replay", 400, "--out", tmp_path / folder,
            "--steps", 600, "--quiet", *(["--match", "index"] if folder == "index" else []), settings=SMALL)
    assert (load_file(tmp_path / "index" / "last.safetensors")["fc2.weight"]
            == load_file(tmp_path / "meaning" / "last.safetensors")["fc2.weight"]).all()


@pytest.mark.parametrize("words, text", [
    ([], "one of --first, --last, --layers and --part is needed, or --kickstart, --warm-replay or"),
    (["--qdagger", 9], "--qdagger: means nothing without --warm-replay"),
    (["--kickstart", 0], "--kickstart: '0' is not a whole number from 1"),
    (["--kickstart", 9, "--distill-tau", 0], "--distill-tau: '0' is not a number from 1e-6 to 1e+06"),
    (["--kickstart", 9, "--distill-tau", "nan"], "--distill-tau: 'nan' is not a number"),
    (["--policy-reuse", 1.1], "--policy-reuse: '1.1' is not a number from 1e-6 to 1"),
    (["--policy-reuse", 1, "--policy-reuse-decay", 1], "the new network would never act"),
    (["--policy-reuse", 1, "--distill-weight", 1], "--distill-weight: means nothing without --kickstart"),
    (["--warm-replay", 9, "--qdagger", 9], "--qdagger: means nothing without --kickstart"),
    (["--kickstart", 9, "--qdagger", 9], "--qdagger: means nothing without --warm-replay"),
    (["--warm-replay", 1000], "--warm-replay: nothing would be learned in the 1000 steps of the run"),
    (["--kickstart", 9, "--set", "learn_start=999"],
     "--kickstart: nothing would be learned in the 1000 steps of the run: 'learn_start' waits for the first 999"),
    (["--kickstart", 9, "--set", "learn_start=996"],  # an update every four steps: the next is the 1000th
     "--kickstart: nothing would be learned in the 1000 steps of the run: 'learn_start' waits for the first 996"),
    (["--warm-replay", 9, "--qdagger", 9, "--kickstart", 99],
     "--qdagger: its updates begin behind 'learn_start' (200), and the source plays 9 of these steps"),
    (["--warm-replay", 900, "--set", "replay=899"], "--warm-replay: the memory has room for 899 of 900"),
    (["--kickstart", 9, "--freeze"], "--freeze: no layer is copied"),
    (["--kickstart", 9, "--l2-sp", 1], "--l2-sp: no layer is copied"),
    (["--kickstart", 9, "--set", "history=2"], "reuse of the source: it sees 1 screens at a time, the run 2"),
])
def test_without_sense(source, words, text):
    assert text in refused(source, TARGET, "--steps", 1000, "--set", "learn_start=200", "--set",
                           "validation_size=100", *words)


def test_random_has_no_policy(source):
    text = refused("random", TARGET, "--first", 1, "--freeze", "--kickstart", 9)
    assert "--kickstart: random layers have no policy" in text


STUDY = {"study": "rivals", "seeds": 1, "steps": 1000, "settings": {**SMALL, "eval_every": 500},
         "sources": {"s": {"game": SOURCE}},
         "runs": [{"game": TARGET}, {"game": TARGET, "from": "s", "kickstart": [400, 800]},
                  {"game": TARGET, "from": "s", "first": 2, "policy_reuse": 0.5},
                  {"game": TARGET, "from": "s", "warm_replay": 400, "qdagger": 20, "kickstart": 400}]}


def test_study(tmp_path):
    """Lists multiply, budgets shrink, hashes differ, and the report takes runs that copy nothing."""
    file, folder = tmp_path / "study.yaml", tmp_path / "study"
    file.write_text(json.dumps(STUDY))
    rivals = pathlib.Path(__file__).parents[2] / "studies/rivals.yaml"
    assert "kickstart-2000-warm_replay-500-qdagger-250" in run("run", rivals, "--plan", "--scale", 0.01).stdout
    run("run", file, "--out", folder, "--quiet", "--scale", 0.5)
    run("report", folder)
    names = {p.name for p in (folder / "runs").iterdir() if (p / "s1" / "run.yaml").exists()}
    ids = [f"minatar-space_invaders-from-s-{name}" for name in (
        "kickstart-200", "kickstart-400", "first2-policy_reuse-0.5",
        "kickstart-200-warm_replay-200-qdagger-10")]
    assert names >= set(ids)
    hashes = [json.loads((folder / "runs" / i / "s1" / "task.json").read_text())["hash"] for i in ids]
    assert len(set(hashes)) == 4
    metrics = {r["run"]: r for r in rows(folder / "metrics.csv")}
    assert [metrics[i]["copied"] for i in ids] == [
        "kickstart=200", "kickstart=400", "first 2 (policy_reuse=0.5)",
        "kickstart=200 warm_replay=200 qdagger=10"]
    page = (folder / "report.html").read_text()
    assert "kickstart=200" in page and "none of s" not in page and "Over all steps" in page
    budgets = {r["run"]: r for r in rows(folder / "budgets.csv")}
    assert budgets[ids[3]]["offline"] == "80" and budgets[ids[3]]["all_steps"] == "1080"
    assert budgets[ids[0]]["long_baseline"] == budgets[ids[0]]["long_baseline_score"] == ""


BUDGETS = {"study": "budgets", "seeds": 2, "steps": 600, "settings": {**SMALL, "eval_every": 300},
           "long_baseline": True,
           "sources": {"a": {"game": SOURCE, "steps": 400}, "early": {"from": "a", "at": 350},
                       "ab": {"game": TARGET, "from": "early", "first": 2, "steps": 500},
                       "student": {"distill": ["a", "ab"], "samples": 320, "temperature": "0.1:0.2:0.1",
                                   "settings": {"minibatch": 16, "update_every": 4, "log_every": 500,
                                                "eval_every": 1000, "eval_steps": 100}}},
           "runs": [{"game": TARGET}, {"game": TARGET, "from": "early", "kickstart": 300, "name": "kick"},
                    {"game": TARGET, "from": "a", "warm_replay": 400, "qdagger": 20, "kickstart": 400,
                     "name": "qdagger"},
                    {"game": TARGET, "from": "ab", "first": 1, "ewc": 1, "ewc_samples": 7, "name": "chain"},
                    {"game": TARGET, "from": "student", "first": 1, "name": "taught"}]}


def test_budgets(tmp_path):
    """Each run's steps with those that it rests on, counted once; a baseline that trains as long."""
    file, folder = tmp_path / "study.yaml", tmp_path / "study"
    file.write_text(json.dumps(BUDGETS))
    run("run", file, "--out", folder, "--quiet")
    run("report", folder)
    found = {r["run"]: r for r in rows(folder / "budgets.csv")}
    held_out = 320 // 50
    lessons = 2 * 2 * 320  # temperatures, teachers; an update of 16 counts as 4 steps
    expected = {"kick": (350, 0, 0), "qdagger": (400, 0, 20 * 8), "chain": (350 + 500, 0, 7 * 10),
                "taught": (400 + 500, 2 * (320 + held_out) + lessons / 16 * 4, 0)}
    assert set(found) == set(expected)
    longest = max(600 + sum(parts) for parts in expected.values())
    long = folder / "runs" / "minatar-space_invaders-long"

    def scores(path):
        return [(int(r["step"]), float(r["score"])) for r in rows(path / "evaluations.csv")]

    curves = [dict(scores(long / f"s{s}")) for s in (1, 2)]
    assert max(curves[0]) == longest
    for name, parts in expected.items():
        row = found[name]
        assert [float(row[k]) for k in ("training", "distillation", "offline", "steps")] == [*parts, 600]
        all_steps = 600 + sum(parts)
        assert float(row["all_steps"]) == all_steps
        ends = [scores(folder / "runs" / name / f"s{s}")[-1][1] for s in (1, 2)]
        assert float(row["score"]) == pytest.approx(np.mean(ends))
        step = max(s for s in curves[0] if s <= all_steps)
        assert float(row["long_baseline_score"]) == pytest.approx(np.mean([c[step] for c in curves]))
    for s in (1, 2):  # the same training, gone on with
        short = scores(folder / "runs" / "minatar-space_invaders" / f"s{s}")
        assert scores(long / f"s{s}")[:len(short)] == short
    page = (folder / "report.html").read_text()
    assert "Over all steps" in page and "long_baseline" in page
    drawn = [r for p in (folder / "figures").glob("all-steps*.csv") for r in rows(p) if r["row"] == "mean"]
    begin = {r["run"]: min(int(q["step"]) for q in drawn if q["run"] == r["run"]) for r in drawn}
    assert begin == {"minatar-space_invaders": 0, "minatar-space_invaders-long": 0,
                     **{name: int(sum(parts)) for name, parts in expected.items()}}
    assert list((folder / "figures").glob("all-steps*.svg"))
    file.write_text(json.dumps({**BUDGETS, "long_baseline": "perhaps"}))
    assert "long_baseline: 'perhaps' is neither true nor false" in run("run", file, "--plan", code=2).stderr


@pytest.mark.parametrize("run_keys, text", [
    ({}, "from: exactly one of first, last, layers, part says what is copied, unless kickstart"),
    ({"kickstart": 0}, "kickstart: '0' is not a whole number from 1"),
    ({"warm_replay": 1000}, "nothing would be learned in the 1000 steps"),
    ({"policy_reuse": 2}, "policy_reuse: '2' is not a number from 1e-6 to 1"),
    ({"kickstart": 5, "freeze": True}, "no layer is copied"),
    ({"kickstart": 5, "settings": {"history": 2}}, "from: 's' sees 1 screens at a time, the run 2"),
    ({"game": "minatar/asterix", "first": 2, "settings": {"history": 2}}, "from: 's' sees 1 screens at a time, the run 2: its first layer"),
    ({"kickstart": 5, "from": "random"}, "random layers"),
])
def test_studies_without_sense(tmp_path, run_keys, text):
    graft = {"game": TARGET, "from": "s", **run_keys}
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps({**STUDY, "runs": [{"game": TARGET}, graft]}))
    error = run("run", file, "--plan", "--out", tmp_path / "no", code=2).stderr
    assert text in error and error.count("\n") == 1
