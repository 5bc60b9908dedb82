"""Verified datasets in bulk: plan, paint in batches, look, paint again what failed, keep what passes.

* `agent.dataset.sources`   what the pictures are of
* `agent.dataset.recipe`    everything that changes the results
* `agent.dataset.folder`    what lies on the disk: the truth about what is done
* `agent.dataset.planning`  plans, made ahead of the painting
* `agent.dataset.worker`    the rounds over one batch
* `agent.dataset.making`    all batches in one process; `on_ray` and `on_slurm` do the same elsewhere
* `agent.dataset.export`    COCO, YOLO, WebDataset, parquet and labelling tools, with a dataset card
* `agent.benchmarks.dataset_value`     what a detector learns from the dataset
"""
