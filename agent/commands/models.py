"""stub"""
from instdiff.cli import Parser


def build_parser():
    return Parser(prog="instdiff-agent models")
