"""Draws what a run reached: python examples/figure.py RUN [RUN...] FIGURE.png

    qgraft train minatar/breakout --steps 200k --out runs/breakout
    python examples/figure.py runs/breakout breakout.png
"""

import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

import qgraft

*folders, figure = sys.argv[1:]
drawing, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
for folder in folders:
    run = qgraft.Run(folder)
    evaluations, training = run.evaluations, run.training
    left.errorbar(evaluations["step"], evaluations["score"],
                  evaluations["deviation"] / evaluations["episodes"] ** 0.5, label=folder)
    right.plot(training["step"], training["td_error"], label=folder)
left.set(title=run.domain, xlabel="step", ylabel="score (mean and its standard error)")
right.set(title="learning", xlabel="step", ylabel="TD error")
left.legend()
drawing.tight_layout()
drawing.savefig(figure)
