from prompts.cache import AnswerCache


def test_a_cache_that_cannot_be_written_to_does_not_matter(tmp_path):
    (tmp_path / "file").write_text("")
    cache = AnswerCache(tmp_path / "file" / "plans")
    cache.put(["question"], "answer")
    assert cache.get(["question"]) is None
