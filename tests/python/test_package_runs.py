"""Runs and studies by the installed package: the bits of the program, its errors as exceptions, progress,
Ctrl-C, and frames."""

import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

qgraft = pytest.importorskip("qgraft", reason="scripts/install-package.sh installs it")
pandas = pytest.importorskip("pandas")
QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

FEW = {"learn_start": 500, "eval_every": 1000, "eval_steps": 400, "log_every": 500,
       "validation_size": 100, "replay": 2000}
ROOT = pathlib.Path(__file__).parents[2]
SETS = [f"--set={key}={value}" for key, value in FEW.items()]


def program(*words):
    return subprocess.run([QGRAFT, *map(str, words)], capture_output=True, text=True, check=True)


def same(ours, theirs, names=("run.yaml", "evaluations.csv", "training.csv", "best.safetensors",
                              "last.safetensors")):
    for name in names:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package") / "breakout"
    return qgraft.train("minatar/breakout", out=folder, steps=2000, settings=FEW, seed=3,
                        snapshots=[1000])


def test_train(source, tmp_path):
    program("train", "minatar/breakout", "--steps=2000", *SETS, "--seed=3", "--snapshot=1000",
            "--out", tmp_path / "theirs")
    same(source.folder, tmp_path / "theirs")
    same(source.folder, tmp_path / "theirs", ["step-1000.safetensors"])
    assert (source.kind, source.domain, source.seed, source.steps) == ("train", "minatar/breakout", 3,
                                                                     2000)
    assert source.complete and source.settings["learn_start"] == 500
    assert source.settings["preset"] == "grid" and source.settings["clip_reward"] is False
    assert source.parents == [] and source.last.step == 2000
    pandas.testing.assert_frame_equal(source.evaluations,
                                      pandas.read_csv(tmp_path / "theirs/evaluations.csv"))
    assert list(source.training["step"]) == [500, 1000, 1500, 2000]
    history = source.layer_history
    assert len(history) == 5 * len(source.evaluations) and set(history["layer"]) == set(
        source.layers["layer"])
    pandas.testing.assert_frame_equal(history, pandas.read_csv(tmp_path / "theirs/layers.csv"))
    assert not source.layers["copied"].any() and source.layers["parameters"].sum() > 30000
    best = source.best  # played again at the end
    assert best.confirmed_score == best.confirmed_score != best.score
    best.save(tmp_path / "best.safetensors")
    assert qgraft.Network.load(tmp_path / "best.safetensors").confirmed_score == \
        best.copy().confirmed_score == best.confirmed_score


def test_graft(source, tmp_path):
    file = source.folder / "best.safetensors"
    ours = qgraft.graft(file, "minatar/asterix", out=tmp_path / "ours", first=2, freeze=True,
                        steps=1000, settings=FEW)
    program("graft", file, "--to=minatar/asterix", "--first=2", "--freeze", "--steps=1000", *SETS,
            "--out", tmp_path / "theirs")
    same(ours.folder, tmp_path / "theirs")
    assert ours.kind == "graft" and ours.parents == [str(file)]
    layers = ours.layers.set_index("layer")
    for column in ("copied", "frozen"):
        assert list(layers.index[layers[column]]) == ["conv1", "conv2"]
    weights = qgraft.Network.load(file)["conv1"].weight
    assert (ours.last["conv1"].weight == weights).all()
    rms = np.sqrt(np.mean(np.concatenate([weights.ravel(), ours.last["conv1"].bias]) ** 2))
    assert layers.loc["conv1", "rms"] == pytest.approx(rms)
    control = qgraft.graft("random", "minatar/asterix", out=tmp_path / "control", first=2,
                           freeze=True, steps=1000, settings=FEW)
    assert control.layers["frozen"].sum() == 2


def test_layers_copied_in_part(source, tmp_path):
    """The last layer: only the rows of actions that both games have."""
    run = qgraft.graft(source.folder / "best.safetensors", "minatar/asterix", out=tmp_path / "ours", last=2,
                       steps=500, settings=FEW)
    layers = run.layers.set_index("layer")
    assert list(layers.index[layers["copied"]]) == ["fc1", "fc2"] and not layers["frozen"].any()
    assert "fc2(3 of 5 rows)" in (run.folder / "last.safetensors").read_bytes()[:3000].decode(errors="replace")


def test_graft_between_free_and_frozen(source, tmp_path):
    file = source.folder / "best.safetensors"
    ours = qgraft.graft(file, "minatar/asterix", out=tmp_path / "ours", first=2, freeze=True, thaw=700,
                        lr_scale={1: 0.5, 3: 2}, l2_sp=0.01, also_evaluate=["minatar/breakout"],
                        steps=1000, settings=FEW)
    program("graft", file, "--to=minatar/asterix", "--first=2", "--freeze", "--thaw=700",
            "--lr-scale=1:0.5,3:2", "--l2-sp=0.01", "--also-evaluate=minatar/breakout",
            "--steps=1000", *SETS, "--out", tmp_path / "theirs")
    same(ours.folder, tmp_path / "theirs")
    same(ours.folder, tmp_path / "theirs", ["other_evaluations.csv"])
    with pytest.raises(qgraft.UsageError, match="thaw"):
        qgraft.graft(file, "minatar/asterix", out=tmp_path / "no", first=2, thaw=700, settings=FEW)


def test_natural_arguments(source, tmp_path):
    """Whole floats, numbers of numpy, one where several may be, layers by name: the same run."""
    file = source.folder / "best.safetensors"
    ours = qgraft.graft(file, "minatar/asterix", out=tmp_path / "ours", layers="conv2", lr_scale={"conv1": 0.5, 4: 2},
                        snapshots=5e2, also_evaluate="minatar/breakout", steps=1e3, seed=np.int64(2),
                        settings=FEW, freeze=np.True_)
    theirs = qgraft.graft(file, "minatar/asterix", out=tmp_path / "theirs", layers=[2], lr_scale={1: 0.5, 4: 2},
                          snapshots=[500], also_evaluate=["minatar/breakout"], steps=1000, seed=2,
                          settings=FEW, freeze=True)
    same(ours.folder, theirs.folder)
    same(ours.folder, theirs.folder, ["other_evaluations.csv", "step-500.safetensors"])
    (tmp_path / "settings.yaml").write_text("preset: grid\n")  # says less than `network`
    small = qgraft.distill(file, out=tmp_path / "small", samples=100, network=[{"linear": 8}],
                           config=tmp_path / "settings.yaml", settings={"eval_steps": 100})
    assert small.last.layers["fc1"].output_shape == (8,)
    student = qgraft.distill(file, out=tmp_path / "student", samples=1e2, set_files=tmp_path / "set",
                             settings={"eval_steps": 100})
    assert student.steps == 100 and (tmp_path / "set").exists()
    trained = qgraft.train("minatar/breakout", out=tmp_path / "trained", steps=0, initial=source.last,
                           frozen="conv1", settings=FEW)
    assert list(trained.layers["layer"][trained.layers["frozen"]]) == ["conv1"]


def test_rivals(source, tmp_path):
    file = source.folder / "best.safetensors"
    ours = qgraft.graft(file, "minatar/asterix", out=tmp_path / "ours", kickstart=500, distill_weight=2,
                        distill_tau=0.5, warm_replay=500, qdagger=9, policy_reuse=0.5,
                        policy_reuse_decay=0.9, steps=1000, settings=FEW)
    program("graft", file, "--to=minatar/asterix", "--kickstart=500", "--distill-weight=2",
            "--distill-tau=0.5", "--warm-replay=500", "--qdagger=9", "--policy-reuse=0.5",
            "--policy-reuse-decay=0.9", "--steps=1000", *SETS, "--out", tmp_path / "theirs")
    same(ours.folder, tmp_path / "theirs")
    assert not ours.layers["copied"].any() and ours.parents == [str(file)]
    for keys in ({}, {"qdagger": 5}, {"kickstart": 5, "first": 1, "last": 1}):
        with pytest.raises(qgraft.UsageError, match="one of `first`"):
            qgraft.graft(file, "minatar/asterix", out=tmp_path / "no", settings=FEW, **keys)
    with pytest.raises(qgraft.UsageError, match="distill_tau"):
        qgraft.graft(file, "minatar/asterix", out=tmp_path / "no", kickstart=5, distill_tau=0, settings=FEW)


def test_initial(source, tmp_path):
    network = source.last
    run = qgraft.train("minatar/breakout", out=tmp_path / "run", steps=1000, settings=FEW,
                       initial=network, frozen=["conv1", "fc1"])
    for name in network:
        frozen = name in ("conv1", "fc1")
        assert (run.last[name].weight == network[name].weight).all() == frozen
    with pytest.raises(qgraft.UsageError, match="conv9"):
        qgraft.train("minatar/breakout", out=tmp_path / "no", initial=network, frozen=["conv9"])
    assert (run.kind, run.steps, len(run.evaluations)) == ("train", 1000, 2)
    again = {"out": tmp_path / "run", "steps": 1000, "settings": FEW, "frozen": ["conv1", "fc1"], "resume": True}
    assert qgraft.train("minatar/breakout", initial=network, **again).folder == run.folder
    with pytest.raises(qgraft.UsageError, match="initial_network_sha256"):
        qgraft.train("minatar/breakout", initial=run.last, **again)
    with pytest.raises(qgraft.UsageError, match="initial_network_sha256"):
        qgraft.train("minatar/breakout", out=tmp_path / "run", steps=1000, settings=FEW, resume=True)
    kept = qgraft.train("minatar/breakout", out=tmp_path / "kept", steps=1000, settings=FEW, initial=network,
                        snapshots=[0])
    for folder, known in ((run.folder, False), (kept.folder, True)):
        said = subprocess.run([QGRAFT, "diagnose", folder, "--json"], capture_output=True, text=True, check=True)
        distances = [layer["start_distance"] for look in json.loads(said.stdout)[0]["networks"]
                     for layer in look["layers"]]
        assert ("a network in memory" in said.stderr) == (not known)
        assert distances and all((distance is not None) == known for distance in distances)
    said = subprocess.run([QGRAFT, "perform", tmp_path / "run/run.yaml", "--out", tmp_path / "again"],
                          capture_output=True, text=True)
    assert said.returncode == 2 and "a network in memory" in said.stderr and said.stderr.count("\n") == 1


def test_distill(source, tmp_path):
    file, seen = source.folder / "best.safetensors", set()
    ours = qgraft.distill(file, out=tmp_path / "ours", samples=2000, temperature="0.1:0.2:0.1",
                          settings={"eval_steps": 300, "log_every": 1000},
                          progress=lambda now: seen.add(now.phase))
    program("distill", file, "--samples=2000", "--temperature=0.1:0.2:0.1", "--set=eval_steps=300",
            "--set=log_every=1000", "--out", tmp_path / "theirs")
    same(ours.folder, tmp_path / "theirs", ["run.yaml", "distillation.csv", "last.safetensors"])
    assert seen <= {"playing", "reading", "evaluating", "learning"} and "learning" in seen
    assert ours.kind == "distill" and "kl" in ours.training.columns and ours.steps == 2000
    other = qgraft.distill(file, out=tmp_path / "mse", samples=100, loss="mse",
                           settings={"eval_steps": 100})
    assert "loss: mse" in (other.folder / "run.yaml").read_text()
    assert list(other.student.samples) == [0, 100] and (other.student.advantage_scale > 0).all()


def test_evaluate(source):
    import json

    file = source.folder / "best.safetensors"
    theirs = json.loads(program("evaluate", file, "--steps=900", "--seed=5", "--json").stdout)
    for network in (file, qgraft.Network.load(file)):
        ours = qgraft.evaluate(network, steps=900, seed=5)
        assert ours._asdict() == {name: theirs[name] for name in ours._fields}
    (source.folder.parent / "text").write_text("no network")
    for error, words, arguments in [
        (qgraft.FileError, "^nowhere: ", {"network": "nowhere"}),
        (qgraft.DataError, "text: ", {"network": source.folder.parent / "text"}),
        (qgraft.UsageError, "^`epsilon`: ", {"epsilon": 2}), (qgraft.UsageError, "^`steps`: ", {"steps": -1}),
        (qgraft.UsageError, "^`noop_max`: ", {"noop_max": "many"}),
        (qgraft.UsageError, "^`frame_skip`: ", {"frame_skip": 0}),
        (qgraft.UsageError, "NUL", {"seed": "1\0"}),
        (qgraft.UsageError, "^network: ", {"network": 3}), (qgraft.UsageError, "^domain: ", {"domain": 3}),
        (qgraft.UsageError, "tetris", {"domain": "minatar/tetris"})]:
        with pytest.raises(error, match=words) as caught:
            qgraft.evaluate(**{"network": file, **arguments})
        assert "\n" not in str(caught.value) and "--" not in str(caught.value)


# ---- Progress, Ctrl-C, other threads ----


def test_progress(tmp_path, capfd):
    seen = []
    qgraft.train("minatar/breakout", out=tmp_path / "run", steps=2000, settings=FEW,
                 progress=seen.append)
    assert seen and all(isinstance(now, qgraft.Progress) for now in seen)
    assert [now.step for now in seen] == sorted(now.step for now in seen)
    assert {now.phase for now in seen} <= {"training", "evaluating"} and seen[-1].steps == 2000
    qgraft.train("minatar/breakout", out=tmp_path / "other", steps=1000, settings=FEW, progress=True)
    assert "of 1000" in capfd.readouterr().err


def test_progress_of_what_comes_before_the_steps(source, tmp_path):
    """EWC plays for its measures: signs of life, whose time goes on."""
    seen = []
    qgraft.graft(source.folder / "best.safetensors", "minatar/freeway", first=2, ewc=1, ewc_samples=300,
                 out=tmp_path / "run", steps=1000, settings=FEW, progress=seen.append)
    before = [now.seconds for now in seen if now.step == 0 and now.phase == "training"]
    assert len(before) > 5 and before == sorted(before) and before[-1] > before[0]


def test_exception_in_progress_stops_and_resumes(tmp_path):
    """The run ends in order, and goes on to the same bits."""
    def stop(now):
        if now.step >= 700:
            raise KeyError("enough")

    more = {"steps": 6000, "settings": FEW}
    with pytest.raises(KeyError, match="enough"):
        qgraft.train("minatar/breakout", out=tmp_path / "run", progress=stop, **more)
    stopped = qgraft.Run(tmp_path / "run")
    assert not stopped.complete
    again = qgraft.train("minatar/breakout", out=tmp_path / "run", resume=True, **more)
    whole = qgraft.train("minatar/breakout", out=tmp_path / "whole", **more)
    assert again.complete
    same(again.folder, whole.folder)


INTERRUPTED = """
import qgraft, sys
try:
    qgraft.train("minatar/breakout", out=sys.argv[1], steps=10**9, progress=lambda now: print(now.step, flush=True))
except KeyboardInterrupt:
    print("interrupted", qgraft.Run(sys.argv[1]).complete)
"""


def test_control_c(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, tmp_path / "run"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               # what is started in the background of a script ignores it
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and out.endswith("interrupted False\n"), err


def test_runs_side_by_side(tmp_path):
    """Two threads of one process, each with a run, give what each gives alone."""
    def one(seed, name):
        qgraft.train("minatar/asterix", out=tmp_path / name, steps=1500, settings=FEW, seed=seed)

    threads = [threading.Thread(target=one, args=(seed, f"beside{seed}")) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one(1, "alone1")
    same(tmp_path / "beside1", tmp_path / "alone1")
    assert qgraft.Run(tmp_path / "beside2").complete


# ---- Studies ----

STUDY = """
study: small
question: does it run?
seeds: [1, 2]
settings: {learn_start: 500, eval_every: 500, eval_steps: 300, replay: 2000, validation_size: 100}
steps: 1500
sources: {b: {game: minatar/breakout}}
runs:
  - game: minatar/asterix
  - {game: minatar/asterix, from: b, first: 1}
"""


def test_study(tmp_path):
    (tmp_path / "small.yaml").write_text(STUDY)
    seen = []
    study = qgraft.run_study(tmp_path / "small.yaml", out=tmp_path / "study", progress=seen.append)
    assert seen and seen[-1].finished == len(study.tasks) and seen[-1].failed == 0
    tasks = study.tasks
    assert (tasks["state"] == "finished").all() and {"train", "graft"} <= set(tasks["kind"])
    runs = study.runs
    assert all(run.complete for run in runs.values())
    source = runs["b", 1].folder / "best.safetensors"  # found from here, too
    grafts = [run for (name, seed), run in runs.items() if run.kind == "graft" and seed == 1]
    assert [pathlib.Path(run.parents[0]).resolve() for run in grafts] == [source]
    evaluations = study.evaluations
    assert len(evaluations) == sum(len(run.evaluations) for run in runs.values())
    (name, seed), run = next(iter(runs.items()))
    mine = evaluations[(evaluations["run"] == name) & (evaluations["seed"] == seed)]
    assert list(mine["score"]) == list(run.evaluations["score"])
    assert {"run", "seed", "td_error"} <= set(study.training.columns)
    with pytest.raises(qgraft.UsageError, match="write_report"):
        study.metrics
    path = qgraft.write_report(study)
    assert pathlib.Path(path).exists() and "area" in study.metrics.columns
    again = qgraft.run_study(study)  # nothing is left to do
    assert (again.tasks["state"] == "finished").all() and again.name == "small"


def test_an_exception_while_a_study_runs(tmp_path):
    """However often it comes, runs are asked to stop, not killed; also those that have just begun."""
    def stop(now):
        raise KeyError("enough")

    (tmp_path / "small.yaml").write_text(STUDY.replace("steps: 1500", "steps: 20000"))
    with pytest.raises(KeyError, match="enough"):
        qgraft.run_study(tmp_path / "small.yaml", out=tmp_path / "study", progress=stop)
    assert set(qgraft.Study(tmp_path / "study").tasks["state"]) <= {"stopped", "waiting", "blocked"}


COMMA = """
import locale, os, sys
import qgraft
locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
assert locale.localeconv()["decimal_point"] == ","
run = qgraft.train("minatar/breakout", out=sys.argv[1], steps=2000,
                   settings={"learn_start": 500, "eval_steps": 300, "learning_rate": 0.0005})
assert run.complete and run.evaluations["score"].dtype == float
assert qgraft.settings("dqn3")["learning_rate"] == 0.00025
assert locale.localeconv()["decimal_point"] == ","
"""


def test_a_decimal_comma(tmp_path, source):
    """Of the process: files have points."""
    made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "de_DE.UTF-8"], capture_output=True)
    if not (tmp_path / "de_DE.UTF-8/LC_NUMERIC").exists():
        pytest.skip(f"no locale: {made.stderr}")
    done = subprocess.run([sys.executable, "-c", COMMA, tmp_path / "run"], capture_output=True, text=True,
                          env={**os.environ, "LOCPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "run/run.yaml").read_text()
    assert "learning_rate: 0.0005" in written and "0,0" not in written
    same(tmp_path / "run", qgraft.train("minatar/breakout", out=tmp_path / "other", steps=2000, settings={
        "learn_start": 500, "eval_steps": 300, "learning_rate": 0.0005}).folder)


TWO_TEACHERS = """
study: two
seeds: [1]
settings: {learn_start: 100, eval_every: 100, eval_steps: 100, replay: 500, validation_size: 50}
steps: 200
sources:
  b: {file: ZOO/breakout-s1.safetensors}
  a: {file: ZOO/asterix-s1.safetensors}
  both: {distill: [b, a], samples: 100}
runs:
  - game: minatar/asterix
  - {game: minatar/asterix, from: both, first: 1}
"""


def test_a_student_of_two_teachers(tmp_path):
    """Its evaluations are in two files; those who have none of a table say so or are left out."""
    (tmp_path / "two.yaml").write_text(TWO_TEACHERS.replace("ZOO", str(ROOT / "zoo")))
    study = qgraft.run_study(tmp_path / "two.yaml", out=tmp_path / "study")
    assert (study.tasks["state"] == "finished").all()
    runs, all_of_them = study.runs, study.evaluations
    student, graft = runs["both", 1], next(run for run in runs.values() if run.kind == "graft")
    for task in (1, 2):
        theirs = pandas.read_csv(student.folder / f"evaluations-{task}.csv")
        mine = student.evaluations[student.evaluations["task"] == task].drop(columns="task")
        pandas.testing.assert_frame_equal(mine.reset_index(drop=True), theirs, check_dtype=False)
    assert list(student.evaluations["step"]) == [0, 128, 200] * 2 and set(student.student["task"]) == {1, 2}
    tasks = all_of_them[all_of_them["run"] == "both"]["task"]
    assert list(tasks) == [1] * 3 + [2] * 3 and (all_of_them.drop(tasks.index)["task"] == 1).all()
    assert len(all_of_them) == sum(len(run.evaluations) for run in runs.values())
    for call, words in ((lambda: student.layer_history, "no layers.csv, which trainings and grafts write"),
                        (lambda: graft.student, "no student.csv, which distillations write")):
        with pytest.raises(qgraft.UsageError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    (graft.folder / "evaluations.csv").unlink()  # as of a run that has just begun
    (graft.folder / "training.csv").write_text("")
    with pytest.raises(qgraft.UsageError, match="no evaluations.csv"):
        graft.evaluations
    with pytest.raises(qgraft.UsageError, match="no training.csv"):
        graft.training
    assert len(study.evaluations) == len(all_of_them) - 2 - 1
    assert {"both"} <= set(study.training["run"]) < {name for name, _ in runs}


# ---- The examples ----


def example(name, *words, folder):
    """As its first lines say it is started, but that the folder of its runs is another."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", f"examples.{name}", *map(str, words)], check=True,
                          cwd=folder, env=environment, capture_output=True, text=True).stdout


def test_figure(source, tmp_path):
    example("figure", source.folder, tmp_path / "figure.png", folder=tmp_path)
    from PIL import Image

    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.size == (1000, 400) and len(figure.convert("RGB").getcolors(100000)) > 50


def test_torch_model(source, tmp_path):
    pytest.importorskip("torch")
    said = example("torch_model", source.folder / "last.safetensors", tmp_path / "back",
                   folder=tmp_path)
    assert float(said.split(": ")[1]) < 1e-5
    assert qgraft.Network.load(tmp_path / "back").sha256 == source.last.sha256
    for architecture, shape, largest in (("grid-norm", (10, 8, 9), 1), ("vector", (5, 1, 1), 0)):
        qgraft.Network(architecture, input=shape, input_max=largest, actions=3).save(tmp_path / "other")
        example("torch_model", tmp_path / "other", tmp_path / "back", folder=tmp_path)


def test_own_environment(tmp_path):
    """It learns to walk to the end of its corridor."""
    pytest.importorskip("gymnasium")
    example("own_environment", folder=tmp_path)
    run = qgraft.Run(tmp_path / "runs/corridor")
    assert run.evaluations["score"].iloc[-1] == 1


EDITED = """
import gymnasium
class Edited(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(0, 9, (2,)), gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return self.observation_space.low, {}
    def step(self, action):
        return self.observation_space.low, REWARD, True, False, {}
gymnasium.register("Edited-v0", Edited)
"""


def test_an_environment_that_is_edited_between_runs(tmp_path, monkeypatch):
    """Each run has the code of its time, and no process of an environment stays behind."""
    pytest.importorskip("gymnasium")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for reward in (1.0, 7.0):
        if (tmp_path / "edited.py").exists():  # a call that fails has looked at it, too
            with pytest.raises(qgraft.UsageError):
                qgraft.train("gym:edited:Edited-v0", out=tmp_path / "none", settings={"learning_rat": 1})
        (tmp_path / "edited.py").write_text(EDITED.replace("REWARD", str(reward)))
        run = qgraft.train("gym:edited:Edited-v0", steps=300, out=tmp_path / str(reward), settings={
            "learn_start": 100, "replay": 300, "minibatch": 8, "validation_size": 20, "eval_every": 300,
            "eval_steps": 60})
        assert run.evaluations["score"].iloc[-1] == reward
        assert not any("gym:edited" in name for name in children())


def children():
    """What our processes were called with."""
    numbers = [c for task in pathlib.Path("/proc/self/task").iterdir()
               for c in (task / "children").read_text().split()]
    return [pathlib.Path(f"/proc/{c}/cmdline").read_text() for c in numbers]


NAMED = EDITED.replace("REWARD", "1.0").replace("Edited", "Named") + """
Named.get_action_meanings = lambda self: NAMES
"""
TINY = {"learn_start": 100, "replay": 300, "minibatch": 8, "validation_size": 20, "eval_every": 300,
        "eval_steps": 60}


def test_actions_and_spaces_are_those_of_today(tmp_path, monkeypatch):
    """Also in a process that has met the environment before."""
    pytest.importorskip("gymnasium")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for i, (names, values) in enumerate(((["noop", "left"], 2), (["left", "noop"], 2), (["a", "b"], 3))):
        text = NAMED.replace("NAMES", str(names).upper()).replace("(2,)", f"({values},)")
        (tmp_path / "named.py").write_text(text)
        run = qgraft.train("gym:named:Named-v0", steps=300, out=tmp_path / str(i), settings=TINY)
        assert run.last.actions == names and run.last.input == (values, 1, 1)


def test_a_study_that_is_read_leaves_no_process(tmp_path):
    pytest.importorskip("gymnasium")
    (tmp_path / "study.yaml").write_text(
        f"steps: 300\nsettings: {json.dumps(TINY)}\nruns: [{{name: cart, game: 'gym:CartPole-v1'}}]\n")
    study = qgraft.run_study(tmp_path / "study.yaml", out=tmp_path / "out")
    again = pickle.loads(pickle.dumps(study))
    assert set(again.tasks["state"]) == {"finished"} and not any("gym:" in name for name in children())
    assert again.name == study.name
    text = (study.folder / "study.yaml").read_text()
    (tmp_path / "study.yaml").write_text(text.replace("steps: 300", "steps: 600"))
    program("run", tmp_path / "study.yaml", "--out", study.folder, "--quiet")
    assert 600 in list(again.tasks["steps"])  # it was edited meanwhile


@pytest.mark.parametrize("progress", [1, np.True_, 0, "yes", 2])
def test_progress_is_checked_first(tmp_path, progress, capfd):
    start = dict(out=tmp_path / "run", steps=1000, settings=FEW, progress=progress)
    if progress in ("yes", 2):
        with pytest.raises(qgraft.UsageError, match="progress: .* is neither True nor False"):
            qgraft.train("minatar/breakout", **start)
        assert not (tmp_path / "run").exists()
    else:
        qgraft.train("minatar/breakout", **start)
        assert (" of 1000" in capfd.readouterr().err) == bool(progress)


def test_a_report_in_a_folder_of_any_bytes(tmp_path):
    (tmp_path / "study.yaml").write_text(
        f"steps: 1000\nsettings: {json.dumps(FEW)}\nruns: [{{game: minatar/breakout}}]\n")
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    qgraft.run_study(tmp_path / "study.yaml", out=folder)
    assert pathlib.Path(qgraft.write_report(folder)).exists()


def test_gymnasium_may_be_looked_for_before_it_is_imported():
    pytest.importorskip("gymnasium")
    subprocess.run([sys.executable, "-c", """
import importlib.util, qgraft
assert importlib.util.find_spec("gymnasium") and importlib.util.find_spec("gymnasium")
import gymnasium
gymnasium.spec("qgraft/minatar-breakout-v0")
"""], check=True)


def test_two_gravities(tmp_path):
    pytest.importorskip("gymnasium")
    said = example("cartpole", 1500, 2, folder=tmp_path)
    assert "Verdict(decision=" in said and said.index("fresh") < said.index("grafted")
    runs = tmp_path / "runs/cartpole-gravity"
    assert qgraft.Run(runs / "grafted2").layers["copied"].sum() == 2


# ---- Bad input ----


def test_errors(source, tmp_path):
    file = source.folder / "best.safetensors"
    (tmp_path / "bad.yaml").write_text("study: x\nruns: [{gaem: pong}]\n")
    (tmp_path / "small.yaml").write_text(STUDY)
    for error, words, call in [
        (qgraft.UsageError, "minatar/tetris",
         lambda: qgraft.train("minatar/tetris", out=tmp_path / "x")),
        (qgraft.UsageError, "another `out` or add `overwrite`", lambda: qgraft.train(
            "minatar/breakout", out=source.folder, steps=100, settings=FEW)),
        (qgraft.UsageError, "set `freeze`", lambda: qgraft.graft(
            "random", "minatar/breakout", out=tmp_path / "x", first=1)),
        (qgraft.UsageError, "learning_rat", lambda: qgraft.train(
            "minatar/breakout", out=tmp_path / "x", settings={"learning_rat": 1})),
        (qgraft.UsageError, "seed", lambda: qgraft.train(
            "minatar/breakout", out=tmp_path / "x", seed=-1)),
        (qgraft.UsageError, "threads", lambda: qgraft.train(
            "minatar/breakout", out=tmp_path / "x", threads=0)),
        (qgraft.UsageError, "steps", lambda: qgraft.train(
            "minatar/breakout", out=tmp_path / "x", steps=-5)),
        (qgraft.UsageError, "samples", lambda: qgraft.distill(file, out=tmp_path / "x", samples=0)),
        (qgraft.UsageError, "snapshots", lambda: qgraft.train(
            "minatar/breakout", out=tmp_path / "x", snapshots="all")),
        (qgraft.UsageError, "domain", lambda: qgraft.train(3, out=tmp_path / "x")),
        (qgraft.UsageError, "out", lambda: qgraft.train("minatar/breakout", out=3)),
        (qgraft.UsageError, "initial", lambda: qgraft.train("minatar/breakout", out=tmp_path / "x", initial=file)),
        (qgraft.UsageError, "overwrite", lambda: qgraft.train(
            "minatar/breakout", out=tmp_path / "x", overwrite="yes")),
        (qgraft.UsageError, "also_evaluate", lambda: qgraft.train(
            "minatar/breakout", out=tmp_path / "x", also_evaluate=[3])),
        (qgraft.UsageError, "source", lambda: qgraft.graft(
            source.best, "minatar/asterix", out=tmp_path / "x", first=1)),
        (qgraft.UsageError, "lr_scale", lambda: qgraft.graft(
            file, "minatar/asterix", out=tmp_path / "x", first=1, lr_scale={"conv9": 0.1})),
        (qgraft.UsageError, "conv1, conv2, conv3, fc1, fc2", lambda: qgraft.graft(
            "random", "minatar/asterix", out=tmp_path / "x", layers=["fc3"], freeze=True)),
        *[(qgraft.UsageError, "teachers", lambda wrong=wrong: qgraft.distill(wrong, out=tmp_path / "x"))
          for wrong in (source.best, [source.best], source)],
        (qgraft.UsageError, "study", lambda: qgraft.run_study(3)),
        (qgraft.UsageError, "epsilon", lambda: qgraft.distill(file, out=tmp_path / "x", epsilon="all")),
        *[(qgraft.UsageError, name, lambda name=name, wrong=wrong: qgraft.run_study(
            tmp_path / "small.yaml", out=tmp_path / "x", **{name: wrong}))
          for name, wrong in (("threads", 0), ("threads", -2), ("threads", 257), ("jobs", -1),
                              ("jobs", "all"), ("scale", 0), ("scale", "half"))],
        (qgraft.UsageError, "first", lambda: qgraft.graft(file, "minatar/asterix", out=tmp_path / "x")),
        (qgraft.UsageError, "9", lambda: qgraft.graft(
            file, "minatar/asterix", out=tmp_path / "x", first=9)),
        (qgraft.FileError, "nowhere", lambda: qgraft.graft(
            "nowhere", "minatar/asterix", out=tmp_path / "x", first=1)),
        (qgraft.UsageError, "teachers", lambda: qgraft.distill([], out=tmp_path / "x")),
        (qgraft.UsageError, "order", lambda: qgraft.distill(file, out=tmp_path / "x", order="up")),
        (qgraft.UsageError, "loss", lambda: qgraft.distill(file, out=tmp_path / "x", loss="l2")),
        (qgraft.UsageError, "bad.yaml:2", lambda: qgraft.run_study(tmp_path / "bad.yaml")),
        (qgraft.UsageError, "no run", lambda: qgraft.Run(tmp_path)),
        (qgraft.UsageError, "", lambda: qgraft.Study(tmp_path)),
        (qgraft.FileError, "nowhere", lambda: qgraft.load_plugin("/nowhere.so")),
    ]:
        with pytest.raises(error) as caught:
            call()
        assert words in str(caught.value) and "\n" not in str(caught.value), str(caught.value)
    assert not (tmp_path / "x").exists()
