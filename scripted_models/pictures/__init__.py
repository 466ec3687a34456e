"""Pictures as pixels, drawn with NumPy alone: uint8 RGB arrays of shape (h, w, 3).

To be called from outside: `render.render_overlay` and `render.render_montage` draw a case,
`render.write_png` and `render.png_bytes` make PNG of it. `panels` draws single planes for figures.
`layout` and `font` serve the two.

Drawing is hand-written: Slicer and the segment path have no graphics library (Pillow, matplotlib).
"""
