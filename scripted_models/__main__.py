"""The program, as `scripted-models` and as `python -m scripted_models`."""

import sys

from scripted_models.runtime.module_search import forget_current_folder


def program() -> int:
    """Run the command line in a process of its own and return its exit code."""
    forget_current_folder()  # before anything is imported that a stranger's file could shadow
    from scripted_models.cli import main
    from scripted_models.runtime.lean_imports import import_monai_alone
    from scripted_models.runtime.process_priority import end_soon, keep_freed_memory
    from scripted_models.runtime.processor_cores import limit_thread_variables
    from scripted_models.runtime.standard_streams import finish_streams, prepare_streams

    prepare_streams()
    limit_thread_variables()
    import_monai_alone()
    keep_freed_memory()
    try:
        code = main()
    except SystemExit as end:  # of argparse, after help or a wrong option
        code = int(end.code or 0)
    code = finish_streams(code)
    end_soon()
    return code


if __name__ == "__main__":
    sys.exit(program())
