"""PASCAL VOC: pictures of twenty classes.

`voc_task` is the task. `classes`, `image_lists`, `name_lists`, `masks`, `label_colors`,
`picture_files` and `mat_files` know the data set's files, `picture_cases` makes training cases of
them. `prediction` predicts label maps, `prediction_record` knows what made those of a folder,
`crf_pictures` refines them, `scoring` scores them. `held_out_pictures` and `list_table` test a list
and set it beside `paper_rows`. Commands call the functions that read, predict and score; the rest
serves the task.
"""
