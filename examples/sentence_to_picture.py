"""A sentence becomes a verified picture. From the checkout: ``python examples/sentence_to_picture.py``.

Takes some seconds on a CPU, and leaves a run under ``outputs/``.
"""

from agent import Agent
from agent.runs import read_report

# No language model and no network: the offline planner reads the sentence, the bundled models paint and look.
agent = Agent(planner="offline", rounds=2, out="outputs")
run = agent.run("a brown dog to the left of a red car", seed=3)

print(f"{run.image}: {'verified' if run.verified else 'not verified'} after {len(run.rounds)} of 2 rounds")
for verdict in read_report(run.folder / run.best.report).verdicts:
    print(f"{verdict.name}: {verdict.kind}, IoU {verdict.iou:.2f}")
run.draw().save("outputs/sentence_to_picture.png")  # with planned and found boxes
