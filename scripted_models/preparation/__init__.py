"""From raw scans to what a network wants, and back to the scanner's grid.

May be called from outside:
`needs` looks at the volumes of a case and tells what they need. `image_preparation` does it.
`brain_extraction` is the interface of whatever finds brains; `deepbet_extractor` is the one at hand
and `deepbet_wheel` tells whether it is installed. `working_grids` leads back to a native grid.
`doubts` says what to check.

Inside: `rigid_registration` moves one volume to another, `link_net` is deepbet's network.
"""
