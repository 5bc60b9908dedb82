"""Training of InstanceDiffusion on pictures with annotations (Wang et al., CVPR 2024), on one machine or many."""
