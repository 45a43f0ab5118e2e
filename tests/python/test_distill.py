"""Distillation from outside: a student agrees with its teacher, the same seed gives the same bytes,
sample sets are kept and used again, and whatever is wrong is one line."""

import csv
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time

import numpy
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

QGRAFT = os.environ["QGRAFT"]
COMPARE = pathlib.Path(QGRAFT).resolve().parents[2] / "tests/compare"
RESULTS = ["distillation.csv", "evaluations.csv", "held_out.csv", "student.csv", "teachers.csv",
           "run.yaml", "best.safetensors", "last.safetensors"]


def qgraft(*arguments, code=0, **options):
    result = subprocess.run([QGRAFT, *map(str, arguments)], capture_output=True, text=True,
                            timeout=1200, **options)
    assert result.returncode == code, result.stderr
    return result


def refusal(*arguments, code=2, **options):
    """The error of a command that must fail with exactly one line."""
    result = qgraft(*arguments, code=code, **options)
    assert result.stderr.startswith("qgraft: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def distill(teacher, out, *arguments, samples="4k"):
    result = qgraft("distill", teacher, "--samples", samples, "--eval-steps", 500, "--out", out,
                    "--overwrite", "--json", *arguments)
    return json.loads(result.stdout)


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def differing(one, other):
    return {name for name in RESULTS if (one / name).read_bytes() != (other / name).read_bytes()}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    qgraft("train", "minatar/breakout", "--steps", "60k", "--out", folder, "--overwrite", "--quiet",
           "--set", "eval_steps=2000", "--set", "eval_every=20k")
    return folder / "best.safetensors"


def test_student_agrees_with_its_teacher(teacher, tmp_path):
    result = distill(teacher, tmp_path, samples="100k")
    task = result["tasks"][0]
    held_out, = task["held_out"]
    assert result["samples"] == 100000 and result["held_out"] == 2000
    assert held_out["agreement"] > 0.9 and held_out["kl"] < 0.05
    start, *_, end = rows(tmp_path / "evaluations.csv")
    assert (start["step"], end["step"]) == ("0", "100000")
    assert float(start["score"]) < float(end["score"]) == task["student_score"]
    assert task["teacher_score"] == float(rows(tmp_path / "teachers.csv")[0]["score"])
    table = rows(tmp_path / "distillation.csv")
    assert float(table[-1]["kl"]) < 0.3 * float(table[0]["kl"])
    assert not (tmp_path / "samples").exists()


def test_pedigree(teacher, tmp_path):
    distill(teacher, tmp_path, "--temperature", "0.1:0.5:0.1")
    with safe_open(tmp_path / "last.safetensors", "numpy") as file, \
            safe_open(teacher, "numpy") as parent:
        notes, parent_notes = file.metadata(), parent.metadata()
    digest = subprocess.run(["sha256sum", teacher], capture_output=True, text=True).stdout.split()[0]
    assert notes["parent_sha256"] == digest and notes["parent_file"] == str(teacher)
    tree = json.loads(qgraft("inspect", teacher, "--pedigree", "--json").stdout)["pedigree"]
    assert notes["parent_network_sha256"] == tree[0]["network_sha256"]
    assert notes["parent_domain"] == notes["domain"] == "minatar/breakout"
    assert notes["parent_step"] == parent_notes["step"]
    assert float(notes["parent_score"]) == float(parent_notes["score"])
    assert notes["copied"] == "distilled: 5 temperatures 0.1 to 0.5, by pass"
    assert notes["step"] == "20000" and notes["actions"] == "noop,left,right"
    entropies = [float(row["teacher_entropy"]) for row in rows(tmp_path / "held_out.csv")]
    assert entropies == sorted(entropies) and len(entropies) == 5
    assert qgraft("evaluate", tmp_path / "best.safetensors", "--steps", 300)


def softmax(values):
    powers = numpy.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def losses(teacher, student, loss, tau):
    """Of every state: the loss, the KL and the teacher's entropy, in doubles."""
    own = tau if loss in ("kl-both", "mse") else 1
    p, s = softmax(teacher / tau), softmax(student / own)
    kl = (p * numpy.log(p / s)).sum(axis=1)
    entropy = -(p * numpy.log(p)).sum(axis=1)
    best = teacher.argmax(axis=1)
    value = {"kl": kl, "kl-both": kl, "mse": ((teacher - student) ** 2).sum(axis=1),
             "nll": -numpy.log(softmax(student)[numpy.arange(len(best)), best])}[loss]
    return value, kl, entropy


@pytest.mark.parametrize("loss", ["kl", "kl-both", "mse", "nll"])
def test_losses_against_numpy(loss):
    random = numpy.random.default_rng(1)
    for actions, tau in ((3, 0.1), (18, 0.5), (6, 2.0)):
        q = random.normal(7, 1, (2, 50, actions)).astype("<f4")
        q[1] = 0.5 * q[0] + 0.3 * q[1]
        out = subprocess.run([COMPARE, "student", "50", str(actions), loss, str(tau)], check=True,
                             input=q.tobytes(), stdout=subprocess.PIPE).stdout.split(b"\n")
        teacher, student = q.astype(float)
        value, kl, entropy = losses(teacher, student, loss, tau)
        advantages = [x - x.mean(axis=1, keepdims=True) for x in (teacher, student)]
        sizes = [numpy.linalg.norm(a, axis=1) for a in advantages]
        scale = numpy.median(sizes[1] / sizes[0])
        correlation = numpy.corrcoef(teacher.max(axis=1), student.max(axis=1))[0, 1]
        assert [*map(float, out[0].split())] == pytest.approx(
            [value.mean(), kl.mean(), entropy.mean(), scale, correlation], rel=1e-10)
        descent = numpy.array([[*map(float, line.split())] for line in out[1:-1]])
        for a in range(actions):  # minus the slope
            step = numpy.zeros(actions)
            step[a] = 1e-5
            above, below = (losses(teacher, student + s, loss, tau)[0] for s in (step, -step))
            assert descent[:, a] == pytest.approx((below - above) / 2e-5, abs=1e-5, rel=1e-5)


def test_scale_and_values_that_are_none():
    q = numpy.full((2, 5, 3), 2, "<f4")
    out = subprocess.run([COMPARE, "student", "5", "3", "mse", "1"], input=q.tobytes(), check=True,
                         stdout=subprocess.PIPE).stdout.split()
    assert float(out[0]) == 0 and out[3:5] == [b"nan", b"nan"]


def test_student_at_every_evaluation(teacher, tmp_path):
    result = distill(teacher, tmp_path, "--temperature", "0.1:0.3:0.1", "--set", "eval_every=4k")
    table, held_out = rows(tmp_path / "student.csv"), rows(tmp_path / "held_out.csv")
    evaluations = rows(tmp_path / "evaluations.csv")
    assert [row["samples"] for row in table] == [row["step"] for row in evaluations] == \
        ["0", "4000", "8000", "12000"]
    assert [row["score"] for row in table] == [row["score"] for row in evaluations]
    assert {row["teacher_score"] for row in table} == {rows(tmp_path / "teachers.csv")[0]["score"]}
    for column in ("kl", "agreement", "teacher_entropy", "temperature"):
        assert table[-1][column] == held_out[-1][column]
    assert table[-1]["loss"] == table[-1]["kl"] and float(table[0]["kl"]) > float(table[-1]["kl"])
    task = result["tasks"][0]
    assert task["advantage_scale"] == float(table[-1]["advantage_scale"])
    assert task["value_correlation"] == float(table[-1]["value_correlation"])
    again = json.loads(qgraft("perform", tmp_path / "run.yaml", "--out", tmp_path, "--resume",
                              "--json").stdout)  # complete
    assert again["tasks"] == result["tasks"]
    (tmp_path / "student.csv").unlink()  # as before there was one
    again = json.loads(qgraft("perform", tmp_path / "run.yaml", "--out", tmp_path, "--resume",
                              "--json").stdout)
    assert again["tasks"][0]["advantage_scale"] is None
    assert again["tasks"][0]["held_out"] == task["held_out"]
    (tmp_path / "student.csv").write_text("something else\n")
    assert "student.csv:1" in refusal("perform", tmp_path / "run.yaml", "--out", tmp_path,
                                      "--resume", code=1)


def test_what_a_lost_student_told(teacher, tmp_path):
    """It is told again when the distillation is complete, also where some of it is no number."""
    held_out, = distill(teacher, tmp_path, "--temperature", 0.1)["tasks"][0]["held_out"]
    row, = rows(tmp_path / "held_out.csv")
    path = tmp_path / "held_out.csv"
    path.write_text(path.read_text().replace("," + row["kl"] + ",", ",,"))
    again = json.loads(qgraft("perform", tmp_path / "run.yaml", "--out", tmp_path, "--resume", "--json").stdout)
    assert again["tasks"][0]["held_out"] == [{**held_out, "kl": None}]
    path.write_text(path.read_text().replace(",,", ",x,"))
    assert "held_out.csv" in refusal("perform", tmp_path / "run.yaml", "--out", tmp_path, "--resume", code=1)


def test_the_scale_of_each_loss(teacher, tmp_path):
    """By the Q-values the student has the teacher's scale; by softmax alone it has one of its own."""
    kept = tmp_path / "set"
    scales = {loss: distill(teacher, tmp_path / loss, "--loss", loss, "--set-file", kept,
                            samples="40k")["tasks"][0] for loss in ("kl", "mse")}
    assert 0.7 < scales["mse"]["advantage_scale"] < 1.4
    assert scales["mse"]["value_correlation"] > 0.9
    assert scales["kl"]["advantage_scale"] > 1.5 * scales["mse"]["advantage_scale"]
    assert scales["kl"]["value_correlation"] < scales["mse"]["value_correlation"]


@pytest.mark.parametrize("loss", ["kl-both", "mse", "nll"])
def test_other_losses(teacher, tmp_path, loss):
    result = distill(teacher, tmp_path / "one", "--loss", loss, "--threads", 2, samples="20k")
    held_out, = result["tasks"][0]["held_out"]
    table = rows(tmp_path / "one/distillation.csv")
    assert held_out["agreement"] > float(table[0]["agreement"]) and held_out["agreement"] > 0.7
    assert f"\n  loss: {loss}\n" in (tmp_path / "one/run.yaml").read_text()
    with safe_open(tmp_path / "one/last.safetensors", "numpy") as file:
        assert file.metadata()["copied"] == f"distilled: {loss}, temperature 0.1"
    # What it is made of makes it again, stopped and gone on with.
    again = [QGRAFT, "perform", tmp_path / "one/run.yaml", "--out", tmp_path / "two", "--quiet"]
    log = tmp_path / "two/distillation.csv"
    for _ in range(20):  # a busy machine may be too late: then again
        shutil.rmtree(tmp_path / "two", ignore_errors=True)
        process = subprocess.Popen([*map(str, again)], stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") > 2):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=1200)
        if process.returncode != 0:
            break
    assert process.returncode == 130
    subprocess.run([*map(str, again), "--resume"], check=True)
    assert differing(tmp_path / "one", tmp_path / "two") == set()


def test_the_usual_loss_goes_without_saying(teacher, tmp_path):
    distill(teacher, tmp_path, "--loss", "kl", samples=200)
    assert "loss: kl" not in (tmp_path / "run.yaml").read_text()
    qgraft("distill", teacher, "--samples", 50, "--loss", "nll", "--eval-steps", 50, "--quiet",
           cwd=tmp_path)
    assert [p.name for p in (tmp_path / "runs").iterdir()] == \
        ["distill-nll-t0.1-minatar-breakout-s1"]


@pytest.mark.parametrize("order", ["pass", "sample"])
def test_same_bytes_whatever_the_threads(teacher, tmp_path, order):
    options = ["--temperature", "0.1:0.3:0.1", "--order", order]
    distill(teacher, tmp_path / "one", *options, "--threads", 1)
    distill(teacher, tmp_path / "two", *options, "--threads", 2)
    assert differing(tmp_path / "one", tmp_path / "two") == set()
    distill(teacher, tmp_path / "three", *options, "--seed", 2)
    assert "last.safetensors" in differing(tmp_path / "one", tmp_path / "three")


def test_kept_samples(teacher, tmp_path):
    kept = tmp_path / "set"
    first = distill(teacher, tmp_path / "one", "--set-file", kept)
    content = kept.read_bytes()
    again = distill(teacher, tmp_path / "two", "--set-file", kept)
    assert [r["tasks"][0]["samples_reused"] for r in (first, again)] == [False, True]
    distill(teacher, tmp_path / "three")
    assert differing(tmp_path / "one", tmp_path / "two") == set()
    assert differing(tmp_path / "one", tmp_path / "three") == set()
    assert kept.read_bytes() == content and sorted(p.name for p in tmp_path.iterdir()) == \
        ["one", "set", "three", "two"]

    def refused(code, *arguments):
        return refusal("distill", teacher, "--out", tmp_path / "four", "--set-file", kept,
                       *arguments, code=code)
    assert "samples" in refused(2, "--samples", "5k")
    assert "epsilon 0.05, not 0.2" in refused(2, "--samples", "4k", "--epsilon", 0.2)
    assert "seed 1, not 2" in refused(2, "--samples", "4k", "--seed", 2)
    other = teacher.parent / "last.safetensors"
    if other.read_bytes() != teacher.read_bytes():
        assert "another teacher" in refusal("distill", other, "--samples", "4k", "--set-file", kept,
                                            "--out", tmp_path / "four")
    kept.write_bytes(content[:-100])
    assert "damaged" in refused(1, "--samples", "4k")
    kept.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    assert "damaged" in refused(1, "--samples", "4k")
    assert not (tmp_path / "four").exists()


def test_another_architecture(teacher, tmp_path):
    (tmp_path / "settings.yaml").write_text("preset: grid\n")  # a file says less than the option
    distill(teacher, tmp_path, "--network", '[{"conv": 8, "kernel": 3}, {"linear": 32}]', "--config",
            tmp_path / "settings.yaml")
    shapes = {name: t.shape for name, t in load_file(tmp_path / "last.safetensors").items()}
    assert shapes["fc1.weight"][0] == 32 and shapes["fc2.weight"] == (3, 32)


def test_two_teachers(teacher, tmp_path):
    other = tmp_path / "other"
    qgraft("train", "minatar/freeway", "--steps", 0, "--out", other, "--quiet", "--set", "eval_steps=20")
    result = qgraft("distill", teacher, other / "last.safetensors", "--samples", "2k", "--out",
                    tmp_path / "both", "--eval-steps", 300, "--json")
    domains = [task["domain"] for task in json.loads(result.stdout)["tasks"]]
    assert domains == ["minatar/breakout", "minatar/freeway"]
    whole = load_file(tmp_path / "both" / "last.safetensors")
    part = load_file(tmp_path / "both" / "task-2.safetensors")
    assert whole["fc2.weight"].shape[0] == 5  # noop, left, right, up, down
    assert numpy.array_equal(whole["conv1.weight"], part["conv1.weight"])
    assert numpy.array_equal(whole["fc2.weight"][[0, 3, 4]], part["fc2.weight"])
    assert "minatar/freeway" in qgraft("evaluate", tmp_path / "both" / "task-2.safetensors",
                                       "--steps", 3000).stdout


def test_reduction(teacher, tmp_path):
    """A mean over 32 samples is the sum times a power of two, and so is all that RMSProp makes of it."""
    distill(teacher, tmp_path / "sum", "--set", "reduction=sum", "--set", "rms_epsilon=0.0009765625")
    distill(teacher, tmp_path / "mean", "--set", "reduction=mean", "--set", f"rms_epsilon={2**-20}")
    distill(teacher, tmp_path / "other", "--set", "reduction=mean", "--set", "rms_epsilon=0.0009765625")
    one, same, other = (load_file(tmp_path / name / "last.safetensors") for name in ("sum", "mean", "other"))
    assert all((one[name] == same[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


def test_settings_of_the_memory_mean_nothing(teacher, tmp_path):
    distill(teacher, tmp_path / "large", "--set", "minibatch=2048", "--set", "learn_start=1000")
    said = distill(teacher, tmp_path / "preset", "--preset", "sb3")
    assert said and "preset: sb3" in (tmp_path / "preset/run.yaml").read_text()
    assert "give it first" in refusal("distill", teacher, "--set", "preset=sb3")


def test_a_name_that_is_no_text(teacher, tmp_path):
    """Before the teacher has played."""
    name = os.fsencode(tmp_path) + b"/caf\xe9.safetensors"
    shutil.copy(teacher, name)
    for words in (["distill"], ["graft", "--to", "minatar/freeway", "--first", "1"]):
        result = subprocess.run([QGRAFT, words[0], name, *words[1:], "--out", tmp_path / "run"], capture_output=True)
        assert result.returncode == 2 and b"rename the file" in result.stderr and result.stderr.count(b"\n") == 1
        assert not list(tmp_path.glob("run/*.safetensors"))


@pytest.mark.parametrize("arguments", [
    ["--temperature", "0"], ["--temperature", "-1"], ["--temperature", "nan"],
    ["--temperature", "inf"], ["--temperature", "0.5:0.1:0.1"], ["--temperature", "0.1:0.5:0"],
    ["--temperature", "0.1:0.5"], ["--samples", "0"], ["--samples", "-3"], ["--samples", "1e30"],
    ["--loss", "hinton"], ["--loss", ""], ["--epsilon", "1.5"], ["--epsilon", "nan"], ["--network", "huge"], ["--threads", "0"],
    ["--set", "minibatch=0"], ["--set", "learning=1"], ["--isa", "m68k"],
])
def test_wrong_usage(teacher, tmp_path, arguments):
    refusal("distill", teacher, "--out", tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


def test_wrong_files(teacher, tmp_path):
    out = ["--out", tmp_path / "run"]
    (tmp_path / "text").write_text("no network")
    refusal("distill", tmp_path / "text", *out, code=1)
    refusal("distill", tmp_path / "none", *out, code=1)
    assert "not a sample set" in refusal("distill", teacher, *out, "--set-file", teacher, code=1)
    assert not (tmp_path / "run").exists()
    assert "would be lost" in refusal("distill", teacher, "--samples", 100, "--out", teacher.parent)
    assert "would be lost" in refusal("distill", teacher, *out, "--set-file", tmp_path / "run" / "samples-1")
    shutil.copy(teacher, tmp_path / "teacher.safetensors")
    assert "holds a run already" in refusal("distill", tmp_path / "teacher.safetensors", "--samples", 100,
                                            "--out", teacher.parent)


def test_more_samples_than_the_disk_holds(teacher, tmp_path):
    line = refusal("distill", teacher, "--samples", "1M", "--out", tmp_path, code=1,
                   preexec_fn=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                                       resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20,) * 2)))
    assert "the sample set needs 63.3 MB" in line
    assert {p.name for p in tmp_path.iterdir()} <= {"lock"}
    if shutil.disk_usage(tmp_path).free < 60e9:  # it needs 63.3 GB, and a disk that has them would be filled
        line = refusal("distill", teacher, "--samples", "1G", "--out", tmp_path / "run", code=1)
        assert "GB free" in line and not (tmp_path / "run").exists()


@pytest.mark.parametrize("learning", [False, True])
def test_interrupt_ends_in_order(teacher, tmp_path, learning):
    kept = tmp_path / "set"
    samples = "10k" if learning else "5M"
    temperatures = "0.1:6:0.1" if learning else "0.1"
    process = subprocess.Popen([QGRAFT, "distill", teacher, "--samples", samples, "--out",
                                tmp_path / "run", "--set-file", kept, "--eval-steps", "100",
                                "--temperature", temperatures],
                               stderr=subprocess.PIPE, text=True)
    table = tmp_path / "run" / "distillation.csv"
    while not table.exists() or (learning and table.read_bytes().count(b"\n") < 3):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=1200)
    assert process.returncode == 130 and text.count("\n") == 1
    assert "state: stopped" in (tmp_path / "run" / "process.yaml").read_text()
    assert "--resume" in text
    names = [p.name for p in tmp_path.iterdir() if p.name.startswith("set")]
    assert names == ["set"] if learning else names[0].startswith("set.tmp-") and len(names) == 1
    assert (tmp_path / "run" / "last.safetensors").exists() == learning
    # Without the set's name nothing is lost, and the line says what is missing.
    assert f"begun with the sample set {kept}: say so again" in refusal(
        "perform", tmp_path / "run/run.yaml", "--resume")
    assert (tmp_path / "run" / "checkpoint-A").exists()
