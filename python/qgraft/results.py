"""What runs and studies wrote, as frames of pandas. pandas is imported when a frame is asked for."""

import json
import os
import pathlib
import struct

import numpy as np

from . import _settings
from ._library import UsageError, call, ffi, lib, path_bytes, text
from .network import Network


def _read_csv(path):
    """A frame; None: the file is not there, or has not even its header yet."""
    import pandas

    try:
        return pandas.read_csv(path)
    except (FileNotFoundError, pandas.errors.EmptyDataError):
        return None


def _notes(path):
    """The metadata of a network file."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(size)).get("__metadata__", {})


class Run:
    """A run's folder, of a training, a graft or a distillation; it may still be running."""

    def __init__(self, folder):
        self.folder = pathlib.Path(os.fsdecode(path_bytes(folder, "folder")))
        if not self._look().exists:
            raise UsageError(f"{self.folder}: there is no run")

    def _look(self):
        state = ffi.new("qg_run_state *")
        call(lib.qg_run_look, path_bytes(self.folder), state)
        return state

    def __repr__(self):
        return f"<Run {self.folder}>"

    @property
    def complete(self) -> bool:
        """Whether it has ended, and all of its files are there."""
        return self._look().complete

    def _file(self):
        """Its run file; what is read of it lives as long as it does."""
        file = ffi.gc(ffi.new("qg_run_file *"), lib.qg_run_file_free)
        call(lib.qg_run_file_load, path_bytes(self.folder / "run.yaml"), file)
        return file

    @property
    def kind(self) -> str:
        """ "train", "graft" or "distill"."""
        file = self._file()
        return text(lib.qg_run_kind_name(file.kind))

    @property
    def domain(self) -> str:
        """The domain's name; "" of a distillation."""
        file = self._file()
        return text(file.domain)

    @property
    def seed(self) -> int:
        file = self._file()
        return file.seed

    @property
    def steps(self) -> int:
        """Agent steps in all; of a distillation samples of a teacher."""
        file = self._file()
        return file.samples if file.kind == lib.QG_RUN_DISTILL else file.steps

    @property
    def settings(self) -> dict:
        """All of its settings by name."""
        file = self._file()
        return _settings.as_dict(ffi.addressof(file, "settings"))

    @property
    def parents(self) -> list:
        """The network files that it began from: the source of a graft, the teachers. Of a study's run
        as they are called from here, where they are there."""
        file, lost = self._file(), ffi.new("qg_error *")
        lib.qg_run_file_find(file, path_bytes(self.folder), lost)
        return [text(file.parents[i]) for i in range(file.parent_count)]

    @property
    def best(self) -> Network:
        """The network of the best evaluation: its `score` is the highest of all, `confirmed_score`
        what it reached when it was played once more with other seeds."""
        return Network.load(self.folder / "best.safetensors")

    @property
    def last(self) -> Network:
        """The network at the end."""
        return Network.load(self.folder / "last.safetensors")

    def _there(self, frame, name, kinds="runs"):
        """The frame, if its file has been there."""
        if frame is None:
            raise UsageError(f"{self.folder}: there is no {name}, which {kinds} write when they evaluate "
                             f"and learn; this is a {self.kind}")
        return frame

    def _evaluations(self):
        """None: there are none yet."""
        import pandas

        file = self._file()
        if file.kind != lib.QG_RUN_DISTILL or file.parent_count == 1:
            return _read_csv(self.folder / "evaluations.csv")
        tasks = []
        for task in range(1, file.parent_count + 1):
            frame = _read_csv(self.folder / f"evaluations-{task}.csv")
            if frame is not None:
                frame.insert(0, "task", task)
                tasks.append(frame)
        return pandas.concat(tasks, ignore_index=True) if tasks else None

    def _training(self):
        """None: there is none yet."""
        distilled = self.kind == "distill"
        return _read_csv(self.folder / ("distillation.csv" if distilled else "training.csv"))

    @property
    def evaluations(self):
        """evaluations.csv: a row an evaluation (step, score, episodes, ...); of a student of several
        teachers also `task`, the number of the teacher whose game was played."""
        return self._there(self._evaluations(), "evaluations.csv")

    @property
    def layer_history(self):
        """layers.csv, of trainings and grafts: what each evaluation saw of each weighted layer
        (docs/diagnostics.md): step, layer, start_distance, ..."""
        return self._there(_read_csv(self.folder / "layers.csv"), "layers.csv", "trainings and grafts")

    @property
    def training(self):
        """training.csv: a row every `log_every` steps; of a distillation distillation.csv."""
        return self._there(self._training(), "training.csv")

    @property
    def student(self):
        """student.csv, of a distillation: a row an evaluation and teacher (samples, task, loss, kl,
        agreement, advantage_scale, value_correlation, score, teacher_score)."""
        return self._there(_read_csv(self.folder / "student.csv"), "student.csv", "distillations")

    @property
    def layers(self):
        """A row a weighted layer of the last network: its shape, how many parameters, their root
        mean square, and of a graft whether it was copied (a last layer also where only the rows of
        some actions were) and whether it was frozen."""
        import pandas

        path = self.folder / "last.safetensors"
        network, notes = Network.load(path), _notes(path)
        copied = [word.split("(")[0] for word in notes.get("copied", "").split(",")]
        frozen = self._frozen()
        rows = [{
            "layer": name, "kind": layer.kind, "shape": layer.weight.shape,
            "parameters": layer.weight.size + layer.bias.size,
            "rms": float(np.sqrt(np.mean(np.concatenate(
                [layer.weight.ravel(), layer.bias]).astype(np.float64) ** 2))),
            "copied": name in copied, "frozen": name in frozen,
        } for name, layer in network.layers.items()]
        return pandas.DataFrame(rows)

    def _frozen(self):
        for line in (self.folder / "run.yaml").read_text().splitlines():
            if line.startswith("frozen: ["):
                return [name.strip() for name in line[9:].rstrip("] ").split(",")]
        return []


def _stamp(path):
    """Changes when the file is replaced."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


class Study:
    """A study's folder; it may still be running."""

    def __init__(self, folder):
        self.folder = pathlib.Path(os.fsdecode(path_bytes(folder, "folder")))
        self._opened = self._files = self._stamps = None
        self._open()

    def __reduce__(self):
        return Study, (self.folder,)

    def _open(self):
        """The study as its folder has it now; to read it anew would ask its environments again."""
        if self._opened is None or [_stamp(path) for path in self._files] != self._stamps:
            files = [self.folder / name for name in ("study.json", "study.yaml", "looks.json")]
            stamps, made = [_stamp(path) for path in files], ffi.new("qg_study **")
            try:
                call(lib.qg_study_open, path_bytes(self.folder), made)
            finally:
                lib.qg_domains_release()
            self._opened = ffi.gc(made[0], lib.qg_study_free)
            networks = [pathlib.Path(os.fsdecode(ffi.string(source.files[i]))) for source in
                        made[0].sources[0:made[0].source_count] for i in range(source.file_count)]
            self._files, self._stamps = files + networks, stamps + [_stamp(path) for path in networks]
        return self._opened

    def __repr__(self):
        return f"<Study {self.folder}>"

    @property
    def name(self) -> str:
        study = self._open()
        return text(study.name)

    def _rows(self):
        """Each task: its columns, and the folder of its run."""
        study = self._open()
        statuses = ffi.new("qg_task_status[]", study.task_count + 1)
        call(lib.qg_study_look, study, path_bytes(self.folder), statuses)
        for i in range(study.task_count):
            task, status = study.tasks[i], statuses[i]
            run = study.runs[task.run]
            yield {"run": text(run.id), "seed": task.seed, "kind": text(lib.qg_run_kind_name(run.kind)),
                   "game": text(run.game), "group": text(run.group),
                   "state": text(lib.qg_task_state_name(status.state)), "step": status.step,
                   "steps": status.steps, "score": status.score, "seconds": status.seconds,
                   "message": text(status.message)}, self.folder / text(task.folder)

    @property
    def tasks(self):
        """A row a run and seed: run, seed, kind, game, group, state ("waiting", "stale", "running",
        "stopped", "finished", "failed", "blocked"), step, steps, score, seconds, message."""
        import pandas

        return pandas.DataFrame([row for row, _ in self._rows()])

    @property
    def runs(self) -> dict:
        """The runs that have begun, by (run, seed); measurements of games are none."""
        kinds = ("train", "graft", "distill")
        return {(row["run"], row["seed"]): Run(folder) for row, folder in self._rows()
                if row["kind"] in kinds and (folder / "run.yaml").exists()}

    def _together(self, frame_of):
        import pandas

        frames = []
        for (name, seed), run in self.runs.items():
            frame = frame_of(run)
            if frame is None:
                continue
            frame.insert(0, "run", name)
            frame.insert(1, "seed", seed)
            frames.append(frame)
        if not frames:
            raise UsageError(f"{self.folder}: no run has come so far yet")
        return pandas.concat(frames, ignore_index=True)

    @property
    def evaluations(self):
        """Those of all runs that have some, with the columns run and seed in front; where there are
        students of several teachers also `task`, which is 1 of all other runs."""
        frame = self._together(Run._evaluations)
        if "task" in frame:
            frame["task"] = frame["task"].fillna(1).astype(int)
        return frame

    @property
    def training(self):
        """The training of all runs that have some, with the columns run and seed in front."""
        return self._together(Run._training)

    @property
    def metrics(self):
        """metrics.csv of the report (write_report makes it): measures of transfer, verdicts."""
        path = self.folder / "metrics.csv"
        if not path.exists():
            raise UsageError(f"{path} is not there: qgraft.write_report makes it")
        return _read_csv(path)
