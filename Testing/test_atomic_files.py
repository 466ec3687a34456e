"""Output folders and what killed runs leave in them."""

from scripted_models.runtime.atomic_files import only_writer


def test_a_run_removes_what_killed_runs_had_begun_but_nothing_of_others(tmp_path):
    own = [
        tmp_path / name for name in (".writing-a", "model/.writing-b", "model/models/.writing-c")
    ]
    others = [
        tmp_path / name for name in ("fold1/.writing-d", "fold1/model/.writing-e", "notes.txt")
    ]
    caches = tmp_path / "cases" / ".writing-f" / "case"
    for path in (*own, *others, tmp_path / "fold1" / ".writing.lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    caches.mkdir(parents=True)
    (tmp_path / ".writing-g" / "result").mkdir(parents=True)
    with only_writer(tmp_path):
        pass
    assert not any(path.exists() for path in own)
    assert not (tmp_path / ".writing-g").exists()
    assert all(path.exists() for path in (*others, caches))
