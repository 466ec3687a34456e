"""HTML reports, tables and figures of results.

To be called from outside:

- `html_report.write_html_report` writes a page about `case_report.CaseReport`s;
- `experiment_table.write_experiment_table` writes our scores beside the paper's;
- `cohort_table.collect_results` writes the table and the page of many cases (`cohort_results` reads
  the reports, `cohort_page` sets the page);
- `figures` draws models, runs and cases (it needs matplotlib).

`rendering` is the only user of jinja2; `templates/` holds the pages and their style sheets.
"""
