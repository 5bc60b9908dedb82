"""Bare pictures get labels to train on: tags, boxes, masks and captions of instances, by models that lie on this
machine.
"""
