"""The command line: each command is one call of `mekb.api`; here is only what turns words into arguments.

Results go to stdout (a table, or JSON with `--format json`), progress and notes to stderr. Exit codes: 0
done, 1 the data or the run failed, 2 the call or a setting was wrong, 130 interrupted.
"""
