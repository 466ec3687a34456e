"""What a program needs of the machine and of whoever runs it; nothing here knows of brains.

    atomic_files      outputs that are whole or absent, one writer per folder
    plain_files       a user's file opened as a file, never a pipe or device
    structured_text   JSON and TOML of strangers; `csv_text` writes tables
    printable_text    names of strangers, safe to print
    standard_streams  standard output and error, whatever the caller made of them
    module_search     no modules from the current folder
    processor_cores   how many threads are of use
    file_identity     what a file is: its content
    progress          events for people and programs, in parts
    memory            how much a case needs and how much there is
    parent_process    for programs that another one starts
    process_priority  how a program takes memory and processor time
    typed_tables      JSON and TOML into frozen dataclasses (with `table_hints`, `table_schema`)

All public functions may be called.
"""
