"""Plans held against the prompt files of public benchmarks, by the rules of each.

* `places`    where boxes lie to one another on the picture
* `scoring`   questions that a layout answers, and the table of how many it answers rightly
* `nsr`       NSR-1K, the benchmark of LayoutGPT: counting and spatial
* `geneval`   GenEval
* `compbench` T2I-CompBench: spatial, 3D, numeracy, attribute binding
* `readings`  free English with a careful reader's readings; `reading_names` which instance a reading means
"""
