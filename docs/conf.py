"""How the site is made of these pages: `make site`. Reading it fetches nothing from elsewhere."""

project = "Stoker"
copyright = "the Stoker authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Stoker"
html_show_sourcelink = False
html_copy_source = False
myst_heading_anchors = 4
highlight_language = "text"
