"""The loop as a LangGraph graph, and the file that keeps where it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.state import CheckedState, State
from agent.steps import Steps
from instdiff.errors import BadInput


def build_graph(steps: Steps):
    """The loop as a LangGraph graph, not compiled yet."""
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(State)
    graph.add_node("plan", steps.plan)
    graph.add_node("criticise", steps.criticise)
    graph.add_node("render", steps.render)
    graph.add_node("verify", steps.verify)
    graph.add_node("revise", steps.revise)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "criticise")
    if steps.request.review:
        graph.add_node("review", steps.review)
        graph.add_edge("criticise", "review")
        after = {"approve": "render", "replan": "plan", "reject": END}
        graph.add_conditional_edges("review", lambda state: after[state["decision"]], ["render", "plan", END])
    else:
        graph.add_edge("criticise", "render")
    graph.add_edge("render", "verify")
    graph.add_conditional_edges("verify", lambda state: END if steps.is_enough(state) else "revise", ["revise", END])
    graph.add_conditional_edges("revise", lambda state: "render" if state["repairs"] else END, ["render", END])
    return graph


def read_state(graph, config: dict):
    """Where a run is, as its checkpoint says; what the steps could not have written is refused.

    Raises:
        BadInput: the checkpoint is damaged, or holds something else.
    """
    try:
        snapshot = graph.get_state(config)
    except sqlite3.Error:
        raise
    except Exception as error:  # of any kind, where bytes are not what they should be
        raise BadInput("run", f"its checkpoint is damaged ({type(error).__name__})") from error
    if snapshot.values:
        CheckedState.read(snapshot.values)
    return snapshot


class _PlainSerializer:
    """What a checkpoint holds is plain data: LangGraph's other encodings, which can call classes, are not read."""

    def __init__(self):
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

        self.inner = JsonPlusSerializer(allowed_msgpack_modules=[])

    def dumps_typed(self, value: object) -> tuple[str, bytes]:
        return self.inner.dumps_typed(value)

    def loads_typed(self, data: tuple[str, bytes]) -> object:
        if data[0] not in ("msgpack", "null", "bytes"):
            raise ValueError(f"a value is encoded as {data[0]!r}")
        return self.inner.loads_typed(data)


@contextmanager
def checkpointer(path: Path) -> Iterator[object]:
    """LangGraph's SQLite checkpointer on a file, locked against other processes as long as it is open.

    Raises:
        BadInput: another process works on the run, or the file is damaged.
    """
    from langgraph.checkpoint.sqlite import SqliteSaver

    connection = sqlite3.connect(path, timeout=0.5, check_same_thread=False)
    try:
        # The lock is the operating system's, so it is gone as soon as a killed process is.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        # The state is plain JSON: no class of any module may be read from the file.
        saver = SqliteSaver(connection, serde=_PlainSerializer())
        try:
            saver.setup()
            yield saver
        except sqlite3.Error as error:  # damaged, locked, or the disk is full
            if "locked" in str(error):
                raise BadInput("run", f"{path.parent} is being worked on by another process") from error
            reason = f"{path} cannot be used: {error}"
            if isinstance(error, sqlite3.OperationalError):  # no room, or no right to write
                reason += f"; when it can be written, go on with: instdiff-agent make --resume {path.parent}"
            raise BadInput("run", reason) from error
    finally:
        connection.close()
