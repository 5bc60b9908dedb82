"""A look at a pickle's commands before it is loaded: a few bytes can ask for all memory, or for more depth than the stack has.

Python's own unpickler takes any place in its memo, and hashes tuples in tuples by recursion in C, which ends the process.
"""

from __future__ import annotations

import pickletools

MAX_OPCODES = 500_000  # a model of 1199 tensors with averages and the state of its training takes 181,000
MAX_DEPTH = 100  # tuples in tuples
MARK = -1


def check_opcodes(file) -> None:
    """Read a pickle's commands up to its end; nothing is made of them.

    Raises:
        ValueError: it is no pickle, or asks for more than its size accounts for.
    """
    stack: list[int] = []  # how deep tuples are nested in each value
    memo: dict[int, int] = {}
    for count, (code, argument, _) in enumerate(pickletools.genops(file)):
        name = code.name
        if count > MAX_OPCODES:
            raise ValueError("too many commands")
        if name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name.endswith("PUT"):
            if argument > count:
                raise ValueError("a memo with holes")
            memo[argument] = stack[-1]
        elif name.endswith("GET"):
            stack.append(memo[argument])
        elif name == "MARK":
            stack.append(MARK)
        else:
            _apply(code, name, stack)


def _apply(code, name: str, stack: list[int]) -> None:
    """What a command does to the stack; what it leaves there is as deep as the deepest value that it takes."""
    taken = []
    if pickletools.markobject in code.stack_before:
        while (depth := stack.pop()) != MARK:
            taken.append(depth)
        taken += [stack.pop() for _ in range(code.stack_before.index(pickletools.markobject))]
    else:
        taken += [stack.pop() for _ in code.stack_before]
    depth = max(taken, default=0) + name.startswith("TUPLE")
    if depth > MAX_DEPTH:
        raise ValueError("tuples in tuples without end")
    stack += [depth] * len(code.stack_after)
