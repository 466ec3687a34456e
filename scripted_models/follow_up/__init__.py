"""Follow-up: several visits of one patient, what grew, which lesion, and by how much.

    visits          visits in folders
    visit_source    `VisitSource`: where a visit lies, when it was, what the user says of it
    visit_dates     dates of visits: of a table, a report, a folder's name, or days of the user
    visit_table     visits in a table (TSV or CSV)
    visit_data      `Visit`: labels and head of a visit, read
    visit_doubts    what the user should know about the visits together
    choices         baseline, reference, region of the lesions
    new_visits      case folders among the visits, segmented first
    alignment       each visit registered rigidly to one of them
    matching        lesions matched over visits: split, merged, new, vanished
    growth          changes against baseline, nadir and the visit before; doubling times
    response        categories by the imaging rules of RANO 2.0, as a calculation
    repeatability   what change is within the error of the method, measured
    assessment      `assess`: all of it for the visits of a patient
    follow_tables   rows of the tables
    follow_outputs  follow.json and the tables as files

To be called from outside: `visits.find_visits`, `visit_table.read_table`, `new_visits.segment_new`,
`visit_data.read_visit`, `assessment.assess`, `follow_outputs.write_follow_up`.
"""
