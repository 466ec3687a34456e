"""What a program needs of the machine and of whoever runs it; nothing here knows of brains.

`atomic_files`: outputs that are whole or absent, one writer per folder. `progress`: events for people
and programs. `memory`: how much a case needs and how much there is. `parent_process`,
`process_priority`: for programs that another one starts. All public functions may be called.
"""
